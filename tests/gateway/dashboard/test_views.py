from __future__ import annotations

import re
from contextlib import closing

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


@pytest.mark.parametrize("path", ["/api/nothing", "/api/tokens/x%20y", "/creds/nothing"])
def test_programs_are_told_in_json(client, db, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_failure_is_told_in_json_too(client, db, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a fault of ours: s3cret")

    monkeypatch.setattr("accounts.announcing.current", broken)
    client.raise_request_exception = False
    answer = client.get("/api/announcements/current")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert b"s3cret" not in answer.content


def test_the_documentation_of_the_api_asks_no_other_host(client, db):
    answer = client.get("/api/docs/")
    text = answer.content.decode()
    assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=", text)
    for source in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert re.match(r"/[^/]", source), source
        with closing(client.get(source.replace("&amp;", "&"))) as piece:
            assert piece.status_code == 200
    assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_the_schema_is_served_and_knows_how_to_sign_in(client, db):
    answer = client.get(reverse("schema"), headers={"accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    schema = answer.json()
    assert schema["openapi"].startswith("3.")
    schemes = schema["components"]["securitySchemes"]
    bearer = {"type": "http", "scheme": "bearer"}
    assert {
        name: bearer.items() <= schemes[name].items() for name in ("panelPassword", "token")
    } == {
        "panelPassword": True,
        "token": True,
    }


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_schema_is_made_once_however_often_strangers_ask(client, db, monkeypatch, form):
    first = client.get(reverse("schema"), {"format": form})
    monkeypatch.setattr("gateway.dashboard.docs.SchemaGenerator", None)
    again = client.get(reverse("schema"), {"format": form, "x": 1})
    assert again.content == first.content
    assert again["content-type"] == first["content-type"]
    assert again["content-disposition"] == f'inline; filename="Wellspring.{form}"'


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
