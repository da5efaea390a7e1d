"""/keys, /api-key-admin and /claim."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import keys, links, services
from accounts.models import ApiKey, Group, KeyClaim, KeyTemplate
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import Conflict
from quotas.services import open_balance, save_limits
from tests.accounts.conftest import CREDIT

MINE = "/keys"
ALL = "/api-key-admin"
WHOLE_KEY = re.compile(r"sk-[0-9A-Za-z]{48}")
CLAIM = re.compile(r"http://testserver(/claim/[\w-]+)")
TERMS = {"description": "", "quota_micros": "", "owner": "", "group": "", "expires_at": ""}


@pytest.fixture
def member(client, bob):
    bob.group = Group.objects.create(name="members", member_keys=2)
    bob.save()
    client.force_login(bob)
    return client


@pytest.fixture
def panel(client, alice):
    client.force_login(alice)
    return client


def page(answer, status=200):
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def mine(key, action):
    return f"{MINE}/{key.public_id}/{action}"


def told_nowhere(secret):
    """But in the answer itself: neither in a session nor in the audit log."""
    stored = "".join(Session.objects.values_list("session_data", flat=True))
    return secret[15:] not in stored + repr(list(AuditEntry.objects.values()))


class TestMyKeys:
    def test_strangers_are_sent_to_sign_in(self, client, db):
        for path in (MINE, ALL, f"{ALL}/new", f"{ALL}/batch", f"{ALL}/templates"):
            assert client.get(path).status_code == 302, path

    def test_a_key_is_made_and_shown_once(self, member, bob):
        form = {"description": "Laptop", "quota_micros": "2.5", "expires_days": "30"}
        answer = member.post(f"{MINE}/new", form)
        [secret] = set(WHOLE_KEY.findall(page(answer)))
        row = ApiKey.objects.get(owner=bob)
        assert keys.matches(secret, row.digest)
        assert "no-store" in answer["Cache-Control"]
        assert row.balance.total_micros == 2_500_000
        assert 29 <= (row.expires_at - timezone.now()).days <= 30
        assert told_nowhere(secret)
        listed = page(member.get(MINE))
        assert not WHOLE_KEY.search(listed)
        assert "Laptop" in listed
        assert "You may make 1 more." in listed

    def test_no_more_than_the_group_allows(self, member):
        for _ in range(2):
            member.post(f"{MINE}/new", {"description": "x"})
        assert "2 keys already" in page(member.post(f"{MINE}/new", {"description": "x"}), 409)
        assert ApiKey.objects.count() == 2

    @pytest.mark.parametrize(
        "form",
        [
            {"description": ""},
            {"description": "x" * 201},
            {"description": "x", "quota_micros": "-1"},
            {"description": "x", "quota_micros": "NaN"},
            {"description": "x", "quota_micros": "0.0000001"},
            {"description": "x", "expires_days": "99999999"},
        ],
    )
    def test_what_is_refused(self, member, form):
        assert "errorlist" in page(member.post(f"{MINE}/new", form), 400)
        assert not ApiKey.objects.exists()

    def test_what_may_be_done_with_it(self, member, bob, issue):
        key, old = issue(owner=bob, description="Old")
        member.post(mine(key, "rename"), {"description": "New"})
        member.post(mine(key, "off"))
        key.refresh_from_db()
        assert (key.description, key.is_active) == ("New", False)
        member.post(mine(key, "on"))
        answer = page(member.post(mine(key, "rotate"), {"overlap_hours": "24"}))
        [secret] = set(WHOLE_KEY.findall(answer))
        key.refresh_from_db()
        assert key.is_active
        assert keys.matches(secret, key.digest)
        assert keys.matches(old, key.previous_digest)
        assert told_nowhere(secret)
        link = links.share_link(key, "http://testserver")
        assert link in page(member.post(mine(key, "share")))
        assert link not in page(member.post(mine(key, "unshare")))
        member.post(mine(key, "delete"))
        key.refresh_from_db()
        assert key.deleted_at is not None
        page(member.get(MINE))  # tells that it is deleted
        assert key.masked not in page(member.get(MINE))
        actions = set(AuditEntry.objects.values_list("action", flat=True))
        assert actions == {
            *("keys.rename", "keys.disable", "keys.enable"),
            *("keys.rotate", "keys.share", "keys.delete"),
        }
        assert set(AuditEntry.objects.values_list("actor", flat=True)) == {"bob"}

    def test_what_the_operator_switched_off_stays_off(self, member, bob, issue):
        key, _ = issue(owner=bob)
        services.set_key_active(key=key, is_active=False)
        listed = page(member.get(MINE))
        assert "operator of this site switched it off" in listed
        assert mine(key, "on") not in listed
        member.post(mine(key, "on"))
        key.refresh_from_db()
        assert not key.is_active

    @pytest.mark.parametrize(
        "action", ["rename", "rotate", "off", "on", "delete", "share", "unshare"]
    )
    def test_somebody_elses_is_not_there(self, member, charlie, issue, action):
        key, _ = issue(owner=charlie)
        before = ApiKey.objects.values().get()
        answer = member.post(mine(key, action), {"description": "x", "overlap_hours": "0"})
        assert answer.status_code == 404
        assert ApiKey.objects.values().get() == before

    def test_a_link_changes_nothing(self, member, bob, issue):
        key, _ = issue(owner=bob)
        assert member.get(mine(key, "delete")).status_code == 405

    def test_shared_limits_and_resets_are_told(self, member, bob, issue):
        bob.balance = open_balance(total_micros=40 * CREDIT)
        bob.save()
        bob.group.member_limits = save_limits(row=None, values={"day_micros": 7 * CREDIT})
        bob.group.save()
        issue(owner=bob, limits={"week_micros": 3 * CREDIT})
        listed = page(member.get(MINE))
        text = " ".join(re.sub(r"<[^>]+>", " ", listed).split())
        assert "40 of 40 left" in text
        assert "7 of 7 left this day" in text
        assert "3 of 3 left this week" in text
        assert "anew in" in text

    def test_many_keys_take_few_queries(
        self, member, bob, many_keys, django_assert_max_num_queries
    ):
        many_keys(5000, owner=bob, limits={"day_micros": CREDIT})
        with django_assert_max_num_queries(25):
            page(member.get(MINE))


class TestAllKeys:
    def test_members_do_not_get_in(self, member, issue):
        key, _ = issue()
        for path in (ALL, f"{ALL}/new", f"{ALL}/{key.public_id}", f"{ALL}/export.csv"):
            assert member.get(path).status_code == 403, path
        for path in (f"{ALL}/many", f"{ALL}/{key.public_id}/delete"):
            assert member.post(path).status_code == 403, path

    def test_five_thousand_take_few_queries_and_little_time(
        self, panel, bob, many_keys, django_assert_max_num_queries
    ):
        many_keys(5000, owner=bob, limits={"day_micros": CREDIT, "rpm": 5})
        page(panel.get(ALL))
        with django_assert_max_num_queries(25):
            began = time.perf_counter()
            page(panel.get(ALL, {"q": "seat", "state": "active", "page": "3"}))
        print(f"/api-key-admin at 5,000 keys: {(time.perf_counter() - began) * 1000:.0f} ms")  # noqa: T201

    def test_search_and_filters(self, panel, bob, issue):
        issue(owner=bob, description="Laptop")
        issue(description="Phone")
        listed = page(panel.get(ALL, {"q": "lap"}))
        assert "Laptop" in listed
        assert "Phone" not in listed
        assert "Nothing matches" in page(panel.get(ALL, {"owner": "nobody-here"}))
        assert panel.get(ALL, {"state": "odd"}).status_code == 302

    def test_no_page_tells_a_key(self, panel, issue):
        key, secret = issue()
        for path in (ALL, f"{ALL}/{key.public_id}"):
            listed = page(panel.get(path))
            assert key.masked in listed
            assert secret[15:] not in listed
            assert key.digest not in listed

    def test_a_key_is_issued(self, panel, bob):
        form = TERMS | {
            "description": "Team",
            "quota_micros": "2.5",
            "owner": "bob",
            "expires_at": "2030-01-01T00:00:00",
            "rpm": "5",
            "day_micros": "1",
            "allowed_models": "a, *b*",
            "allowed_networks": "10.0.0.1",
            "allowed_dialects": ["openai"],
        }
        answer = panel.post(f"{ALL}/new", form)
        [secret] = set(WHOLE_KEY.findall(page(answer)))
        row = ApiKey.objects.get()
        assert keys.matches(secret, row.digest)
        assert (row.owner, row.balance.total_micros) == (bob, 2_500_000)
        assert row.expires_at.isoformat() == "2030-01-01T00:00:00+00:00"
        assert (row.limits.rpm, row.limits.day_micros) == (5, CREDIT)
        assert row.limits.allowed_models == ["a", "*b*"]
        assert row.limits.allowed_networks == ["10.0.0.1/32"]
        assert row.limits.allowed_dialects == ["openai"]
        assert told_nowhere(secret)
        assert "no-store" in answer["Cache-Control"]

    @pytest.mark.parametrize(
        ("form", "words"),
        [
            ({"quota_micros": "ten"}, "number"),
            ({"quota_micros": "1000000000001"}, "less than or equal"),
            ({"owner": "nobody-here"}, "no user"),
            ({"expires_at": "2001-01-01T00:00:00"}, "in the future"),
            ({"lifetime_days": "0"}, "greater than or equal"),
            ({"time_zone": "Moon/Base"}, "no time zone"),
            ({"allowed_networks": "here"}, "neither an address"),
            ({"allowed_models": "x" * 201}, "longer than"),
        ],
    )
    def test_what_is_refused_says_why(self, panel, form, words):
        assert words in page(panel.post(f"{ALL}/new", TERMS | form), 400)
        assert not ApiKey.objects.exists()

    def test_the_last_day_of_all_is_refused_where_it_is_over_later_than_anywhere(
        self, panel, issue, settings
    ):
        settings.TIME_ZONE = "America/New_York"
        form = TERMS | {"expires_at": "9999-12-31T23:59:59"}
        key, _ = issue()
        for path in (f"{ALL}/new", f"{ALL}/{key.public_id}"):
            assert "Take an earlier day" in page(panel.post(path, form), 400)

    def test_a_template_fills_the_form(self, panel):
        panel.post(f"{ALL}/templates/new", {"name": "Trial", "quota_micros": "50", "rpm": "3"})
        template = KeyTemplate.objects.get()
        shown = page(panel.get(f"{ALL}/new?template={template.pk}"))
        assert 'value="50"' in shown
        assert 'value="3"' in shown
        listed = page(panel.get(f"{ALL}/templates"))
        assert "Trial" in listed
        assert panel.get(f"{ALL}/new?template=999").status_code == 404
        assert panel.get(f"{ALL}/new?template=x").status_code == 200
        path = f"{ALL}/templates/{template.pk}"
        panel.post(path, {"name": "Trial 2", "quota_micros": "", "rpm": ""})
        template.refresh_from_db()
        assert (template.name, template.quota_micros, template.limits.rpm) == (
            "Trial 2",
            None,
            None,
        )
        panel.post(f"{path}/delete")
        assert not KeyTemplate.objects.exists()

    def test_only_what_was_changed_on_the_page_is_written(self, panel, bob, issue):
        key, _ = issue(
            description="Old",
            owner=bob,
            limits={"rpm": 5, "allowed_models": ["a"], "allowed_dialects": ["openai"]},
            expires_at=timezone.now() + timedelta(days=3),
        )
        before = ApiKey.objects.get()
        shown = page(panel.get(f"{ALL}/{key.public_id}"))
        form = form_of(shown)
        assert form["description"] == "Old"
        panel.post(f"{ALL}/{key.public_id}", form | {"description": "New"})
        entry = AuditEntry.objects.get(action="keys.edit")
        assert (entry.before, entry.after) == ({"description": "Old"}, {"description": "New"})
        assert ApiKey.objects.get().expires_at == before.expires_at

    def test_an_edit_that_is_refused_says_why(self, panel, issue):
        key, _ = issue()
        key.balance.used_micros, key.balance.remaining_micros = 6 * CREDIT, 4 * CREDIT
        key.balance.save()
        answer = panel.post(f"{ALL}/{key.public_id}", TERMS | {"quota_micros": "5"})
        assert "used or reserved" in page(answer, 400)

    def test_buttons(self, panel, issue):
        key, old = issue(quota_micros=CREDIT)

        def press(action, **form):
            return panel.post(f"{ALL}/{key.public_id}/{action}", form)

        press("credits", amount_micros="2")
        press("disable")
        key.refresh_from_db()
        assert (key.balance.total_micros, key.is_active) == (3 * CREDIT, False)
        press("enable")
        assert WHOLE_KEY.search(page(press("rotate", overlap_hours="1")))
        assert "End the old secret now" in page(panel.get(f"{ALL}/{key.public_id}"))
        press("end-overlap")
        key.refresh_from_db()
        assert key.previous_digest == ""
        assert "/quota/s/" in page(press("share"))
        assert press("claim-link").status_code == 302
        assert press("credits", amount_micros="x").status_code == 400
        press("revoke")
        press("delete")
        key.refresh_from_db()
        assert key.state_at(timezone.now()) == "deleted"
        assert "nothing about it can be changed" in page(panel.get(f"{ALL}/{key.public_id}"))

    def test_a_batch_is_downloaded_once(self, panel):
        form = TERMS | {"count": "3", "hand_out": "keys", "claim_days": "7", "quota_micros": "1"}
        answer = panel.post(f"{ALL}/batch", form)
        assert "attachment" in answer["Content-Disposition"]
        text = b"".join(answer.streaming_content).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == 3
        for row in rows:
            assert keys.matches(row["api_key"], ApiKey.objects.get(public_id=row["id"]).digest)
            assert told_nowhere(row["api_key"])

    def test_many_are_changed_when_it_was_confirmed(self, panel, issue):
        chosen, other = issue(description="a")[0], issue(description="b")[0]
        form = {"action": "delete", "scope": "chosen", "id": [chosen.public_id]}
        asked = page(panel.post(f"{ALL}/many", form))
        assert "1 key" in asked
        chosen.refresh_from_db()
        assert chosen.deleted_at is None
        panel.post(f"{ALL}/many", form_of(asked, at="/many"))
        chosen.refresh_from_db()
        other.refresh_from_db()
        assert chosen.deleted_at is not None
        assert other.deleted_at is None

    def test_all_that_match_get_credits(self, panel, issue):
        first, other = issue(description="seat 1")[0], issue(description="b")[0]
        form = {
            "action": "grant",
            "scope": "all",
            "query": "q=seat",
            "amount_micros": "1234.5",
        }
        asked = page(panel.post(f"{ALL}/many", form))
        assert "1,234.5 credits" in asked
        issue(description="seat 2")
        again = page(panel.post(f"{ALL}/many", form_of(asked, at="/many")))
        assert "not as many as before" in again
        panel.post(f"{ALL}/many", form_of(again, at="/many"))
        first.refresh_from_db()
        other.refresh_from_db()
        assert first.balance.total_micros == 10 * CREDIT + 1_234_500_000
        assert other.balance.total_micros == 10 * CREDIT

    @pytest.mark.parametrize(
        "form",
        [
            {"scope": "all", "query": ""},
            {"scope": "all", "query": "q="},
            {"scope": "chosen"},
            {"scope": "all", "query": "state=odd"},
            {},
        ],
    )
    def test_what_says_nothing_means_nothing(self, panel, issue, form):
        key, _ = issue()
        panel.post(f"{ALL}/many", {"action": "delete", "confirmed": "1", **form})
        key.refresh_from_db()
        assert key.deleted_at is None

    def test_csv(self, panel, issue):
        issue(description="Laptop")
        issue(description="Phone")
        answer = panel.get(f"{ALL}/export.csv", {"q": "lap"})
        text = b"".join(answer.streaming_content).decode()
        assert [row["description"] for row in csv.DictReader(io.StringIO(text))] == ["Laptop"]


class TestClaiming:
    @pytest.fixture
    def link(self, panel):
        form = TERMS | {
            "count": "2",
            "hand_out": "claim_links",
            "claim_days": "7",
            "quota_micros": "5",
            "description": "Seat",
        }
        shown = page(panel.post(f"{ALL}/batch", form))
        found = list(dict.fromkeys(CLAIM.findall(shown)))
        assert len(found) == 2
        assert not WHOLE_KEY.search(shown)
        panel.logout()
        return found[0]

    def test_looking_fetches_nothing(self, client, link):
        for _ in range(2):
            answer = client.get(link)
            assert "Seat 1" in page(answer)
            assert not WHOLE_KEY.search(page(answer))
        assert not KeyClaim.objects.filter(claimed_at__isnull=False).exists()

    def test_one_press_shows_the_key_and_the_next_says_it_is_gone(self, client, link):
        answer = client.post(link)
        [secret] = set(WHOLE_KEY.findall(page(answer)))
        row = ApiKey.objects.get(public_id=keys.public_id_of(secret))
        assert keys.matches(secret, row.digest)
        assert row.description == "Seat 1"
        assert told_nowhere(secret)
        for again in (client.post(link), client.get(link)):
            assert "has this key already" in page(again, 410)
            assert not WHOLE_KEY.search(again.content.decode())
        entry = AuditEntry.objects.get(action="keys.claim")
        assert (entry.subject, entry.address) == (f"key {row.public_id}", "127.0.0.1")

    def test_its_address_goes_nowhere_else(self, client, link):
        for answer in (client.get(link), client.post(link), client.get("/claim/guess")):
            assert answer["Referrer-Policy"] == "strict-origin"
            assert "no-store" in answer["Cache-Control"]

    def test_a_browser_may_post_its_form(self, link):
        """With the header that the answer's policy makes browsers send."""
        strict = Client(enforce_csrf_checks=True)
        token = form_of(page(strict.get(link)))["csrfmiddlewaretoken"]
        answer = strict.post(
            link, {"csrfmiddlewaretoken": token}, headers={"origin": "http://testserver"}
        )
        assert answer.status_code == 200
        assert strict.post(link).status_code == 403

    @pytest.mark.parametrize("how", ["late", "deleted", "revoked", "expired"])
    def test_a_link_that_ended(self, client, link, how):
        key = KeyClaim.objects.order_by("pk").first().key
        if how == "late":
            KeyClaim.objects.update(expires_at=timezone.now())
        if how == "deleted":
            services.delete_key(key=key)
        if how == "revoked":
            services.revoke_key(key=key)
        if how == "expired":
            ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
        if how in ("revoked", "expired"):
            with pytest.raises(Conflict, match="has ended"):
                services.renew_claim(key=key)
        for answer in (client.get(link), client.post(link)):
            assert "leads to no key" in page(answer, 410)

    def test_a_guess(self, client, db):
        assert client.get("/claim/guess").status_code == 404
        assert client.post("/claim/guess").status_code == 404

    def test_log_lines_do_not_tell_it(self, client, link, caplog):
        client.post(link)
        client.post(link)
        assert "Gone: /claim/…" in caplog.text
        assert link.rpartition("/")[2] not in caplog.text


def form_of(shown, *, at=None):
    """The fields of the page's first form that is posted to an address that ends so (None: to its own), as a browser would
    send them."""

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.fields, self.inside, self.text, self.select = {}, False, None, None

        def handle_starttag(self, tag, attributes):
            found = dict(attributes)
            if tag == "form":
                action = found.get("action", "")
                fits = action.endswith(at) if at else not action
                self.inside = found.get("method") == "post" and fits and not self.fields
            elif self.inside and tag == "input" and found.get("name"):
                if found.get("type") in ("checkbox", "radio") and "checked" not in found:
                    return
                old = self.fields.get(found["name"])
                value = found.get("value", "on" if found.get("type") == "checkbox" else "")
                self.fields[found["name"]] = [*old, value] if isinstance(old, list) else [value]
            elif self.inside and tag == "textarea":
                self.text = found["name"]
                self.fields[self.text] = [""]
            elif self.inside and tag == "select":
                self.select = found["name"]
            elif (
                self.inside
                and tag == "option"
                and self.select
                and ("selected" in found or self.select not in self.fields)
            ):
                self.fields[self.select] = [found.get("value", "")]

        def handle_data(self, data):
            if self.inside and self.text:
                self.fields[self.text][0] += data

        def handle_endtag(self, tag):
            if tag == "textarea":
                self.text = None
            if tag == "select":
                self.select = None
            if tag == "form":
                self.inside = False

    reader = Reader()
    reader.feed(shown)
    return {
        name: values[0].strip() if len(values) == 1 else values
        for name, values in reader.fields.items()
    }


def test_the_addresses_people_know():
    assert reverse("accounts:all_keys") == ALL
    assert reverse("accounts:my_keys") == MINE
