from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from credentials import caps, links, signatures, upstream
from credentials.models import Allowance, Contributor, Credential, DailyUse, Notice, StateChange
from credentials.services import Event, pause, set_state
from credentials.services.withdrawal import finish
from credentials.upstream import Finding
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import (
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob():
    return Contributor.objects.create(name="Bob", email="bob@example.org")


@pytest.fixture
def charlie():
    return Contributor.objects.create(name="Charlie")


def browser_of(contributor, **options) -> Client:
    client = Client(**options)
    client.cookies[links.COOKIE] = links.token_of(contributor)
    return client


def address(name, *args):
    return reverse(f"credentials:{name}", args=args)


class _Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)


def text_of(response) -> str:
    """What a person reads, in one line."""
    parser = _Text()
    parser.feed(response.content.decode())
    return " ".join("".join(parser.parts).split())


def today():
    return caps.upstream_day(timezone.now().timestamp())


def served(row, calls, model="gemini-2.5-pro", days_ago=0, status=200):
    DailyUse.objects.create(
        credential=row,
        day=today() - timedelta(days=days_ago),
        model=model,
        status=status,
        calls=calls,
        input_tokens=10 * calls if status == 200 else 0,
        output_tokens=calls if status == 200 else 0,
    )


# Who gets in


@pytest.mark.parametrize("path", ["mine", "loan", "withdraw", "receipt"])
def test_strangers_are_asked_for_the_link(client, bob, path):
    row = store_key(contributor_id=bob.pk)
    args = [] if path == "mine" else [row.pk]
    response = client.get(address(path, *args))
    assert response.status_code == 403
    assert "Private link" in text_of(response)
    assert api_key()[-4:] not in text_of(response)


def test_an_old_link_is_a_strangers(bob):
    old = browser_of(bob)
    Contributor.objects.filter(pk=bob.pk).update(link_version=2)
    assert old.get(address("mine")).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "loan"),
        ("get", "withdraw"),
        ("get", "receipt"),
        ("post", "pause"),
        ("post", "resume"),
        ("post", "test_now"),
        ("post", "save_limits"),
        ("post", "withdraw"),
    ],
)
def test_what_is_somebody_elses_does_not_exist(bob, charlie, method, path):
    row = store_key(contributor_id=bob.pk)
    response = getattr(browser_of(charlie), method)(address(path, row.pk))
    assert response.status_code == 404
    row.refresh_from_db()
    assert (row.state, row.paused_at) == ("active", None)


def test_a_member_who_signed_in_sees_their_own(client, bob):
    member = get_user_model().objects.create_user("bob", password="a long password")
    client.force_login(member)
    assert client.get(address("mine")).status_code == 403
    Contributor.objects.filter(pk=bob.pk).update(user=member)
    assert "What you lend" in text_of(client.get(address("mine")))


def test_a_member_does_not_get_the_page_that_another_left_in_the_browser(bob, charlie):
    alice, mallory = (
        get_user_model().objects.create_user(name, password="a long password")
        for name in ("alice", "mallory")
    )
    Contributor.objects.filter(pk=bob.pk).update(user=alice)
    browser = browser_of(bob)
    assert browser.get(address("mine")).status_code == 200
    browser.force_login(mallory)
    assert browser.get(address("mine")).status_code == 403
    browser.force_login(alice)
    assert browser.get(address("mine")).status_code == 200
    # Somebody who lends without an account may still sign in.
    browser = browser_of(charlie)
    browser.force_login(mallory)
    assert browser.get(address("mine")).status_code == 200


def test_a_pasted_link_opens_the_page(client, bob):
    link = links.link_of(bob, "https://pool.example.org")
    for around in ("{}", " <{}> ", "Your page:\n{}\n(keep it)", "{}?x=1", "{}.", "{}/"):
        browser = Client()
        response = browser.post(address("open_my_link"), {"link": around.format(link)})
        # The link is in no address on the way.
        assert (response.status_code, response["Location"]) == (303, address("mine"))
        assert response["Cache-Control"] == "no-store"
        assert browser.get(address("mine")).status_code == 200
    for wrong in ("https://example.org/x", "", link.replace(".", "-"), "." * 5000):
        response = client.post(address("open_my_link"), {"link": wrong}, follow=True)
        assert "no private link of this site" in text_of(response)


def test_a_browser_that_others_use_forgets_its_contributor(bob):
    browser = browser_of(bob)
    browser.cookies["wellspring_lending"] = "this-browser"
    response = browser.post(address("leave"), follow=True)
    assert "has forgotten you" in text_of(response)
    assert browser.get(address("mine")).status_code == 403
    assert not browser.cookies["wellspring_lending"].value
    assert links.contributor_of(links.token_of(bob)) == bob


def test_the_page_is_kept_by_nobody_and_forms_need_their_token(bob):
    row = store_key(contributor_id=bob.pk)
    response = browser_of(bob).get(address("mine"))
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "same-origin"
    strict = browser_of(bob, enforce_csrf_checks=True)
    assert strict.post(address("pause", row.pk)).status_code == 403


# What it says


@pytest.mark.parametrize(
    ("event", "reason", "words"),
    [
        (None, "", "Works It answers calls."),
        (
            Event.ATTENTION,
            "subscription_required",
            "Needs you Needs licence. Get the account a Gemini Code Assist",
        ),
        (Event.ATTENTION, "oauth_client", "The operator of this site has to mend this"),
        (Event.REVOKED, "invalid_grant", "Needs you Revoked. Connect the account again"),
        (Event.DISABLED, "operator", "The operator of this site switched it off."),
        (Event.DISABLED, "duplicate", "You lent the same account and project twice"),
        (Event.QUOTA, "daily_quota", "today's quota at Google is used up"),
    ],
)
def test_the_state_is_said_in_words(bob, event, reason, words):
    row = store_login(contributor_id=bob.pk, project="p-1")
    if event:
        set_state(credential_id=row.pk, event=event, reason=reason)
    for path in (address("mine"), address("loan", row.pk)):
        assert words in text_of(browser_of(bob).get(path))


def test_a_way_out_is_beside_the_trouble(bob):
    row = store_login(contributor_id=bob.pk)
    set_state(credential_id=row.pk, event=Event.REVOKED, reason="invalid_grant")
    page = browser_of(bob).get(address("mine")).content.decode()
    assert f'href="{address("reconnect", row.pk)}"' in page
    Credential.objects.filter(pk=row.pk).update(
        state="needs_attention",
        state_reason="validation_required",
        help_url="https://accounts.example.org/verify?x=1",
    )
    page = browser_of(bob).get(address("mine")).content.decode()
    assert 'href="https://accounts.example.org/verify?x=1"' in page


def test_a_dead_key_is_replaced_in_place(bob):
    row = store_key(contributor_id=bob.pk)
    set_state(credential_id=row.pk, event=Event.REVOKED, reason="api_key_invalid")
    page = browser_of(bob).get(address("mine")).content.decode()
    assert f'href="{address("reconnect", row.pk)}"' in page


def test_pauses_hours_and_limits_are_told_from_troubles(bob):
    row = store_key(contributor_id=bob.pk)
    browser = browser_of(bob)
    pause(credential_id=row.pk)
    assert "answers nothing until you resume it" in text_of(browser.get(address("mine")))
    hour = timezone.now().hour
    Credential.objects.filter(pk=row.pk).update(
        paused_at=None, hours_from=(hour + 2) % 24, hours_to=(hour + 4) % 24
    )
    assert "not the hours you lend it" in text_of(browser.get(address("mine")))
    Credential.objects.filter(pk=row.pk).update(hours_from=None, hours_to=None, calls_a_day=5)
    Allowance.objects.create(credential=row, day=today(), taken=5)
    assert "Your limit for today is reached" in text_of(browser.get(address("mine")))
    assert "5 of 5 calls used today" in text_of(browser.get(address("loan", row.pk)))


def test_the_figures(bob):
    row = store_key(contributor_id=bob.pk)
    served(row, 7)
    served(row, 3, model="gemini-2.5-flash", days_ago=4)
    served(row, 2, status=429)
    served(row, 99, days_ago=45)
    overview = text_of(browser_of(bob).get(address("mine")))
    assert "1 lent now, 7 calls answered today" in overview
    assert "10 calls answered in 30 days, 7 today" in overview
    page = text_of(browser_of(bob).get(address("loan", row.pk)))
    assert "110 tokens in 30 days" in page
    assert "gemini-2.5-pro 7 70 7" in page
    assert "gemini-2.5-flash 3 30 3" in page


def test_the_history_is_in_words_and_names_nobody(bob):
    row = store_login(contributor_id=bob.pk)
    set_state(credential_id=row.pk, event=Event.DISABLED, by="alice-the-operator")
    set_state(credential_id=row.pk, event=Event.ENABLED, by="alice-the-operator")
    pause(credential_id=row.pk)
    page = text_of(browser_of(bob).get(address("loan", row.pk)))
    assert "paused by you" in page
    assert "switched off by the operator" in page
    assert "alice" not in page


def test_no_secret_is_on_any_page(bob):
    bob.webhook = {"url": "https://hooks.example.org/planted-path"}
    bob.save()
    login = store_login(contributor_id=bob.pk, email="bobby@example.org", project="p-1")
    key = store_key(contributor_id=bob.pk)
    browser = browser_of(bob)
    for path in (address("mine"), address("loan", login.pk), address("withdraw", login.pk)):
        page = browser.get(path).content.decode()
        for planted in (REFRESH_TOKEN, CLIENT_SECRET, "ya29.", api_key(), "planted-path"):
            assert planted not in page
        assert "bobby@example.org" not in page
    assert f"key …{api_key()[-4:]}" in browser.get(address("loan", key.pk)).content.decode()


def test_many_loans_cost_as_many_queries_as_two(bob):
    browser = browser_of(bob)
    for number in range(2):
        store_key(number, contributor_id=bob.pk)
    with CaptureQueriesContext(connection) as few:
        browser.get(address("mine"))
    for number in range(2, 30):
        served(store_key(number, contributor_id=bob.pk), 5)
    with CaptureQueriesContext(connection) as many:
        browser.get(address("mine"))
    assert len(many) == len(few)
    assert len(few) <= 12


def test_hundreds_of_loans_come_page_by_page_what_needs_their_contributor_first(bob):
    for number in range(60):
        row = store_key(number, contributor_id=bob.pk)
    served(row, 7)
    set_state(credential_id=row.pk, event=Event.REVOKED, reason="api_key_invalid")
    browser = browser_of(bob)
    first = browser.get(address("mine"))
    assert "60 lent now, 7 calls answered today" in text_of(first)
    content = first.content.decode()
    assert content.count("<article") == 50
    assert content.index(f'id="loan-{row.pk}"') < content.index('class="loan ok"')
    assert "page=2" in content
    assert browser.get(address("mine"), {"page": "2"}).content.decode().count("<article") == 10


def test_notices_stand_on_the_page_unless_the_state_says_them(bob):
    row = store_key(contributor_id=bob.pk)
    Notice.objects.create(credential=row, kind="login_ends", words="It will end soon.")
    Notice.objects.create(credential=row, kind="expired", words="It is over.")
    page = text_of(browser_of(bob).get(address("mine")))
    assert "It will end soon." in page
    assert "It is over." not in page


# What can be done


def test_pause_and_resume(bob):
    row = store_key(contributor_id=bob.pk)
    browser = browser_of(bob)
    response = browser.post(address("pause", row.pk), {"back": "list"})
    assert (response.status_code, response["Location"]) == (
        303,
        f"{address('mine')}#loan-{row.pk}",
    )
    row.refresh_from_db()
    assert row.paused_at is not None
    browser.post(address("pause", row.pk))
    response = browser.post(address("resume", row.pk), follow=True)
    assert "Resumed." in text_of(response)
    row.refresh_from_db()
    assert row.paused_at is None
    events = StateChange.objects.filter(credential=row).order_by("pk")
    assert list(events.values_list("event", "by")) == [
        ("paused", "contributor"),
        ("resumed", "contributor"),
    ]


def test_a_change_reaches_the_processes_by_its_number(bob):
    row = store_key(contributor_id=bob.pk)
    before = row.revision
    for path, data in (("pause", {}), ("resume", {}), ("save_limits", {"calls_a_day": "5"})):
        browser_of(bob).post(address(path, row.pk), data)
        row.refresh_from_db()
        assert row.revision > before
        before = row.revision


def test_resuming_does_not_lift_what_the_operator_decided(bob):
    row = store_key(contributor_id=bob.pk)
    pause(credential_id=row.pk)
    set_state(credential_id=row.pk, event=Event.DISABLED)
    page = text_of(browser_of(bob).post(address("resume", row.pk), follow=True))
    row.refresh_from_db()
    assert (row.state, row.paused_at) == ("disabled", None)
    assert "The operator of this site switched it off." in page


class Upstream:
    def __init__(self, *findings):
        self.findings = list(findings)
        self.asked = []

    def check(self, credential_ids):
        self.asked.append(list(credential_ids))
        return [self.findings.pop(0)]


@pytest.fixture
def google(monkeypatch):
    fake = Upstream(
        Finding(1, "", "needs licence", usable=False, detail="Get one."),
        Finding(1, "", "works", usable=True),
    )
    monkeypatch.setattr(upstream, "_upstream", fake)
    return fake


def test_testing_says_what_was_found_at_most_once_a_minute(bob, google):
    row = store_key(contributor_id=bob.pk)
    browser = browser_of(bob)
    page = text_of(browser.post(address("test_now", row.pk), follow=True))
    assert "Tested just now: needs licence. Get one." in page
    page = text_of(browser.post(address("test_now", row.pk), follow=True))
    assert "It was tested a moment ago. Try again in" in page
    assert google.asked == [[row.pk]]
    StateChange.objects.update(at=timezone.now() - timedelta(seconds=61))
    page = text_of(browser.post(address("test_now", row.pk), follow=True))
    assert "Tested just now: works." in page


LIMITS = {
    "calls_a_day": "200",
    "model_calls": "gemini-2.5-pro* 100\n\ngemini-2.5-flash: 50 calls",
    "hours_from": "22",
    "hours_to": "6",
    "hours_zone": "europe/berlin",
    "allowed_models": "*flash*, gemini-2.5-pro",
    "stop_below_percent": "20",
}


def test_limits_are_saved_and_hold(bob):
    row = store_login(contributor_id=bob.pk)
    response = browser_of(bob).post(address("save_limits", row.pk), LIMITS)
    assert response.status_code == 303
    row.refresh_from_db()
    assert row.caps == caps.Caps(
        calls_a_day=200,
        model_calls_a_day=(("gemini-2.5-flash", 50), ("gemini-2.5-pro*", 100)),
        hours=caps.Hours(22, 6, "Europe/Berlin"),
        models=("*flash*", "gemini-2.5-pro"),
        stop_below_percent=20,
    )
    assert StateChange.objects.get(credential=row).event == "limits"
    page = browser_of(bob).get(address("loan", row.pk)).content.decode()
    assert 'value="200"' in page
    assert "gemini-2.5-pro* 100" in page


def test_empty_limits_allow_everything(bob):
    row = store_login(contributor_id=bob.pk)
    browser = browser_of(bob)
    browser.post(address("save_limits", row.pk), LIMITS)
    browser.post(address("save_limits", row.pk), dict.fromkeys(LIMITS, ""))
    row.refresh_from_db()
    assert row.caps == caps.NO_CAPS


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("calls_a_day", "0", "greater than or equal to 1"),
        ("calls_a_day", "many", "whole number"),
        ("model_calls", "fine-model 5\ngemini pro 2.5 twenty", "Line 2 is not understood"),
        ("model_calls", "gemini-2.5-pro 0", "Line 1: give a number from 1"),
        ("hours_to", "", "Give both hours"),
        ("hours_zone", "Mars/Base", "“Mars/Base” is no time zone known here"),
        ("allowed_models", "gemini-2.5-pro\n<script>", "Line 2 is no model's name"),
        ("allowed_models", "\n".join(f"m-{n}" for n in range(60)), "more than 50 lines"),
        ("stop_below_percent", "100", "less than or equal to 99"),
    ],
)
def test_what_is_wrong_with_limits_is_said_and_nothing_is_saved(bob, field, value, words):
    row = store_login(contributor_id=bob.pk)
    response = browser_of(bob).post(address("save_limits", row.pk), LIMITS | {field: value})
    assert words in text_of(response)
    # At the top too: on a phone the field is far below.
    assert "Nothing is saved yet" in text_of(response).split("<h1")[0]
    row.refresh_from_db()
    assert row.caps == caps.NO_CAPS


def test_a_key_has_no_quota_to_keep_some_of(bob):
    row = store_key(contributor_id=bob.pk)
    assert "in percent" not in text_of(browser_of(bob).get(address("loan", row.pk)))
    browser_of(bob).post(address("save_limits", row.pk), LIMITS)
    row.refresh_from_db()
    assert (row.calls_a_day, row.stop_below_percent) == (200, None)


def test_how_one_is_told(bob):
    browser = browser_of(bob)
    data = {
        "name": "Bobby",
        "email": "new@example.org",
        "webhook": "https://hooks.example.org/planted",
    }
    assert browser.post(address("save_contact"), data).status_code == 303
    bob.refresh_from_db()
    assert (bob.name, bob.email) == ("Bobby", "new@example.org")
    assert bob.webhook.open() == {"url": "https://hooks.example.org/planted"}
    page = browser.get(address("mine")).content.decode()
    assert "planted" not in page
    assert signatures.signing_key(bob) in page
    browser.post(address("save_contact"), data | {"webhook": "", "email": ""})
    bob.refresh_from_db()
    assert (bob.email, bool(bob.webhook)) == ("", True)
    browser.post(address("save_contact"), {"name": "", "forget_webhook": "on"})
    bob.refresh_from_db()
    assert not bob.webhook


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"email": "bob"}, "Enter a valid email address"),
        ({"webhook": "ftp://hooks.example.org"}, "This address is no http(s) URL."),
        ({"webhook": "http://hooks.example.org"}, "begins with https://"),
        ({"webhook": "https://u:p@hooks.example.org"}, "holds a user name or password"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(bob, data, words):
    response = browser_of(bob).post(address("save_contact"), data)
    assert words in text_of(response)
    bob.refresh_from_db()
    assert (bob.email, bool(bob.webhook)) == ("bob@example.org", False)


def test_a_new_link_ends_the_old_one(bob):
    here, elsewhere = browser_of(bob), browser_of(bob)
    old = links.token_of(bob)
    response = here.post(address("renew_link"))
    bob.refresh_from_db()
    assert links.token_of(bob) != old
    assert links.token_of(bob) in response.content.decode()
    assert here.get(address("mine")).status_code == 200
    assert elsewhere.get(address("mine")).status_code == 403
    assert AuditEntry.objects.get().action == "contributors.new_link"


def test_the_link_in_a_message_ends_the_messages_and_opens_nothing(client, bob):
    token = signatures.token_of(bob)
    strict = Client(enforce_csrf_checks=True)
    assert "Send me no more e-mails" in text_of(strict.get(address("unsubscribe", token)))
    bob.refresh_from_db()
    assert bob.email == "bob@example.org"
    assert "Done" in text_of(strict.post(address("unsubscribe", token)))
    bob.refresh_from_db()
    assert bob.email == ""
    assert strict.get(address("mine")).status_code == 403
    for response in (
        client.get(address("unsubscribe", token + "x")),
        client.post(address("unsubscribe", token + "x")),
    ):
        assert response.status_code == 404
        assert "not complete" in text_of(response)


# Taking back


def test_the_confirming_page_says_what_happens(bob):
    first = store_login(contributor_id=bob.pk, project="p-1", email="bobby@example.org")
    store_login(contributor_id=bob.pk, project="p-2", email="bobby@example.org")
    page = text_of(browser_of(bob).get(address("withdraw", first.pk)))
    assert "gets no new call from this moment on" in page
    assert "for every program that uses the same login client" in page
    assert "taken back together with it: p-2" in page
    key = store_key(contributor_id=bob.pk)
    page = text_of(browser_of(bob).get(address("withdraw", key.pk)))
    assert "login client" not in page
    assert "Google AI Studio" in page


def test_taking_back_ends_on_a_receipt(bob):
    row = store_key(contributor_id=bob.pk)
    served(row, 7)
    browser = browser_of(bob)
    response = browser.post(address("withdraw", row.pk), {"revoke": "no"}, follow=True)
    assert response.redirect_chain == [(address("receipt", row.pk), 303)]
    page = text_of(response)
    assert f"key …{api_key()[-4:]} was taken back by you. It answered 7 calls." in page
    assert "calls that were under way are being waited for" in page
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor) == ("credentials.withdraw", f"contributor {bob.public_id}")
    row.refresh_from_db()
    assert row.secret.open() == {}
    # The page of the credential leads to the receipt from now on, and the overview names it.
    assert browser.get(address("loan", row.pk))["Location"] == address("receipt", row.pk)
    assert "Taken back" in text_of(browser.get(address("mine")))
    assert "This credential was taken back" in text_of(
        browser.post(address("pause", row.pk), follow=True)
    )


class Google:
    def __init__(self, answer):
        self.answer = answer

    def revoke(self, *, token, proxy=""):
        return self.answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (True, "ended: Google confirmed it"),
        (False, "Google refused to end it; the secret was destroyed here all the same"),
    ],
)
def test_the_receipt_says_what_google_answered(bob, answer, words):
    row = store_login(contributor_id=bob.pk, project="p-1", email="bobby@example.org")
    browser = browser_of(bob)
    browser.post(address("withdraw", row.pk), {"revoke": "yes"})
    assert "Google is being asked to end it" in text_of(browser.get(address("receipt", row.pk)))
    finish(credential_id=row.pk, client=Google(answer), now=timezone.now() + timedelta(seconds=10))
    response = browser.get(address("receipt", row.pk))
    assert words in text_of(response)
    linked = "https://myaccount.google.com/permissions" in response.content.decode()
    assert linked is not answer


def test_the_receipt_can_be_kept(bob, charlie):
    row = store_login(contributor_id=bob.pk, project="p-1", email="bobby@example.org")
    served(row, 7)
    browser = browser_of(bob)
    browser.post(address("withdraw", row.pk), {"revoke": "no"})
    finish(credential_id=row.pk, now=timezone.now() + timedelta(seconds=10))
    response = browser.get(address("download_receipt", row.pk, "json"))
    facts = json.loads(response.content)
    assert facts["credential"] == "bo…y@example.org"
    assert (facts["served"], facts["input_tokens"], facts["by"]) == (7, 70, "you")
    assert facts["ended_at"]
    assert facts["secret_destroyed_at"]
    assert "attachment" in response["Content-Disposition"]
    response = browser.get(address("download_receipt", row.pk, "txt"))
    assert "Served:            7 calls, 70 tokens in, 7 tokens out" in response.content.decode()
    foreign = browser_of(charlie).get(address("download_receipt", row.pk, "json"))
    assert foreign.status_code == 404


def test_a_single_call_is_a_call(bob):
    row = store_login(contributor_id=bob.pk)
    served(row, 1)
    browser = browser_of(bob)
    browser.post(address("withdraw", row.pk), {"revoke": "no"})
    receipt = browser.get(address("download_receipt", row.pk, "txt")).content.decode()
    assert "Served:            1 call, 10 tokens in, 1 token out" in receipt


def test_a_receipt_of_what_is_still_lent_does_not_exist(bob):
    row = store_login(oauth_secret(), contributor_id=bob.pk)
    assert browser_of(bob).get(address("receipt", row.pk)).status_code == 404
