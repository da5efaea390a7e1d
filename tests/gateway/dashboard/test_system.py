"""The system page: for operators, and what it shows is true."""

from __future__ import annotations

import platform
import re

import django
import pytest
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.models import User
from apiproxy.models import SelfTest
from apiproxy.selftest import journal
from apiproxy.selftest.run import Result
from gateway import doctor
from gateway.doctor import Finding, Status
from quotas.models import Hold, Holder
from quotas.services import beat, open_balance

PAGE, RUN = "/system", "/system/selftest"


@pytest.fixture
def alice(db):
    return services.create_operator(username="alice", password="rather-long-words")


@pytest.fixture
def charlie(db):
    return User.objects.create_user("charlie", password="rather-long-words")


@pytest.fixture
def page(client, alice):
    client.force_login(alice)

    def get():
        answer = client.get(PAGE)
        assert answer.status_code == 200
        return re.sub(r"\s+", " ", answer.content.decode())

    return get


@pytest.mark.parametrize("path", [PAGE, RUN])
def test_only_operators_come_in(client, charlie, path):
    ask = client.get if path == PAGE else client.post
    sent_to = f"{reverse('account_login')}?next={path}"
    assert ask(path).url == sent_to
    client.force_login(charlie)
    refused = ask(path)
    assert refused.status_code == 403
    assert "Only operators may do this." in refused.content.decode()
    assert not SelfTest.objects.exists()


def test_the_way_there_is_in_an_operators_header(client, alice):
    assert f'href="{PAGE}"' not in client.get("/").content.decode()
    client.force_login(alice)
    assert f'href="{PAGE}"' in client.get("/").content.decode()


def test_versions(page, settings):
    text = page()
    for words in (settings.VERSION, django.get_version(), platform.python_version()):
        assert words in text


def test_the_version_is_the_projects(settings):
    project = (settings.BASE_DIR / "pyproject.toml").read_text()
    assert f'version = "{settings.VERSION}"' in project


def test_what_the_doctor_finds_is_shown_and_no_upstream_is_asked(page, monkeypatch):
    def nobody(lent):
        raise AssertionError("a page does not wait for upstreams")

    monkeypatch.setattr(doctor, "upstream_findings", nobody)
    broken = Finding(Status.FAIL, "broker", "Redis does not answer <b>")
    monkeypatch.setattr(doctor, "broker_finding", lambda: broken)
    text = page()
    assert '<span class="mark fail">fail</span> <strong>broker</strong>' in text
    assert "Redis does not answer &lt;b&gt;" in text
    assert '<span class="mark ok">ok</span> <strong>database</strong>' in text


def test_living_and_silent_processes(page):
    beat(holder_id="a" * 32)
    beat(holder_id="b" * 32)
    Holder.objects.filter(pk="b" * 32).update(host="gone.example", beat_at="2026-01-01T00:00Z")
    balance = open_balance(total_micros=5)
    Hold.objects.create(request_id="r", balance=balance, amount_micros=5, holder_id="a" * 32)
    text = page()
    assert text.count('<span class="mark ok">alive</span>') == 1
    assert "1 paid call running" in text
    assert '<span class="mark fail">silent</span> <strong>gone.example' in text


def test_a_site_without_processes_says_so(page):
    assert "has given a sign of life" in page()


def test_the_newest_selftest_is_a_table(page):
    assert "It has not run yet" in page()
    journal.keep(results=[Result("gemini", "stream", False, "of <another> run", 1)], duration_ms=1)
    journal.keep(
        results=[
            Result("openai-chat", "answer", True, "", 3),
            Result("gemini", "stream", False, "the <text> came in one piece", 4),
        ],
        duration_ms=6120,
    )
    text = page()
    assert "1 of 2 cases failed" in text
    assert "6.1 seconds" in text
    assert "<strong>gemini, stream</strong> <span>the &lt;text&gt; came in one piece</span>" in text
    assert 'title="the &lt;text&gt; came in one piece">✗</td>' in text
    assert text.count("✓</td>") == 1
    assert text.count(">–</td>") == 2
    assert "another" not in text


def test_the_page_would_pass_a_strict_content_security_policy(page):
    journal.keep(results=[Result("gemini", "stream", False, "words", 1)], duration_ms=1)
    text = page()
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", text)
    assert not re.findall(r'(?:src|href|action)="(?:[a-z]+:)?//', text)


def test_a_run_wants_the_pages_own_form(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(RUN).status_code == 403
    assert strict.get(RUN).url == PAGE
    assert not SelfTest.objects.exists()
