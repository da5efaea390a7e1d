from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.keys import public_id_of
from accounts.models import ApiKey
from credentials import caps, tasks
from credentials.models import Contributor, Credential, DailyUse
from credentials.selectors.rewards import rewards_of
from credentials.services import pause, withdraw
from credentials.services import rewards as service
from credentials.services.rewards import reward_contributors
from quotas import selectors, services
from quotas.models import Balance, Entry
from tests.credentials.samples import store_key
from tests.credentials.views.test_private import browser_of, text_of

pytestmark = pytest.mark.django_db
CREDIT = 1_000_000


@pytest.fixture(autouse=True)
def half_a_credit(settings):
    settings.REWARD_CREDITS = "0.5"


@pytest.fixture
def bob():
    return Contributor.objects.create(name="Bob")


@pytest.fixture
def lent(bob):
    credential = store_key()
    Credential.objects.filter(pk=credential.pk).update(contributor=bob)
    return credential


def today():
    return caps.upstream_day(timezone.now().timestamp())


def served(credential, calls, *, day=None, model="gemini-2.5-flash", status=200):
    row, _ = DailyUse.objects.get_or_create(
        credential=credential, day=day or today(), model=model, status=status
    )
    DailyUse.objects.filter(pk=row.pk).update(calls=row.calls + calls)


def earned(contributor):
    contributor.refresh_from_db()
    return contributor.balance.total_micros if contributor.balance else 0


def test_each_served_call_is_rewarded_once(bob, lent):
    served(lent, 3)
    served(lent, 2, model="gemini-2.5-pro")
    served(lent, 9, status=429)
    assert reward_contributors() == {"calls": 5, "credits": "2.5"}
    assert reward_contributors() == {"calls": 0, "credits": "0"}
    served(lent, 1)
    reward_contributors()
    assert earned(bob) == 3 * CREDIT
    first, second = Entry.objects.filter(kind=Entry.Kind.REWARD).order_by("id")
    assert first.reason == f"5 calls served on {today()} by credential {lent.pk}"
    assert (first.amount_micros, second.amount_micros) == (2_500_000, 500_000)
    assert selectors.prove()[1] == []


def test_days_and_credentials_have_entries_of_their_own(bob, lent):
    other = store_key(2)
    Credential.objects.filter(pk=other.pk).update(contributor=bob)
    served(lent, 1)
    served(lent, 1, day=today() - timedelta(days=1))
    served(other, 1)
    assert reward_contributors()["calls"] == 3
    assert Entry.objects.filter(kind=Entry.Kind.REWARD).count() == 3


def test_what_the_site_put_in_itself_earns_nothing(bob):
    served(store_key(), 3)
    assert reward_contributors()["calls"] == 0


def test_a_kill_in_between_leaves_nothing_half_done(bob, lent, monkeypatch):
    served(lent, 3)
    with monkeypatch.context() as patch:
        patch.setattr(service.quota_services, "move", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            reward_contributors()
    assert DailyUse.objects.get().rewarded == 0
    assert reward_contributors()["calls"] == 3
    assert earned(bob) == 1_500_000


def test_calls_from_before_the_reward_was_switched_on_are_not_paid(bob, lent, settings):
    settings.REWARD_CREDITS = "0"
    served(lent, 3)
    assert reward_contributors() == {"calls": 0}
    settings.REWARD_CREDITS = "1"
    served(lent, 1)
    assert reward_contributors()["calls"] == 1
    assert earned(bob) == CREDIT


@pytest.mark.parametrize("reward", ["0", "1"])
def test_rows_are_taken_in_the_order_in_which_calls_are_booked(
    bob, lent, settings, monkeypatch, reward
):
    """Else on PostgreSQL the two may wait for each other. Here: the order in which they are asked for."""
    settings.REWARD_CREDITS = reward
    monkeypatch.setattr(service, "_ROWS", 1)
    for model in ("c", "a", "b"):
        served(lent, 1, model=model)
    by_name = DailyUse.objects.order_by("model").values_list("pk", flat=True)
    with CaptureQueriesContext(connection) as queries:
        reward_contributors()
    updates = [
        q["sql"] for q in queries if q["sql"].startswith(f'UPDATE "{DailyUse._meta.db_table}"')
    ]
    named = [re.search(r'"id" (?:= |IN \()(\d+)', sql)[1] for sql in updates]
    assert named == [str(pk) for pk in by_name]


def test_what_was_paused_or_taken_back_keeps_what_it_earned(bob, lent):
    served(lent, 2)
    pause(credential_id=lent.pk)
    reward_contributors()
    served(lent, 2)
    withdraw(credential_id=lent.pk, revoke=False)
    reward_contributors()
    assert earned(bob) == 2 * CREDIT


class TestWithAnAccount:
    @pytest.fixture
    def account(self, bob):
        bob.user = get_user_model().objects.create_user("bob")
        bob.save()
        return bob.user

    def test_it_goes_into_the_wallet(self, account, bob, lent):
        account.balance = services.open_balance(total_micros=CREDIT)
        account.save()
        served(lent, 2)
        reward_contributors()
        account.refresh_from_db()
        assert account.balance.total_micros == 2 * CREDIT
        assert earned(bob) == 0

    def test_a_reward_is_no_limit_to_who_had_none(self, account, lent):
        served(lent, 2)
        reward_contributors()
        account.refresh_from_db()
        assert (account.balance.open_ended, account.balance.total_micros) == (True, CREDIT)


def test_the_task_does_it(bob, lent):
    served(lent, 2)
    tasks.reward_contributors()
    assert earned(bob) == CREDIT


class TestThePage:
    def mine(self, bob):
        return browser_of(bob).get(reverse("credentials:mine"))

    def test_it_says_nothing_where_nothing_is_given(self, bob, settings):
        settings.REWARD_CREDITS = "0"
        assert rewards_of(bob) is None
        assert "earned" not in text_of(self.mine(bob))

    def test_it_tells_what_was_earned_and_what_waits(self, bob, lent):
        served(lent, 4)
        reward_contributors()
        served(lent, 3)
        text = text_of(self.mine(bob))
        assert "2 credits so far, of which 2 are left" in text
        assert "3 calls wait for it now" in text
        assert f"4 calls served on {today()}" in text

    def make_key(self, bob, **options):
        return browser_of(bob, **options).post(reverse("dashboard:make_reward_key"))

    def key_in(self, response):
        return next(word for word in text_of(response).split() if word.startswith("sk-"))

    def test_a_key_is_made_once_and_then_gets_a_new_secret(self, bob, lent):
        served(lent, 4)
        reward_contributors()
        first = self.key_in(self.make_key(bob))
        bob.refresh_from_db()
        key = ApiKey.objects.get()
        assert (key.public_id, key.balance) == (public_id_of(first), bob.balance)
        assert key.masked in text_of(self.mine(bob))
        assert first not in text_of(self.mine(bob))
        second = self.key_in(self.make_key(bob))
        assert second != first
        assert ApiKey.objects.get().public_id == key.public_id
        assert Balance.objects.count() == 1

    def test_there_is_no_key_without_a_reward_or_for_strangers(self, bob, client):
        assert self.make_key(bob).status_code == 303
        assert client.post(reverse("dashboard:make_reward_key")).status_code == 403
        assert not ApiKey.objects.exists()

    def test_another_site_cannot_make_one(self, bob):
        bob.balance = services.open_balance()
        bob.save()
        assert self.make_key(bob, enforce_csrf_checks=True).status_code == 403
        assert not ApiKey.objects.exists()
