"""How a key stands: states, the tightest limit, periods that turned, credits that expire, secrets that were replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts import keys, standing
from accounts.models import ApiKey, Group, User
from accounts.standing import Secret
from quotas import services as quota_services
from quotas.models import Balance, Entry, Limits, Lot
from quotas.periods import day_of

pytestmark = pytest.mark.django_db
CREDIT = 1_000_000
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday


@pytest.fixture
def stands(issue):
    """stands(...) -> Standing of a key with ten credits; `balance` and `limits`: fields of the key's own rows."""

    def look(*, balance=None, limits=None, now=None, **changes):
        key, _ = issue(**changes)
        if balance:
            Balance.objects.filter(pk=key.balance_id).update(**balance)
        if limits:
            key.limits = Limits.objects.create(**limits)
            key.save()
        return standing.standing_of(standing.by_id(key.pk), now=now)

    return look


def spent(credits, total=10):
    return {"used_micros": credits * CREDIT, "remaining_micros": (total - credits) * CREDIT}


class TestSecrets:
    def test_a_key_is_found_by_its_whole_secret_alone(self, issue):
        key, text = issue()
        assert standing.of_secret(text).key == key
        assert standing.of_secret(text).secret is Secret.CURRENT
        wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
        assert standing.of_secret(wrong) is None
        assert standing.of_secret(text[:-1]) is None
        assert standing.of_secret(keys.mint().key) is None
        assert standing.of_secret("") is None

    def test_a_deleted_key_is_unknown(self, issue):
        key, text = issue()
        ApiKey.objects.filter(pk=key.pk).update(deleted_at=timezone.now(), is_active=False)
        assert standing.of_secret(text) is None

    @pytest.mark.parametrize(
        ("until", "secret"),
        [
            (timedelta(hours=1), Secret.REPLACING),
            (timedelta(hours=-1), Secret.REPLACED),
            (None, Secret.REPLACED),
        ],
    )
    def test_the_secret_of_before_a_rotation_is_told_apart(self, issue, until, secret):
        key, text = issue()
        key.previous_digest, key.digest = key.digest, keys.digest_of("another")
        key.previous_until = timezone.now() + until if until else None
        key.save()
        assert standing.of_secret(text).secret is secret

    def test_a_key_that_was_never_rotated_does_not_match_an_empty_digest(self, issue):
        issue()
        assert standing.of_secret("sk-" + "0" * 48) is None


class TestStates:
    @pytest.mark.parametrize(
        ("changes", "state"),
        [
            ({}, "active"),
            ({"is_active": False}, "paused"),
            ({"is_active": False, "revoked_at": NOON}, "revoked"),
            ({"expires_at": NOON}, "expired"),
        ],
    )
    def test_of_the_row(self, issue, changes, state):
        key, _ = issue()
        ApiKey.objects.filter(pk=key.pk).update(**changes)
        assert standing.standing_of(standing.by_id(key.pk)).state == state

    def test_an_owner_who_was_switched_off_takes_the_key_along(self, issue, bob):
        key, _ = issue(owner=bob)
        User.objects.filter(pk=bob.pk).update(is_active=False)
        stands = standing.standing_of(standing.by_id(key.pk))
        assert (stands.state, stands.works) == ("owner_off", False)

    def test_used_up_by_the_total_there_is_no_more_to_wait_for(self, stands):
        found = stands(balance=spent(10))
        assert (found.state, found.left_micros, found.more_at) == ("exhausted", 0, None)

    def test_used_up_by_a_day_there_is(self, stands):
        found = stands(
            limits={"day_micros": 3 * CREDIT, "time_zone": "Asia/Shanghai"},
            balance={"day": day_of(NOON.timestamp(), "Asia/Shanghai"), "day_micros": 3 * CREDIT},
            now=NOON,
        )
        assert found.state == "exhausted"
        assert found.more_at == datetime(2026, 11, 18, 16, tzinfo=UTC)

    def test_used_up_by_the_total_and_a_day_waiting_does_not_help(self, stands):
        found = stands(
            limits={"day_micros": 10 * CREDIT},
            balance={**spent(10), "day": day_of(NOON.timestamp(), ""), "day_micros": 10 * CREDIT},
            now=NOON,
        )
        assert found.more_at is None


class TestLimits:
    def test_what_is_reserved_is_neither_used_nor_left(self, stands):
        found = stands(
            balance={"reserved_micros": 4 * CREDIT, "remaining_micros": 6 * CREDIT},
        )
        (total,) = found.credits
        assert (total.used_micros, total.reserved_micros, total.left_micros) == (
            0,
            4 * CREDIT,
            6 * CREDIT,
        )

    def test_without_a_total_nothing_limits(self, stands):
        found = stands(quota_micros=None)
        assert (found.total_micros, found.left_micros, found.credits) == (None, None, ())
        assert found.state == "active"

    def test_the_tightest_of_key_owner_and_group_counts(self, issue, bob):
        group = Group.objects.create(
            name="readers",
            balance=quota_services.open_balance(total_micros=7 * CREDIT),
        )
        bob.group = group
        bob.balance = quota_services.open_balance(total_micros=8 * CREDIT)
        bob.save()
        key, _ = issue(owner=bob)
        found = standing.standing_of(standing.by_id(key.pk))
        assert [(one.scope, one.left_micros) for one in found.credits] == [
            ("k", 10 * CREDIT),
            ("u", 8 * CREDIT),
            ("g", 7 * CREDIT),
        ]
        assert (found.left_micros, found.tightest.scope) == (7 * CREDIT, "g")

    def test_members_have_their_groups_defaults_field_by_field(self, issue, bob):
        bob.group = Group.objects.create(
            name="readers", member_limits=Limits.objects.create(rpm=5, day_micros=2 * CREDIT)
        )
        bob.limits = Limits.objects.create(rpm=9)
        bob.balance = quota_services.open_balance(open_ended=True)
        bob.save()
        key, _ = issue(owner=bob)
        found = standing.standing_of(standing.by_id(key.pk))
        assert [(one.scope, one.name, one.limit) for one in found.paces] == [("u", "rpm", 9)]
        assert ("u", "day", 2 * CREDIT) in [
            (one.scope, one.name, one.limit_micros) for one in found.credits
        ]

    def test_periods_that_are_over_count_nothing(self, stands):
        yesterday = day_of(NOON.timestamp(), "") - 1
        found = stands(
            limits={"day_micros": 5, "week_micros": 50, "month_micros": 500},
            balance={"day": yesterday, "day_micros": 5, "week_micros": 6, "month_micros": 7},
            now=NOON,
        )
        used = {one.name: one.used_micros for one in found.credits if one.name != "total"}
        assert used == {"day": 0, "week": 6, "month": 7}
        resets = {one.name: one.resets_at for one in found.credits if one.resets_at}
        assert resets == {
            "day": datetime(2026, 11, 19, tzinfo=UTC),
            "week": datetime(2026, 11, 23, tzinfo=UTC),
            "month": datetime(2026, 12, 1, tzinfo=UTC),
        }

    def test_what_is_allowed_is_told_with_whose_word_it_is(self, stands):
        found = stands(limits={"allowed_models": ["gemini-2.5-*"]})
        assert found.allowed("models") == (("k", ("gemini-2.5-*",)),)
        assert found.allowed("networks") == ()


class TestExpiring:
    def lot(self, key, left, days):
        entry = Entry.objects.create(
            balance_id=key.balance_id, kind=Entry.Kind.REDEEM, amount_micros=0
        )
        return Lot.objects.create(
            balance_id=key.balance_id,
            entry=entry,
            left_micros=left * CREDIT,
            expires_at=timezone.now() + timedelta(days=days),
        )

    def test_what_was_used_since_is_taken_from_the_first(self, issue):
        key, _ = issue()
        first, second = self.lot(key, 3, 1), self.lot(key, 4, 2)
        Balance.objects.filter(pk=key.balance_id).update(**spent(2))
        found = standing.standing_of(standing.by_id(key.pk)).expiring
        assert [(one.micros, one.at) for one in found] == [
            (1 * CREDIT, first.expires_at),
            (4 * CREDIT, second.expires_at),
        ]
        Balance.objects.filter(pk=key.balance_id).update(shared_out_micros=2 * CREDIT)
        found = standing.standing_of(standing.by_id(key.pk)).expiring
        assert [one.micros for one in found] == [3 * CREDIT, 4 * CREDIT]

    def test_what_is_spent_or_over_is_not_told(self, issue):
        key, _ = issue()
        self.lot(key, 3, -1)
        self.lot(key, 2, 1)
        Balance.objects.filter(pk=key.balance_id).update(**spent(2))
        assert standing.standing_of(standing.by_id(key.pk)).expiring == ()


def test_a_look_takes_few_queries(issue, bob, django_assert_max_num_queries):
    bob.group = Group.objects.create(
        name="readers",
        balance=quota_services.open_balance(total_micros=CREDIT),
        limits=Limits.objects.create(rpm=3),
    )
    bob.balance = quota_services.open_balance(total_micros=CREDIT)
    bob.save()
    _, text = issue(owner=bob)
    with django_assert_max_num_queries(5):
        standing.standing_of(standing.of_secret(text).key)
