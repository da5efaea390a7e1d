from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts import services
from gateway.dashboard import views

MODELS = [
    {"id": "sandbox-echo", "display_name": "Echo", "providers": ["sandbox"], "price_credits": "1"},
    {"id": "<b>", "display_name": "", "providers": ["a", "b"], "price_credits": "2.5"},
]


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(views, "listed_models", lambda: MODELS)


@pytest.fixture
def alice(db):
    return services.create_operator(username="alice", password="rather-long-words")


def page(client, path="/", **extra):
    return client.get(path, **extra).content.decode()


def test_the_landing_page_speaks_the_visitors_address(client, db):
    text = page(client, headers={"host": "ai.example.org"}, secure=True)
    assert "https://ai.example.org/v1</code>" in text
    assert "curl -N https://ai.example.org/v1/chat/completions" in text
    assert 'base_url="https://ai.example.org/v1"' in text
    assert "testserver" not in text


def test_the_landing_page_lists_the_models(client, db):
    text = page(client)
    assert "<code>sandbox-echo</code>" in text
    assert "<code>&lt;b&gt;</code>" in text
    assert ">2.5</td>" in text


def test_a_site_without_models_says_so(client, db, monkeypatch):
    monkeypatch.setattr(views, "listed_models", list)
    assert "No model is offered yet" in page(client)


def test_the_way_in_depends_on_who_looks(client, alice):
    assert "Sign in" in page(client)
    client.force_login(alice)
    text = page(client)
    assert "Sign in" not in text
    assert reverse("admin:index") in text


def test_a_missing_page_is_said_in_the_frame(client, db):
    answer = client.get("/no/such/page")
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content


def test_the_schema_is_served_and_knows_how_to_sign_in(client, db):
    answer = client.get(reverse("schema"), headers={"accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    schema = answer.json()
    assert schema["openapi"].startswith("3.")
    schemes = schema["components"]["securitySchemes"]
    assert schemes["panelPassword"] == {"type": "http", "scheme": "bearer"}


def test_pages_would_pass_a_strict_content_security_policy(client, alice):
    """Nothing inline, nothing from another host."""
    client.force_login(alice)
    closed = reverse("accounts:setup", args=["guess"])
    for text in (page(client), page(client, closed), page(client, reverse("accounts:welcome"))):
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", text)
        assert not re.findall(r'(?:src|href|action)="(?:[a-z]+:)?//', text)


def test_the_setup_form_would_too(client, db):
    text = page(client, reverse("accounts:setup", args=[services.make_setup_token()]))
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", text)
