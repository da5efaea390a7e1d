from __future__ import annotations

import hmac
import json
import smtplib
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials import links, signatures
from credentials.models import Contributor, Credential, Notice, StateChange
from credentials.services import Event, notifying, set_state, withdraw
from credentials.services.notifying import notify_due
from gateway.lib import outward
from gateway.lib.fields import Sealed
from tests.credentials.samples import (
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def site(settings):
    settings.EMAIL_CONFIGURED = True
    settings.PUBLIC_URL = "https://pool.example.org"


@pytest.fixture
def bob():
    return Contributor.objects.create(name="Bob", email="bob@example.org")


class Hook:
    """Stands for outward.post_json: fails as it is told to, and remembers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = []

    def __call__(self, url, payload, *, private_hosts=(), headers_of=None, timeout_s=0.0):
        body = json.dumps(payload, ensure_ascii=False).encode()
        self.calls.append((url, payload, headers_of(body), body))
        if self.failures:
            raise self.failures.pop(0)


def broken(contributor, event=Event.ATTENTION, reason="subscription_required", **changes):
    row = store_key(contributor_id=contributor.pk, **changes)
    return set_state(credential_id=row.pk, event=event, reason=reason)


def kinds():
    return list(Notice.objects.filter(closed_at=None).order_by("pk").values_list("kind", flat=True))


def test_a_credential_that_needs_its_contributor_is_told_of_once(bob):
    row = broken(bob)
    assert notify_due(now=NOW) == 1
    assert notify_due(now=NOW + MINUTE) == 0
    assert notify_due(now=NOW + 3 * DAY) == 0
    (message,) = mail.outbox
    assert message.to == ["bob@example.org"]
    assert message.subject == "Wellspring: something you lent needs you"
    assert "needs licence" in message.body
    assert "Get the account a Gemini Code Assist" in message.body
    assert f"https://pool.example.org/auth/link/{links.token_of(bob)}" in message.body
    notice = Notice.objects.get()
    assert (notice.credential_id, notice.channels, notice.error) == (row.pk, "email", "")
    assert notice.sent_at == NOW


def test_the_same_trouble_is_told_of_again_after_it_was_over(bob):
    row = broken(bob)
    notify_due(now=NOW)
    set_state(credential_id=row.pk, event=Event.ENABLED)
    notify_due(now=NOW + HOUR)
    assert [message.subject for message in mail.outbox] == [
        "Wellspring: something you lent needs you",
        "Wellspring: what you lent works again",
    ]
    set_state(credential_id=row.pk, event=Event.ATTENTION, reason="subscription_required")
    notify_due(now=NOW + 2 * HOUR)
    assert len(mail.outbox) == 3
    assert kinds() == ["attention:subscription_require"]


def test_trouble_that_was_over_before_anybody_was_told_is_not_told(bob, settings):
    settings.EMAIL_CONFIGURED = False
    row = broken(bob)
    notify_due(now=NOW)
    set_state(credential_id=row.pk, event=Event.ENABLED)
    settings.EMAIL_CONFIGURED = True
    assert notify_due(now=NOW + HOUR) == 0
    assert mail.outbox == []
    assert kinds() == []


def test_what_the_operator_has_to_mend_is_no_notice_to_the_contributor(bob):
    broken(bob, reason="oauth_client")
    assert notify_due(now=NOW) == 0
    assert kinds() == []


def test_an_expired_login_says_to_connect_again(bob):
    row = store_login(contributor_id=bob.pk, email="bobby@example.org")
    set_state(credential_id=row.pk, event=Event.REVOKED, reason="invalid_grant")
    notify_due(now=NOW)
    assert kinds() == ["expired"]
    assert "bo…y@example.org" in mail.outbox[0].body
    assert "Connect the account again" in mail.outbox[0].body


def test_nobody_lent_it_so_nobody_is_told():
    row = store_key()
    set_state(credential_id=row.pk, event=Event.ATTENTION, reason="suspended")
    assert notify_due(now=NOW) == 0
    assert not Notice.objects.exists()


def test_without_an_address_it_stands_on_the_page_and_goes_out_once_there_is_one():
    charlie = Contributor.objects.create()
    broken(charlie)
    assert notify_due(now=NOW) == 0
    assert len(kinds()) == 1
    Contributor.objects.filter(pk=charlie.pk).update(email="charlie@example.org")
    assert notify_due(now=NOW + DAY) == 1
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_down_loses_nothing(bob, monkeypatch):
    def down(self, *args):
        raise smtplib.SMTPServerDisconnected("bob@example.org is not told this")

    broken(bob)
    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", down)
        assert notify_due(now=NOW) == 0
        assert notify_due(now=NOW + MINUTE) == 0  # not at once again
        assert notify_due(now=NOW + 6 * MINUTE) == 0
    notice = Notice.objects.get()
    assert notice.attempts == 2
    assert "mail server could not be reached" in notice.error
    assert "bob@" not in notice.error
    assert notify_due(now=NOW + 10 * MINUTE) == 0  # twice as long after the second failure
    assert notify_due(now=NOW + 17 * MINUTE) == 1
    assert len(mail.outbox) == 1
    notice.refresh_from_db()
    assert notice.error == ""


def test_several_notices_are_one_message_and_three_messages_a_day_are_enough(bob):
    for number in range(3):
        broken(bob, number=number)
    notify_due(now=NOW)
    assert len(mail.outbox) == 1
    assert mail.outbox[0].subject == "Wellspring: 3 notices about what you lent"
    for hour in range(1, 5):
        broken(bob, number=10 + hour)
        notify_due(now=NOW + hour * HOUR)
    assert len(mail.outbox) == 3
    assert "e-mail tomorrow" in Notice.objects.order_by("pk").last().error
    notify_due(now=NOW + DAY - MINUTE)
    assert len(mail.outbox) == 3
    assert notify_due(now=NOW + DAY + MINUTE) == 2
    assert len(mail.outbox) == 4


def test_an_address_gets_three_messages_a_day_however_many_write_it_here():
    for number in range(5):
        somebody = Contributor.objects.create(email="Victim@Example.org")
        broken(somebody, number=number)
    notify_due(now=NOW)
    assert len(mail.outbox) == 3


def test_what_a_stranger_calls_themselves_goes_into_no_message():
    somebody = Contributor.objects.create(name="Your bank: evil.example", email="v@example.org")
    broken(somebody)
    assert notify_due(now=NOW) == 1
    assert "evil" not in mail.outbox[0].message().as_string()


def test_an_address_that_no_mail_can_go_to_keeps_nobody_else_waiting(bob):
    nobody = Contributor.objects.create(email="a@" + "ü" * 63 + ".com")
    broken(nobody, number=1)
    broken(bob, number=2)
    assert notify_due(now=NOW) == 1
    assert [message.to for message in mail.outbox] == [["bob@example.org"]]
    assert "no mail can be sent" in nobody.credentials.get().notices.get().error


def test_a_webhook_that_fails_is_not_tried_for_every_notice_at_once(bob):
    bob.email, bob.webhook = "", {"url": "https://slow.example.org/"}
    bob.save()
    for number in range(3):
        broken(bob, number=number)
    hook = Hook(outward.Undelivered("did not answer within 15 s"))
    assert notify_due(now=NOW, post=hook) == 0
    assert len(hook.calls) == 1
    assert {row.error for row in Notice.objects.all()} == {
        "your webhook did not answer within 15 s."
    }
    assert notify_due(now=NOW + HOUR, post=hook) == 3


def test_who_failed_before_comes_after_who_was_not_tried(bob):
    bob.email, bob.webhook = "", {"url": "https://slow.example.org/"}
    bob.save()
    broken(bob, number=1)
    notify_due(now=NOW, post=Hook(outward.Undelivered("is slow")))
    charlie = Contributor.objects.create(webhook={"url": "https://quick.example.org/"})
    broken(charlie, number=2)
    hook = Hook()
    notify_due(now=NOW + HOUR, post=hook)
    assert [url for url, *_ in hook.calls] == [
        "https://quick.example.org/",
        "https://slow.example.org/",
    ]


def test_a_webhook_gets_signed_words_and_nothing_secret(bob, monkeypatch):
    bob.webhook = {"url": "https://hooks.example.org/secret-path"}
    bob.save()
    broken(bob)
    hook = Hook()
    assert notify_due(now=NOW, post=hook) == 1
    ((url, payload, headers, body),) = hook.calls
    assert url == "https://hooks.example.org/secret-path"
    assert payload["kind"] == "attention:subscription_require"
    assert payload["credential"] == f"key …{api_key()[-4:]}"
    assert payload["link"].endswith(links.token_of(bob))
    assert headers == {"X-Wellspring-Signature": signatures.signature(bob, body)}
    assert api_key() not in body.decode()
    assert Notice.objects.get().channels == "email, webhook"


def test_what_one_channel_got_is_not_sent_to_it_again_while_the_other_fails(bob):
    bob.webhook = {"url": "https://hooks.example.org/secret-path"}
    bob.save()
    broken(bob)
    hook = Hook(outward.Undelivered("answered with status 500"), outward.Undelivered("no"))
    assert notify_due(now=NOW, post=hook) == 0
    assert Notice.objects.get().error == "your webhook answered with status 500."
    notify_due(now=NOW + 6 * MINUTE, post=hook)
    assert notify_due(now=NOW + HOUR, post=hook) == 1
    assert len(mail.outbox) == 1
    assert len(hook.calls) == 3
    assert Notice.objects.get().channels == "email, webhook"


def test_two_workers_at_once_send_one_message(bob, monkeypatch):
    broken(bob)
    seen = notifying._waiting

    def slow(now):
        found = seen(now)
        monkeypatch.setattr(notifying, "_waiting", seen)
        notify_due(now=now)  # the other worker is faster
        return found

    monkeypatch.setattr(notifying, "_waiting", slow)
    notify_due(now=NOW)
    assert len(mail.outbox) == 1


def test_the_receipt_is_told_of_when_it_is_complete(bob):
    row = broken(bob)
    notify_due(now=NOW)
    withdraw(credential_id=row.pk, now=(NOW + HOUR).timestamp())
    notify_due(now=NOW + HOUR + MINUTE)
    notify_due(now=NOW + HOUR + 2 * MINUTE)
    assert [message.subject for message in mail.outbox][1:] == ["Wellspring: your receipt"]
    assert kinds() == []


def test_a_receipt_that_nobody_can_be_told_of_stands_for_a_week():
    row = store_key(contributor_id=Contributor.objects.create().pk)
    withdraw(credential_id=row.pk, now=NOW.timestamp())
    notify_due(now=NOW + MINUTE)
    assert kinds() == ["withdrawn"]
    notify_due(now=NOW + 8 * DAY)
    assert kinds() == []


def exhausted(row, *days_ago, reason="daily_quota", now=NOW):
    for ago in days_ago:
        StateChange.objects.create(
            credential=row,
            event="quota",
            model="gemini-2.5-pro",
            from_state="active",
            to_state="exhausted",
            reason=reason,
            at=now - ago * DAY,
        )


@pytest.mark.parametrize(
    ("days", "reason", "told"),
    [
        ((0, 1, 2), "daily_quota", True),
        ((1, 2, 3), "daily_quota", True),
        ((0, 1), "daily_quota", False),
        ((0, 2, 3), "daily_quota", False),
        ((2, 3, 4), "daily_quota", False),
        ((0, 1, 2), "contributor_reserve", False),
    ],
)
def test_a_quota_used_up_three_days_in_a_row(bob, days, reason, told):
    exhausted(store_key(contributor_id=bob.pk), *days, reason=reason)
    notify_due(now=NOW)
    assert kinds() == (["quota_used_up"] if told else [])


def test_advice_is_not_repeated_within_a_month(bob):
    row = store_key(contributor_id=bob.pk)
    exhausted(row, 0, 1, 2)
    notify_due(now=NOW)
    notify_due(now=NOW + 4 * DAY)
    assert kinds() == []
    exhausted(row, 0, 1, 2, now=NOW + 10 * DAY)
    notify_due(now=NOW + 10 * DAY)
    assert len(mail.outbox) == 1
    exhausted(row, 0, 1, 2, now=NOW + 40 * DAY)
    notify_due(now=NOW + 40 * DAY)
    assert len(mail.outbox) == 2


def test_a_login_that_is_not_used_for_five_months(bob):
    fresh = store_login(
        oauth_secret(refresh_token="1//used-yesterday", expires_at=(NOW - DAY).timestamp()),
        project="p-2",
        contributor_id=bob.pk,
    )
    stale = store_login(
        oauth_secret(expires_at=(NOW - 160 * DAY).timestamp()),
        project="p-1",
        contributor_id=bob.pk,
    )
    for row in (fresh, stale):
        set_state(credential_id=row.pk, event=Event.DISABLED)
    Credential.objects.update(connected_at=NOW - 200 * DAY)
    notify_due(now=NOW)
    assert Notice.objects.get().credential_id == stale.pk
    assert kinds() == ["login_unused"]
    assert "six months" in Notice.objects.get().words


def connected(days_ago, number, contributor, **secret):
    row = store_login(
        oauth_secret(refresh_token=f"1//login-{number}", **secret),
        project=f"p-{number}",
        contributor_id=contributor.pk,
    )
    at = NOW - timedelta(days=days_ago)
    Credential.objects.filter(pk=row.pk).update(connected_at=at, created_at=at)
    return row


def ended(row, days_after):
    set_state(
        credential_id=row.pk,
        event=Event.REVOKED,
        reason="invalid_grant",
        now=(row_at(row) + timedelta(days=days_after)).timestamp(),
    )


def row_at(row):
    return Credential.objects.get(pk=row.pk).connected_at


@pytest.mark.parametrize(("lived", "told"), [(7, True), (6.5, True), (3, False), (12, False)])
def test_a_login_of_a_client_in_testing_is_warned_of_before_it_ends(bob, lived, told):
    ended(connected(20, 1, bob), lived)
    young = connected(6, 2, bob)
    notify_due(now=NOW)
    found = Notice.objects.filter(kind="login_ends", closed_at=None)
    assert [row.credential_id for row in found] == ([young.pk] if told else [])
    if told:
        assert "21 November 2026" in found[0].words


def test_a_login_of_another_client_or_of_one_with_older_logins_is_not_warned_of(bob):
    ended(connected(20, 1, bob), 7)
    connected(6, 2, bob, client_id="another.apps.googleusercontent.com")
    notify_due(now=NOW)
    assert "login_ends" not in kinds()
    connected(6, 3, bob)
    connected(30, 4, bob)  # lives on after a month: the client is not in testing
    notify_due(now=NOW)
    assert "login_ends" not in kinds()


def test_no_secret_stands_in_any_of_it(bob):
    bob.webhook = {"url": "https://hooks.example.org/planted-path"}
    bob.save()
    row = store_login(contributor_id=bob.pk, email="bobby@example.org")
    Credential.objects.filter(pk=row.pk).update(
        proxy=Sealed.of({"url": "socks5://user:proxy-password@10.0.0.1:1080"})
    )
    set_state(credential_id=row.pk, event=Event.REVOKED, reason="invalid_grant")
    hook = Hook(outward.Undelivered("cannot be reached"))
    notify_due(now=NOW, post=hook)
    (message,) = mail.outbox
    stored = repr(list(Notice.objects.values()))
    seen = message.message().as_string() + repr(hook.calls[0][1]) + stored
    for planted in (REFRESH_TOKEN, CLIENT_SECRET, "proxy-password", "ya29.", "bobby@example.org"):
        assert planted not in seen
    assert "planted-path" not in message.message().as_string() + stored


def test_without_a_public_address_there_are_words_and_no_link(bob, settings):
    settings.PUBLIC_URL = ""
    broken(bob)
    notify_due(now=NOW)
    (message,) = mail.outbox
    assert "http" not in message.body
    assert "link you got when you lent something" in message.body
    assert "List-Unsubscribe" not in message.extra_headers


def test_the_message_says_how_to_end_the_messages(bob):
    broken(bob)
    notify_due(now=NOW)
    (message,) = mail.outbox
    address = f"https://pool.example.org/auth/no-more-mail/{signatures.token_of(bob)}"
    assert address in message.body
    assert message.extra_headers["List-Unsubscribe"] == f"<{address}>"


def test_looking_costs_the_same_however_many_are_well(bob):
    store_key(0, contributor_id=bob.pk)
    with CaptureQueriesContext(
        connection,
    ) as few:
        notify_due(now=NOW)
    for number in range(1, 40):
        store_key(number, contributor_id=bob.pk)
    with CaptureQueriesContext(connection) as many:
        notify_due(now=NOW)
    assert len(many) == len(few)
    assert len(few) <= 16


@pytest.fixture
def hook_server():
    """(its host and port, what it was sent: (headers, body))."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "{}:{}".format(*server.server_address[:2]), received
    server.shutdown()
    server.server_close()


def test_a_webhook_is_really_called_and_can_check_the_sender(settings, hook_server):
    place, received = hook_server
    settings.FETCH_PRIVATE_HOSTS = [place]
    charlie = Contributor.objects.create(webhook={"url": f"http://{place}/hook"})
    broken(charlie)
    assert notify_due(now=NOW) == 1
    ((headers, body),) = received
    key = signatures.signing_key(charlie).encode()
    expected = hmac.new(key, body, "sha256").hexdigest()
    assert headers["X-Wellspring-Signature"] == f"sha256={expected}"
    assert json.loads(body)["words"].startswith("key …")


def test_a_webhook_is_no_way_into_this_network(settings, hook_server):
    place, received = hook_server
    settings.FETCH_PRIVATE_HOSTS = []
    charlie = Contributor.objects.create(webhook={"url": f"http://{place}/hook"})
    broken(charlie)
    assert notify_due(now=NOW) == 0
    assert received == []
    error = "your webhook leads to an address that is not public."
    assert Notice.objects.get().error == error
