"""/quota: what is told to whom, and that the key leaves no trace."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import keys, links
from accounts.models import ApiKey, Group, User
from accounts.services import issue_key
from apiproxy.models import CatalogueModel, RequestLog
from gateway.dashboard.quota import ticket
from gateway.lib.audit import AuditEntry
from quotas import services as quota_services
from quotas.models import Balance, Campaign, Entry, Hold, Limits, Price

pytestmark = pytest.mark.django_db
CREDIT = 1_000_000


@pytest.fixture(autouse=True)
def nobody_has_looked():
    cache.clear()


@pytest.fixture
def key():
    return issue_key(quota_micros=100 * CREDIT, description="Alice’s laptop")


def called(row, request_id="req_abcdefghijkl", **fields):
    facts = {
        "at": timezone.now(),
        "dialect": "openai-chat",
        "action": "generate",
        "model": "gemini-2.5-flash",
        "requested_model": "gemini-2.5-flash",
        "stream": False,
        "status": 200,
        "duration_ms": 1234,
    }
    return RequestLog.objects.create(request_id=request_id, key_id=row.pk, **facts | fields)


def settled(row, request_id="req_abcdefghijkl", *, charged=2, reserved=5, reason="answered"):
    kind = Entry.Kind.SETTLE if charged else Entry.Kind.REFUND
    return Entry.objects.create(
        balance_id=row.balance_id,
        kind=kind,
        amount_micros=charged * CREDIT,
        reserved_micros=reserved * CREDIT,
        request_id=request_id,
        reason=reason,
    )


def look(client, text, **query):
    """The page, as words with single blanks."""
    answer = client.post("/quota", {"key": text})
    assert answer.status_code == 303, answer.content.decode()
    return words(client.get("/quota", query))


def words(answer):
    assert answer.status_code == 200
    page = re.sub(r"<(style|script)\b.*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("&#x27;", "'")


# ------------------------------------------------------------------ the key leaves no trace


def test_the_key_is_typed_once_and_kept_nowhere(client, key):
    _, text = key
    form = client.get("/quota").content.decode()
    assert 'method="post"' in form
    assert 'autocomplete="off"' in form
    answer = client.post("/quota", {"key": text})
    assert (answer.status_code, answer["location"]) == (303, "/quota")
    page = client.get("/quota")
    for one in (answer, page):
        assert text not in one.content.decode()
        assert text not in str(one.headers)
        assert one["cache-control"] == "no-store"
        assert one["referrer-policy"] in ("same-origin", "no-referrer")
        assert one["x-robots-tag"] == "noindex"
    cookie = answer.cookies[ticket.COOKIE]
    assert text[15:] not in cookie.value
    assert cookie["path"] == "/quota"
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Strict", "")
    assert "sessionid" not in client.cookies


def test_a_wrong_key_is_not_put_back_into_the_page(client, key):
    wrong = keys.mint().key
    answer = client.post("/quota", {"key": wrong})
    assert answer.status_code == 422
    assert wrong not in answer.content.decode()
    assert "There is no such key here" in answer.content.decode()
    assert ticket.COOKIE not in answer.cookies


def test_failures_do_not_write_the_key_down(client, caplog, settings):
    wrong = keys.mint().key
    settings.WRONG_KEYS_PER_MINUTE = 1
    client.post("/quota", {"key": wrong})
    client.post("/quota", {"key": wrong})
    client.get(f"/quota/s/{wrong}")
    assert wrong[15:] not in caplog.text


def test_the_older_address_leads_here_without_its_query(client):
    answer = client.get("/api-key-query?api_key=sk-secret")
    assert (answer.status_code, answer["location"]) == (302, "/quota")


def test_the_forms_are_guarded_against_other_sites(key):
    strict = Client(enforce_csrf_checks=True)
    for path in ("/quota", "/quota/done", "/quota/redeem"):
        assert strict.post(path, {"key": key[1]}).status_code == 403


def test_guessing_is_slow(client, key, settings, django_assert_num_queries):
    settings.WRONG_KEYS_PER_MINUTE = 3
    for _ in range(3):
        client.post("/quota", {"key": keys.mint().key})
    with django_assert_num_queries(0):
        answer = client.post("/quota", {"key": key[1]})
    assert answer.status_code == 429
    assert 1 <= int(answer["retry-after"]) <= 61


def test_the_sites_password_is_told_apart(client, settings):
    settings.API_PASSWORD = "the-password-of-the-site"
    answer = client.post("/quota", {"key": "the-password-of-the-site"})
    assert "This is the password of this site" in answer.content.decode()


# ------------------------------------------------------------------ the ticket


def test_done_means_forgotten(client, key):
    look(client, key[1])
    client.post("/quota/done")
    assert "Show it" in words(client.get("/quota"))


def test_a_ticket_ends(client, key, monkeypatch):
    look(client, key[1])
    monkeypatch.setattr(ticket, "AGE_S", -1)
    answer = client.get("/quota")
    assert "Show it" in words(answer)
    assert answer.cookies[ticket.COOKIE].value == ""


def test_a_ticket_ends_with_its_secret_and_with_its_key(client, key):
    row, text = key
    look(client, text)
    ApiKey.objects.filter(pk=row.pk).update(digest=keys.digest_of("new"))
    assert "Show it" in words(client.get("/quota"))
    ApiKey.objects.filter(pk=row.pk).update(digest=keys.digest_of(text))
    look(client, text)
    ApiKey.objects.filter(pk=row.pk).update(deleted_at=timezone.now())
    assert "Show it" in words(client.get("/quota"))


@pytest.mark.parametrize("value", ["", "x", "a.b:1:c", "é" * 50, "x" * 5000])
def test_an_odd_ticket_is_none(client, value):
    client.cookies[ticket.COOKIE] = value
    assert "Show it" in words(client.get("/quota"))


# ------------------------------------------------------------------ what is told


def test_the_balance_adds_up(client, key):
    row, text = key
    Balance.objects.filter(pk=row.balance_id).update(
        used_micros=60_250_000, reserved_micros=10 * CREDIT, remaining_micros=29_750_000
    )
    page = look(client, text)
    assert "Alice’s laptop" in page
    assert row.masked in page
    assert "29.75 of 100" in page
    assert "used 60.25 reserved for running requests 10 left 29.75" in page


def test_without_a_limit(client):
    _, text = issue_key(quota_micros=None)
    page = look(client, text)
    assert "This key has no total limit." in page
    assert "a code would add nothing" in page


def test_every_limit_with_its_reset(client):
    group = Group.objects.create(
        name="readers",
        limits=Limits.objects.create(month_micros=500 * CREDIT, time_zone="Europe/Berlin"),
        balance=quota_services.open_balance(open_ended=True),
    )
    bob = User.objects.create_user("bob", password="rather-long-words", group=group)
    row, text = issue_key(quota_micros=100 * CREDIT, owner=bob)
    limits = Limits.objects.create(
        day_micros=5 * CREDIT, rpm=30, rpd=200, tpm=9000, concurrency=2, time_zone="Asia/Shanghai"
    )
    ApiKey.objects.filter(pk=row.pk).update(limits=limits)
    page = look(client, text)
    assert "Today 5 of 5 left" in page
    assert "This month its owner’s group 500 of 500 left" in page
    assert "Requests a minute 0 of 30 used" in page
    assert "Tokens a minute 0 of 9,000 used" in page
    assert "Requests at the same time 0 of 2 running" in page
    assert "Requests today 0 of 200 used" in page
    assert re.search(r"begins anew in \d+ (h|min|s).*?, at 00:00 Asia/Shanghai", page)
    assert "5 can be spent now: today’s limit of this key leaves no more." in page


def test_where_a_key_may_be_used_and_from_where_its_holder_looks(client, key):
    row, text = key
    limits = Limits.objects.create(allowed_networks=["10.0.0.0/8", "2001:db8::/32"])
    ApiKey.objects.filter(pk=row.pk).update(limits=limits)
    said = "Calls are taken from 10.0.0.0/8, 2001:db8::/32 only. You look from 127.0.0.1."
    assert said in look(client, text)
    shared = words(client.get(f"/quota/s/{links.share_token(ApiKey.objects.get(pk=row.pk))}"))
    assert "10.0.0.0" not in shared


def test_credits_that_expire_are_told_and_are_no_limit(client, key):
    _, text = key
    campaign = Campaign.objects.create(name="Gift", amount_micros=7 * CREDIT, credit_days=3)
    [code] = quota_services.make_codes(campaign=campaign, count=1)
    look(client, text)
    assert client.post("/quota/redeem", {"code": code}).status_code == 303
    page = words(client.get("/quota"))
    assert "107 of 107" in page
    assert "7 credits expire" in page
    assert " Limits " not in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_active": False}, "Switched off"),
        ({"is_active": False, "revoked_at": timezone.now()}, "Revoked"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "Expired"),
        ({"lifetime_days": 30}, "It works for 30 days from its first request on."),
    ],
)
def test_what_does_not_work_is_said_with_what_to_do(client, key, change, said):
    row, text = key
    ApiKey.objects.filter(pk=row.pk).update(**change)
    page = look(client, text)
    assert said in page
    assert "100 of 100" in page


def test_used_up(client, key):
    row, text = key
    Balance.objects.filter(pk=row.balance_id).update(used_micros=100 * CREDIT, remaining_micros=0)
    page = look(client, text)
    assert "Used up No credits of this key are left" in page
    assert "0 of 100" in page


def test_used_up_for_today_says_until_when(client, key):
    row, text = key
    limits = Limits.objects.create(day_micros=0)
    ApiKey.objects.filter(pk=row.pk).update(limits=limits)
    page = look(client, text)
    assert re.search(r"Used up for now .* That is .* UTC \. in \d+", page)


def test_the_last_requests_with_their_receipts(client, key):
    row, text = key
    called(row, cost_micros=2 * CREDIT, requested_model="流式抗截断/gemini-2.5-flash")
    settled(row)
    called(
        row,
        "req_mnopmnopmnop",
        status=503,
        error_code="no_credential_available",
        error="no account can take this call now",
    )
    settled(row, "req_mnopmnopmnop", charged=0, reason="no account was free")
    called(row, "req_bcdebcdebcde", status=400, error_code="invalid_request")
    page = look(client, text)
    assert "流式抗截断/gemini-2.5-flash Answered" in page
    assert "2 credits" in page
    assert "Reserved 5 Charged 2 Given back 3 Why answered" in page
    assert "Failed: no account was free" in page
    assert "Reserved 5 Charged 0 Given back 5 Why no account was free" in page
    assert "What your client was told no account can take this call now" in page
    assert "Nothing was reserved for it, so it cost nothing." in page


def test_a_stream_that_broke_off_is_told_apart_from_a_failure(client, key):
    row, text = key
    called(row, "req_a", broken=True, status=502, first_byte_ms=20)
    assert "Broke off: only what arrived was charged" in look(client, text)
    RequestLog.objects.all().update(first_byte_ms=None)
    page = words(client.get("/quota"))
    assert "Broke off" not in page
    assert "Failed: Google gave no answer that could be used" in page


def test_other_keys_requests_are_not_told(client, key):
    row, text = key
    other, _ = issue_key(quota_micros=CREDIT)
    called(other, "req_ponmponmponm")
    page = look(client, text, request="req_ponmponmponm")
    assert "No request of this key has that id" in page
    assert page.count("ponmponmponm") == 0


def test_a_request_is_explained_wherever_its_id_stands(client, key):
    row, text = key
    for number in range(25):
        called(row, f"req_{number:012}".translate(str.maketrans("0123456789", "abcdefghij")))
    called(row, "req_zzzzzzzzzzzz", waited_ms=2500)
    RequestLog.objects.filter(request_id="req_zzzzzzzzzzzz").update(
        attempts=[{"outcome": "rate"}, {"outcome": "ok"}]
    )
    for number in range(25, 50):
        called(row, f"req_{number:012}".translate(str.maketrans("0123456789", "abcdefghij")))
    page = look(client, text, request='{"message": "…  (request req_zzzzzzzzzzzz)"}')
    assert "2,500 ms of it in the queue of a limit" in page
    assert "Accounts tried before 1" in page


def test_a_request_that_runs_is_explained(client, key):
    row, text = key
    Hold.objects.create(
        request_id="req_runsrunsruns",
        balance_id=row.balance_id,
        amount_micros=7 * CREDIT,
        holder_id="x",
    )
    page = look(client, text, request="req_runsrunsruns")
    assert "7 credits are reserved for it" in page


def test_the_usage_by_model(client, key):
    row, text = key
    called(row, "req_a", cost_micros=3 * CREDIT, input_tokens=1000, output_tokens=234)
    called(row, "req_b", cost_micros=1 * CREDIT, model="gemini-2.5-pro")
    page = look(client, text, span="24h")
    assert "gemini-2.5-flash 1 1,234 3 gemini-2.5-pro 1 0 1 Together 2 1,234 4" in page
    assert "hours of UTC" in page
    odd = look(client, text, span="<script>", show="x")
    assert "days of UTC" in odd
    assert "<script>" not in client.get("/quota", {"span": "<script>"}).content.decode()


def test_what_the_site_offers_at_this_keys_price(client):
    CatalogueModel.objects.all().delete()
    for name in ("gemini-2.5-pro", "gemini-2.5-flash", "gemma-free"):
        CatalogueModel.objects.create(name=name, providers=["gemini_api"])
    Price.objects.all().delete()
    Price.objects.create(pattern="*pro*", per_call_micros=10 * CREDIT)
    Price.objects.create(
        pattern="*flash*",
        input_micros_per_million=CREDIT // 2,
        output_micros_per_million=CREDIT,
    )
    group = Group.objects.create(name="half", price_factor="0.5")
    bob = User.objects.create_user("bob", password="rather-long-words", group=group)
    row, text = issue_key(quota_micros=CREDIT, owner=bob)
    page = look(client, text)
    assert "gemini-2.5-pro 5 a request" in page
    assert "gemini-2.5-flash 0.25 per million in 0.5 per million out" in page
    assert "gemma-free free" in page
    limits = Limits.objects.create(allowed_models=["*flash*"], allowed_dialects=["gemini"])
    ApiKey.objects.filter(pk=row.pk).update(limits=limits)
    page = look(client, text)
    assert "1 of 3, as this key is for some only" in page
    assert "Base URL for Gemini clients http://testserver Copy key in" in page
    assert "Base URL for OpenAI" not in page


def test_words_of_strangers_are_harmless(client):
    row, text = issue_key(quota_micros=CREDIT, description="<b>x</b>")
    called(row, requested_model="<img src=x>", error="<script>alert(1)</script>", status=400)
    look(client, text)
    page = client.get("/quota", {"request": "\"><script>alert('2')</script>"}).content.decode()
    for text in ("<b>x", "<img src=x", "<script>alert"):
        assert text not in page


def test_a_look_takes_few_queries(client, key, django_assert_max_num_queries):
    row, text = key
    for number in range(25):
        called(row, f"req_x{number}")
        settled(row, f"req_x{number}")
    look(client, text)
    with django_assert_max_num_queries(20):
        client.get("/quota")


# ------------------------------------------------------------------ codes


def code_of(credits=25):
    campaign = Campaign.objects.create(name="Welcome", amount_micros=credits * CREDIT)
    (code,) = quota_services.make_codes(campaign=campaign, count=1)
    return code


def test_a_code_adds_its_credits_to_the_key(client, key):
    row, text = key
    code = code_of()
    look(client, text)
    answer = client.post("/quota/redeem", {"code": code.lower()}, follow=True)
    assert "25 credits were added to this key." in words(answer)
    assert "125 of 125" in words(client.get("/quota"))
    entry = AuditEntry.objects.get(action="codes.redeem")
    assert (entry.subject, entry.detail) == (
        f"key {row.pk}",
        {"campaign": "Welcome", "credits": "25"},
    )
    assert code not in str(entry.__dict__)


def test_a_code_that_is_good_for_nothing_says_why(client, key):
    look(client, key[1])
    answer = client.post("/quota/redeem", {"code": "WELCOME-NEVER"})
    assert answer.status_code == 400
    assert "There is no such code" in answer.content.decode()
    code = code_of()
    client.post("/quota/redeem", {"code": code})
    answer = client.post("/quota/redeem", {"code": code})
    assert answer.status_code == 409
    assert 'href="/quota?span=' in answer.content.decode()
    assert AuditEntry.objects.filter(action="codes.redeem").count() == 1
    assert client.post("/quota/redeem", {"code": ""}).status_code == 422


def test_without_a_key_no_code_is_redeemed(client, key):
    code = code_of()
    answer = client.post("/quota/redeem", {"code": code}, follow=True)
    assert "Show your key once more" in words(answer)
    assert Balance.objects.get(pk=key[0].balance_id).total_micros == 100 * CREDIT


# ------------------------------------------------------------------ share links, and secrets of before


@pytest.fixture
def busy(key):
    row, _ = key
    bob = User.objects.create_user("bob", password="rather-long-words")
    bob.balance = quota_services.open_balance(total_micros=777 * CREDIT)
    bob.save()
    ApiKey.objects.filter(pk=row.pk).update(owner=bob)
    called(
        row,
        status=503,
        error="no account can take this call now",
        cost_micros=0,
        error_code="no_credential_available",
    )
    settled(row, charged=0, reason="no account was free")
    return row


def tells_little(page):
    assert "100 of 100" in page
    assert "Failed: no account was free" in page
    for hidden in ("req_", "Reserved", "no account can take", "777", "Redeem", "Explain"):
        assert hidden not in page
    assert "are shown to whoever holds the key" in page


def test_a_share_link_tells_less(client, busy):
    token = links.share_token(ApiKey.objects.get(pk=busy.pk))
    answer = client.get(f"/quota/s/{token}")
    assert answer["referrer-policy"] == "no-referrer"
    assert answer["cache-control"] == "no-store"
    assert ticket.COOKIE not in answer.cookies
    tells_little(words(answer))
    assert "req_" not in client.get(f"/quota/s/{token}?request=req_abcdefghijkl").content.decode()


def test_a_share_link_does_not_tell_what_its_owner_has_left(client, busy):
    Balance.objects.filter(user__isnull=False).update(
        used_micros=734 * CREDIT, remaining_micros=43 * CREDIT
    )
    token = links.share_token(ApiKey.objects.get(pk=busy.pk))
    page = words(client.get(f"/quota/s/{token}"))
    assert "Less can be spent now: a limit of its owner or their group is tighter." in page
    assert not re.search(r"\b43 (can|of)\b", page)


def test_whoever_holds_the_key_is_told_what_its_owner_has_left(client, key, busy):
    Balance.objects.filter(user__isnull=False).update(
        used_micros=734 * CREDIT, remaining_micros=43 * CREDIT
    )
    assert "43 can be spent now: the total limit of its owner leaves no more." in look(
        client, key[1]
    )


def test_a_share_link_that_was_ended_says_so(client, key):
    row, _ = key
    token = links.share_token(row)
    ApiKey.objects.filter(pk=row.pk).update(share_version=2)
    answer = client.get(f"/quota/s/{token}")
    assert answer.status_code == 404
    assert "This link leads nowhere" in answer.content.decode()
    assert client.get("/quota/s/anything").status_code == 404
    assert client.post(f"/quota/s/{links.share_token(row)}").status_code == 405


def rotate(row, until):
    ApiKey.objects.filter(pk=row.pk).update(
        digest=keys.digest_of("the new one"),
        previous_digest=row.digest,
        previous_until=timezone.now() + until,
    )


def test_a_secret_that_was_replaced_may_look_but_sees_less(client, key, busy):
    rotate(key[0], -timedelta(hours=1))
    page = look(client, key[1])
    assert "This key was replaced A newer secret took the place" in page
    tells_little(page)
    client.post("/quota/redeem", {"code": code_of()})
    assert Balance.objects.get(pk=busy.balance_id).total_micros == 100 * CREDIT


def test_a_secret_that_still_works_sees_everything(client, key, busy):
    rotate(key[0], timedelta(hours=1))
    page = look(client, key[1])
    assert "The one you typed works until" in page
    assert "req_abcdefghijkl" in page


# ------------------------------------------------------------------ the way there


def test_the_landing_page_and_the_header_lead_here(client):
    page = client.get("/").content.decode()
    assert page.count('href="/quota"') == 2
