from __future__ import annotations

import pytest
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.test import Client, RequestFactory

from accounts import sign_in_log
from gateway.lib.audit import AuditEntry


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


def visit(user=None, address="203.0.113.7"):
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    request.session, request.user = SessionStore(), user or AnonymousUser()
    return request


def lines():
    return [
        (entry.actor, entry.action, entry.subject, entry.address)
        for entry in AuditEntry.objects.filter(action__startswith="account.").order_by("pk")
    ]


def test_signing_in_and_out_is_noted(bob):
    request = visit()
    login(request, bob, backend="django.contrib.auth.backends.ModelBackend")
    logout(request)
    assert lines() == [
        ("bob", "account.signed_in", "user bob", "203.0.113.7"),
        ("bob", "account.signed_out", "user bob", "203.0.113.7"),
    ]


def test_a_failure_names_whom_it_was_tried_for_but_no_slip_of_a_password(bob):
    assert authenticate(visit(), username="bob", password="wrong") is None
    assert authenticate(visit(), username="BOB", password="wrong") is None
    assert authenticate(visit(), username="my-secret-password", password="") is None
    assert lines() == [
        ("nobody", "account.sign_in_failed", "user bob", "203.0.113.7"),
        ("nobody", "account.sign_in_failed", "user bob", "203.0.113.7"),
        ("nobody", "account.sign_in_failed", "an unknown name", "203.0.113.7"),
    ]


def test_a_thousand_failures_fill_no_log(bob, monkeypatch):
    monkeypatch.setattr(sign_in_log, "_MOST_FAILURES", 3)
    for _ in range(5):
        authenticate(visit(), username="bob", password="wrong")
    authenticate(visit(address="203.0.113.8"), username="bob", password="wrong")
    assert len(lines()) == 4


def test_programs_that_sign_people_in_leave_no_line(bob):
    Client().force_login(bob)
    assert lines() == []
