import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials import services
from credentials.client import GoogleClient
from credentials.models import Credential, StateChange
from credentials.services import RefreshRefused, refresh_access_token, refreshing
from credentials.services.refreshing import LEASE_S
from credentials.states import Event
from gateway.lib.errors import UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    oauth_secret,
    store_key,
    store_login,
)


class TokenEndpoint:
    """Counts what it is asked; answers with a new token each time, or with `answer`."""

    def __init__(self, answer: httpx.Response | Exception | None = None, **fields: str) -> None:
        self.answer = answer
        self.fields = fields
        self.forms: list[dict[str, str]] = []
        self.client = GoogleClient(transport=httpx.MockTransport(self.handle))

    def handle(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        self.forms.append({name: values[0] for name, values in form.items()})
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        reply = {"access_token": f"ya29.new{len(self.forms)}", "expires_in": 3599, **self.fields}
        return httpx.Response(200, json=reply)


def refused(status: int, code: str) -> TokenEndpoint:
    return TokenEndpoint(httpx.Response(status, json={"error": code, "error_description": "x"}))


def refresh(credential: Credential, endpoint: TokenEndpoint, stale: str = ACCESS_TOKEN):
    return refresh_access_token(credential.pk, stale, client=endpoint.client)


def opened(credential: Credential) -> dict:
    return Credential.objects.get(pk=credential.pk).secret.open()


@pytest.mark.django_db
def test_a_new_token_is_stored_with_its_end_and_the_feed_sees_it():
    credential, endpoint = store_login(), TokenEndpoint()
    renewed = refresh(credential, endpoint)
    secret = opened(credential)
    assert renewed.secret.open() == secret
    assert secret["access_token"] == "ya29.new1"
    assert secret["expires_at"] == pytest.approx(time.time() + 3599, abs=30)
    assert secret["refresh_token"] == REFRESH_TOKEN
    assert renewed.revision > credential.revision
    assert renewed.refresh_lease_until is None
    assert endpoint.forms == [
        {
            "grant_type": "refresh_token",
            "refresh_token": REFRESH_TOKEN,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
    ]


@pytest.mark.django_db
def test_whoever_comes_with_a_token_already_replaced_gets_the_new_one_for_nothing():
    credential, endpoint = store_login(), TokenEndpoint()
    assert refresh(credential, endpoint, stale="ya29.old").pk == credential.pk
    assert endpoint.forms == []


@pytest.mark.django_db
def test_a_replaced_token_that_has_ended_itself_is_refreshed():
    credential, endpoint = store_login(oauth_secret(expires_at=time.time() - 1)), TokenEndpoint()
    refresh(credential, endpoint, stale="ya29.older")
    assert opened(credential)["access_token"] == "ya29.new1"


@pytest.mark.django_db
def test_a_rotated_refresh_token_replaces_the_old_one_for_every_project_of_the_login():
    first, second = store_login(project="project-one"), store_login(project="project-two")
    refresh(first, TokenEndpoint(refresh_token="1//rotated"))
    assert opened(first)["refresh_token"] == opened(second)["refresh_token"] == "1//rotated"
    assert store_login(oauth_secret(refresh_token="1//rotated"), project="project-one") == first


@pytest.mark.django_db
def test_the_projects_of_a_login_are_locked_in_the_order_in_which_uses_are_booked():
    """Else the two may wait for each other: booking holds the rows of a batch by ascending id."""
    first, second = store_login(project="z-made-first"), store_login(project="a-made-second")
    with CaptureQueriesContext(connection) as queries:
        refresh(second, TokenEndpoint(refresh_token="1//rotated"))
    renewed = [q["sql"] for q in queries if 'SET "secret"' in q["sql"]]
    assert [sql.rpartition(" = ")[2] for sql in renewed] == [str(first.pk), str(second.pk)]


@pytest.mark.django_db
def test_the_oauth_client_of_the_credential_wins_over_the_settings(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "global"
    settings.GOOGLE_OAUTH_CLIENT_SECRET = "global secret"
    own, endpoint = store_login(), TokenEndpoint()
    without = store_login(oauth_secret(client_id="", client_secret="", refresh_token="1//w"))
    refresh(own, endpoint)
    refresh(without, endpoint)
    assert [form["client_id"] for form in endpoint.forms] == [CLIENT_ID, "global"]
    assert [form["client_secret"] for form in endpoint.forms] == [CLIENT_SECRET, "global secret"]


@pytest.mark.django_db
def test_a_dead_grant_expires_the_credential_and_says_why():
    credential = store_login()
    with pytest.raises(RefreshRefused) as raised:
        refresh(credential, refused(400, "invalid_grant"))
    assert raised.value.reason == "invalid_grant"
    credential.refresh_from_db()
    assert (credential.state, credential.state_reason) == ("expired", "invalid_grant")
    assert credential.refresh_lease_until is None
    change = StateChange.objects.get()
    assert (change.from_state, change.to_state, change.reason) == (
        "active",
        "expired",
        "invalid_grant",
    )


@pytest.mark.django_db
def test_a_wrong_oauth_client_asks_for_attention_and_kills_nothing():
    credential = store_login()
    with pytest.raises(RefreshRefused):
        refresh(credential, refused(401, "invalid_client"))
    credential.refresh_from_db()
    assert (credential.state, credential.state_reason) == ("needs_attention", "oauth_client")
    assert opened(credential) == oauth_secret()


@pytest.mark.django_db
def test_without_any_oauth_client_nothing_is_sent(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = ""
    credential, endpoint = (
        store_login(oauth_secret(client_id="", client_secret="")),
        TokenEndpoint(),
    )
    with pytest.raises(RefreshRefused):
        refresh(credential, endpoint)
    credential.refresh_from_db()
    assert credential.state_reason == "oauth_client"
    assert endpoint.forms == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(503, text="<html>busy</html>"), UpstreamFailed),
        (httpx.Response(429, json={"error": "rate_limit_exceeded"}), UpstreamFailed),
        (httpx.ConnectError("down"), UpstreamUnreachable),
        (httpx.ReadTimeout("slow"), UpstreamTimeout),
    ],
)
def test_a_passing_failure_changes_no_state_and_frees_the_lease(answer, error):
    credential = store_login()
    with pytest.raises(error) as raised:
        refresh(credential, TokenEndpoint(answer))
    assert not isinstance(raised.value, RefreshRefused)
    credential.refresh_from_db()
    assert credential.state == "active"
    assert credential.refresh_lease_until is None
    assert refresh(credential, TokenEndpoint()).secret.open()["access_token"] == "ya29.new1"


@pytest.mark.django_db
def test_a_login_that_was_replaced_meanwhile_is_not_overwritten():
    credential = store_login(email="alice@example.org", project="project-one")
    newer = oauth_secret(refresh_token="1//newer", access_token="ya29.newer")

    def answer_late(request):
        store_login(newer, email="alice@example.org", project="project-one")
        return httpx.Response(200, json={"access_token": "ya29.late", "expires_in": 3599})

    client = GoogleClient(transport=httpx.MockTransport(answer_late))
    refresh_access_token(credential.pk, ACCESS_TOKEN, client=client)
    assert opened(credential) == newer


@pytest.mark.django_db
def test_a_secret_destroyed_meanwhile_does_not_come_back():
    credential = store_login()

    def answer_late(request):
        services.set_state(credential_id=credential.pk, event=Event.WITHDRAWN)
        return httpx.Response(200, json={"access_token": "ya29.late", "expires_in": 3599})

    client = GoogleClient(transport=httpx.MockTransport(answer_late))
    refresh_access_token(credential.pk, ACCESS_TOKEN, client=client)
    assert opened(credential) == {}


@pytest.mark.django_db
def test_a_secret_without_its_key_is_left_alone(settings):
    credential, endpoint = store_login(), TokenEndpoint()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(RefreshRefused) as raised:
        refresh(credential, endpoint)
    assert raised.value.reason == "secret_unreadable"
    credential.refresh_from_db()
    assert credential.state == "active"


@pytest.mark.django_db
def test_an_api_key_has_nothing_to_refresh():
    with pytest.raises(Credential.DoesNotExist):
        refresh(store_key(), TokenEndpoint())


class Elsewhere:
    """Another process that holds the lease: `then` happens while we wait for it."""

    def __init__(self, monkeypatch, credential: Credential, then) -> None:
        self.waits = 0
        self._row = Credential.objects.filter(pk=credential.pk)
        self._row.update(refresh_lease_until=timezone.now() + timedelta(seconds=LEASE_S))
        self._then = then
        monkeypatch.setattr("credentials.services.refreshing.time.sleep", self._wait)

    def _wait(self, _seconds: float) -> None:
        self.waits += 1
        self._then(self._row)


@pytest.mark.django_db
def test_a_token_got_by_another_process_is_waited_for(monkeypatch):
    credential, endpoint = store_login(), TokenEndpoint()
    theirs = oauth_secret(access_token="ya29.theirs")
    elsewhere = Elsewhere(monkeypatch, credential, lambda row: row.update(secret=theirs))
    assert refresh(credential, endpoint).secret.open()["access_token"] == "ya29.theirs"
    assert elsewhere.waits == 1
    assert endpoint.forms == []


@pytest.mark.django_db
def test_the_failure_of_another_process_is_shared_not_repeated(monkeypatch):
    credential, endpoint = store_login(), TokenEndpoint()
    Elsewhere(monkeypatch, credential, lambda row: row.update(refresh_lease_until=None))
    with pytest.raises(UpstreamFailed):
        refresh(credential, endpoint)
    assert endpoint.forms == []


@pytest.mark.django_db
def test_a_refusal_met_by_another_process_is_told_with_its_reason(monkeypatch):
    credential = store_login()
    Elsewhere(
        monkeypatch,
        credential,
        lambda row: row.update(
            refresh_lease_until=None, state="expired", state_reason="invalid_grant"
        ),
    )
    with pytest.raises(RefreshRefused) as raised:
        refresh(credential, TokenEndpoint())
    assert raised.value.reason == "invalid_grant"


@pytest.mark.django_db
def test_the_lease_of_a_process_that_died_lapses(monkeypatch):
    credential, endpoint = store_login(), TokenEndpoint()
    past = timezone.now() - timedelta(seconds=1)
    Elsewhere(monkeypatch, credential, lambda row: row.update(refresh_lease_until=past))
    assert refresh(credential, endpoint).secret.open()["access_token"] == "ya29.new1"
    assert len(endpoint.forms) == 1


def test_eight_at_once_cost_one_refresh_and_all_get_the_token(shared_database, monkeypatch):
    credential, endpoint = store_login(), TokenEndpoint()
    started, somebody_waits = threading.Barrier(8), threading.Event()
    sleep = time.sleep

    def wait(seconds: float) -> None:
        somebody_waits.set()
        sleep(seconds)

    def answer_when_somebody_waits(request: httpx.Request) -> httpx.Response:
        assert somebody_waits.wait(timeout=30)
        return endpoint.handle(request)

    def ask(_number: int) -> str:
        client = GoogleClient(transport=httpx.MockTransport(answer_when_somebody_waits))
        try:
            started.wait(timeout=30)
            renewed = refresh_access_token(credential.pk, ACCESS_TOKEN, client=client)
            return renewed.secret.open()["access_token"]
        finally:
            connection.close()

    monkeypatch.setattr("credentials.services.refreshing.time.sleep", wait)
    with ThreadPoolExecutor(8) as threads:
        tokens = list(threads.map(ask, range(8)))
    assert tokens == ["ya29.new1"] * 8
    assert len(endpoint.forms) == 1
    assert opened(credential)["access_token"] == "ya29.new1"


def test_a_request_longer_than_the_lease_keeps_it(shared_database, monkeypatch):
    monkeypatch.setattr(refreshing, "LEASE_S", 0.5)
    credential, endpoint = store_login(), TokenEndpoint()
    taken_by_others = []

    def answer_late(request: httpx.Request) -> httpx.Response:
        for _ in range(20):
            time.sleep(0.1)
            taken_by_others.append(refreshing._take_lease(credential.pk))
        return endpoint.handle(request)

    client = GoogleClient(transport=httpx.MockTransport(answer_late))
    renewed = refresh_access_token(credential.pk, ACCESS_TOKEN, client=client)
    assert taken_by_others == [None] * 20
    assert renewed.refresh_lease_until is None
