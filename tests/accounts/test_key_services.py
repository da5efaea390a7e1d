"""Keys are edited, rotated, begun, batched, fetched, switched and deleted."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts import keys, links, selectors, services
from accounts.models import ApiKey, Group, KeyClaim, KeyTemplate
from gateway.lib.errors import Conflict, InvalidRequest, PermissionDenied
from gateway.lib.models import Revision
from quotas.models import Balance, Entry, Limits
from quotas.selectors import prove
from tests.accounts.conftest import CREDIT

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def fresh(key):
    return ApiKey.objects.get(pk=key.pk)


def record(key):
    [found] = selectors.principals_by_public_id([key.public_id])
    return found


def at_once(count, work):
    """What `count` threads that begin together come to: results, or the exceptions' classes."""
    ready = threading.Barrier(count)
    results = []

    def run():
        ready.wait()
        try:
            results.append(work())
        except Exception as exc:  # noqa: BLE001 - what is raised is what is looked at
            results.append(type(exc))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class TestEditing:
    def test_what_is_named_changes_and_nothing_else(self, bob, issue):
        key, _ = issue(description="Old", notes="kept", limits={"rpm": 5, "concurrency": 2})
        before = fresh(key).revision
        services.edit_key(key=key, changes={"description": "New", "owner": bob}, limits={"rpm": 9})
        now = fresh(key)
        assert (now.description, now.notes, now.owner) == ("New", "kept", bob)
        assert (now.limits.rpm, now.limits.concurrency) == (9, 2)
        assert now.revision > before

    def test_an_edit_does_not_undo_what_happened_meanwhile(self, issue):
        key, _ = issue()
        stale = fresh(key)
        services.revoke_key(key=key)
        services.edit_key(key=stale, changes={"description": "New"})
        assert fresh(key).revoked_at is not None

    def test_the_quota_is_a_total(self, issue):
        key, _ = issue(quota_micros=10 * CREDIT)
        services.edit_key(key=key, changes={"quota_micros": 4 * CREDIT}, actor="alice")
        assert fresh(key).balance.total_micros == 4 * CREDIT
        services.edit_key(key=key, changes={"quota_micros": None})
        assert fresh(key).balance.open_ended
        assert Entry.objects.filter(actor="alice", amount_micros=-6 * CREDIT).exists()

    def test_a_quota_below_what_is_used_is_refused(self, issue):
        key, _ = issue(quota_micros=10 * CREDIT)
        Balance.objects.filter(pk=key.balance_id).update(
            used_micros=6 * CREDIT, remaining_micros=4 * CREDIT
        )
        with pytest.raises(Conflict):
            services.edit_key(key=key, changes={"quota_micros": 5 * CREDIT})
        assert fresh(key).balance.total_micros == 10 * CREDIT

    def test_what_was_charged_today_counts_for_a_new_limit_of_the_day(self, issue):
        key, _ = issue()
        Entry.objects.create(
            balance=key.balance, kind="settle", amount_micros=3 * CREDIT, request_id="r1"
        )
        services.edit_key(key=key, changes={}, limits={"day_micros": 5 * CREDIT})
        assert fresh(key).balance.day_micros == 3 * CREDIT

    def test_what_cannot_be_stored_is_refused(self, issue):
        key, _ = issue()
        with pytest.raises(ValidationError):
            services.edit_key(key=key, changes={"description": "x" * 201})

    def test_days_that_run_already_are_counted_anew(self, issue):
        key, _ = issue(lifetime_days=7)
        services.mark_keys_used(key_ids=[key.pk], at=NOON)
        services.edit_key(key=key, changes={"lifetime_days": 9})
        assert fresh(key).expires_at == NOON + timedelta(days=9)

    def test_credits_are_given_and_taken(self, issue):
        key, _ = issue(quota_micros=10 * CREDIT)
        services.give_credits(key=key, amount_micros=5 * CREDIT, reason="prize")
        services.give_credits(key=key, amount_micros=-12 * CREDIT)
        assert fresh(key).balance.remaining_micros == 3 * CREDIT
        with pytest.raises(Conflict, match="Only 3 credits"):
            services.give_credits(key=key, amount_micros=-4 * CREDIT)
        assert prove()[1] == []

    @pytest.mark.parametrize("amount", [0, 10**18])
    def test_what_no_balance_holds_is_refused(self, issue, amount):
        key, _ = issue()
        with pytest.raises(InvalidRequest):
            services.give_credits(key=key, amount_micros=amount)

    def test_a_key_without_a_limit_takes_no_credits(self, issue):
        key, _ = issue(quota_micros=None)
        with pytest.raises(Conflict):
            services.give_credits(key=key, amount_micros=CREDIT)


class TestSwitching:
    def test_what_an_operator_switched_off_its_owner_cannot_switch_on(self, bob, issue):
        key, _ = issue(owner=bob)
        services.set_key_active(key=key, is_active=False)
        with pytest.raises(Conflict):
            services.set_key_active(key=key, is_active=True, by_owner=True)
        services.set_key_active(key=key, is_active=True)
        services.set_key_active(key=key, is_active=False, by_owner=True)
        services.set_key_active(key=key, is_active=True, by_owner=True)
        assert fresh(key).is_active

    def test_a_deleted_key_is_gone_but_for_the_books(self, issue):
        key, _ = issue()
        services.delete_key(key=key)
        assert selectors.principals_by_public_id([key.public_id]) == []
        changed, _ = selectors.changed_public_ids_since(0)
        assert key.public_id in changed
        assert fresh(key).state_at(timezone.now()) == "deleted"
        assert Balance.objects.filter(pk=key.balance_id).exists()

    @pytest.mark.parametrize(
        "change",
        [
            lambda key: services.delete_key(key=key),
            lambda key: services.set_key_active(key=key, is_active=True),
            lambda key: services.rotate_key(key=key),
            lambda key: services.edit_key(key=key, changes={"description": "New"}),
            lambda key: services.give_credits(key=key, amount_micros=CREDIT),
        ],
    )
    def test_a_deleted_key_cannot_be_changed(self, issue, change):
        key, _ = issue()
        stale = fresh(key)
        services.delete_key(key=key)
        with pytest.raises(Conflict, match="deleted"):
            change(stale)

    def test_many_are_switched_off_but_not_those_that_are_revoked(self, issue):
        rows = [issue()[0] for _ in range(3)]
        services.revoke_key(key=rows[0])
        before = Revision.objects.get(topic="keys").number
        changed = services.change_many(action="disable", key_ids=[row.pk for row in rows])
        assert set(changed) == {rows[1].public_id, rows[2].public_id}
        assert {fresh(row).is_active for row in rows} == {False}
        assert {fresh(row).revision for row in rows[1:]} == {before + 1}

    def test_many_get_credits_and_the_books_agree(self, issue):
        rows = [issue(quota_micros=CREDIT)[0] for _ in range(3)]
        endless, _ = issue(quota_micros=None)
        ids = [row.pk for row in rows]
        changed = services.change_many(
            action="grant", key_ids=[*ids, endless.pk], amount_micros=5 * CREDIT, actor="alice"
        )
        assert len(changed) == 3
        assert {fresh(row).balance.remaining_micros for row in rows} == {6 * CREDIT}
        assert prove()[1] == []

    @pytest.mark.parametrize("amount", [0, -CREDIT, 10**18])
    def test_no_amount_that_cannot_be_given_changes_one(self, issue, amount):
        key, _ = issue()
        with pytest.raises(InvalidRequest):
            services.change_many(action="grant", key_ids=[key.pk], amount_micros=amount)
        assert fresh(key).balance.total_micros == 10 * CREDIT


class TestRotation:
    def test_the_old_secret_works_as_long_as_was_said(self, issue):
        key, old = issue()
        before = timezone.now()
        key, new = services.rotate_key(key=key, overlap_hours=2)
        found = record(key)
        assert keys.public_id_of(new) == keys.public_id_of(old)
        assert keys.matches(new, found.digest)
        assert keys.matches(old, found.previous_digest)
        assert 0 <= found.previous_until - (before + timedelta(hours=2)).timestamp() < 60

    def test_without_overlap_the_old_secret_is_forgotten(self, issue):
        key, old = issue()
        key, _ = services.rotate_key(key=key)
        assert (record(key).previous_digest, record(key).previous_until) == ("", 0.0)
        assert not keys.matches(old, record(key).digest)

    def test_a_second_rotation_ends_the_first_secret(self, issue):
        key, first = issue()
        key, second = services.rotate_key(key=key, overlap_hours=168)
        key, _ = services.rotate_key(key=key, overlap_hours=1)
        assert keys.matches(second, record(key).previous_digest)
        assert not keys.matches(first, record(key).previous_digest)

    def test_an_overlap_is_ended(self, issue):
        key, _ = issue()
        key, _ = services.rotate_key(key=key, overlap_hours=5)
        services.end_overlap(key=key)
        assert (record(key).previous_digest, record(key).previous_until) == ("", 0.0)

    @pytest.mark.parametrize("hours", [-1, 169])
    def test_overlaps_have_bounds(self, issue, hours):
        key, _ = issue()
        with pytest.raises(InvalidRequest):
            services.rotate_key(key=key, overlap_hours=hours)

    def test_a_revoked_key_is_not_rotated(self, issue):
        key, _ = issue()
        services.revoke_key(key=key)
        with pytest.raises(Conflict):
            services.rotate_key(key=key)

    def test_neither_secret_is_stored(self, issue):
        key, old = issue()
        key, new = services.rotate_key(key=key, overlap_hours=1)
        stored = repr(ApiKey.objects.values().get())
        assert old[15:] not in stored
        assert new[15:] not in stored


class TestFirstUse:
    def test_its_days_begin_with_the_first_use(self, issue):
        key, _ = issue(lifetime_days=3)
        assert record(key).unused
        before = fresh(key).revision
        services.mark_keys_used(key_ids=[key.pk], at=NOON)
        services.mark_keys_used(key_ids=[key.pk], at=NOON + timedelta(hours=5))
        now = fresh(key)
        assert (now.first_used_at, now.expires_at) == (NOON, NOON + timedelta(days=3))
        assert now.revision == before + 1
        assert not record(key).unused

    def test_a_fixed_end_that_comes_earlier_stays(self, issue):
        key, _ = issue(lifetime_days=3, expires_at=NOON + timedelta(days=1))
        services.mark_keys_used(key_ids=[key.pk], at=NOON)
        assert fresh(key).expires_at == NOON + timedelta(days=1)

    def test_other_keys_take_no_number(self, issue):
        key, _ = issue()
        before = Revision.objects.get(topic="keys").number
        services.mark_keys_used(key_ids=[key.pk], at=NOON)
        assert Revision.objects.get(topic="keys").number == before
        assert fresh(key).first_used_at is None

    @pytest.mark.django_db(transaction=True)
    def test_it_happens_once_however_many_see_it(self, issue):
        key, _ = issue(lifetime_days=3)
        before = fresh(key).revision
        moments = iter([NOON + timedelta(seconds=n) for n in range(8)])
        lock = threading.Lock()

        def use():
            with lock:
                at = next(moments)
            services.mark_keys_used(key_ids=[key.pk], at=at)
            return fresh(key).expires_at

        ends = at_once(8, use)
        assert len(set(ends)) == 1
        assert fresh(key).expires_at == fresh(key).first_used_at + timedelta(days=3)
        assert fresh(key).revision == before + 1


class TestBatches:
    def test_they_are_alike_and_numbered(self, bob):
        group = Group.objects.create(name="workshop")
        made = services.issue_batch(
            count=3,
            quota_micros=5 * CREDIT,
            description="Seat",
            owner=bob,
            group=group,
            lifetime_days=7,
            limits={"rpm": 3, "allowed_models": ["*flash*"]},
            actor="alice",
        )
        rows = list(ApiKey.objects.order_by("pk"))
        assert [row.description for row in rows] == ["Seat 1", "Seat 2", "Seat 3"]
        assert len({row.limits_id for row in rows}) == len({row.balance_id for row in rows}) == 3
        for row, one in zip(rows, made, strict=True):
            assert keys.matches(one.key, record(row).digest)
            assert (row.owner, row.group, row.lifetime_days) == (bob, group, 7)
            assert (row.limits.rpm, row.limits.allowed_models) == (3, ["*flash*"])
            assert row.balance.remaining_micros == 5 * CREDIT
            assert one.key not in repr(one)
        assert prove()[1] == []
        changed, _ = selectors.changed_public_ids_since(0)
        assert set(changed) == {row.public_id for row in rows}

    @pytest.mark.parametrize("count", [0, 1001])
    def test_counts_have_bounds(self, db, count):
        with pytest.raises(InvalidRequest):
            services.issue_batch(count=count, quota_micros=CREDIT)

    def test_all_or_none(self, db):
        with pytest.raises(ValidationError):
            services.issue_batch(count=2, quota_micros=CREDIT, description="x" * 200)
        assert not Balance.objects.exists()
        assert not Limits.objects.exists()

    def test_five_hundred_take_few_statements(self, db, django_assert_max_num_queries):
        with django_assert_max_num_queries(60):
            made = services.issue_batch(
                count=500, quota_micros=CREDIT, limits={"rpm": 1}, claim_days=1
            )
        assert len(made) == KeyClaim.objects.count() == 500

    def test_a_template_is_what_they_are_made_after(self, db):
        group = Group.objects.create(name="trial")
        template = services.save_template(
            template=None,
            changes={
                "name": "Trial",
                "quota_micros": CREDIT,
                "expires_days": 30,
                "lifetime_days": 7,
                "group": group,
            },
            limits={"rpm": 3},
        )
        terms = services.terms_of_template(template)
        key, _ = services.issue_key(**terms)
        assert (key.balance.total_micros, key.group, key.lifetime_days) == (CREDIT, group, 7)
        assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)
        services.save_template(template=template, changes={}, limits={"rpm": 9})
        assert fresh(key).limits.rpm == 3
        services.delete_template(template=template)
        assert not KeyTemplate.objects.exists()
        assert fresh(key).limits.rpm == 3


class TestClaims:
    def waiting(self, **changes):
        [made] = services.issue_batch(
            **{"count": 1, "quota_micros": CREDIT, "claim_days": 7, **changes}
        )
        return made

    def test_the_secret_is_made_when_it_is_fetched(self, db):
        made = self.waiting()
        before = record(made.row).digest
        key, secret = services.claim_key(code=made.code)
        assert key.pk == made.row.pk
        assert keys.matches(secret, record(key).digest)
        assert record(key).digest != before
        assert fresh(key).revision > made.row.revision

    def test_a_link_works_once(self, db):
        made = self.waiting()
        services.claim_key(code=made.code)
        digest = record(made.row).digest
        with pytest.raises(PermissionDenied):
            services.claim_key(code=made.code)
        assert record(made.row).digest == digest

    @pytest.mark.django_db(transaction=True)
    def test_of_many_clicks_at_the_same_time_one_gets_the_key(self):
        made = self.waiting()
        got = at_once(6, lambda: services.claim_key(code=made.code)[1])
        assert sorted(map(str, got)).count(str(PermissionDenied)) == 5
        [secret] = [one for one in got if isinstance(one, str)]
        assert keys.matches(secret, record(made.row).digest)

    @pytest.mark.parametrize("how", ["late", "deleted", "revoked", "unknown"])
    def test_a_link_that_ended_gives_nothing(self, db, how):
        made = self.waiting()
        if how == "late":
            KeyClaim.objects.update(expires_at=timezone.now())
        if how == "deleted":
            services.delete_key(key=made.row)
        if how == "revoked":
            services.revoke_key(key=made.row)
        with pytest.raises(PermissionDenied):
            services.claim_key(code="guess" if how == "unknown" else made.code)

    def test_a_guess_takes_no_number(self, db):
        self.waiting()
        before = Revision.objects.get(topic="keys").number
        with pytest.raises(PermissionDenied):
            services.claim_key(code="guess")
        assert Revision.objects.get(topic="keys").number == before

    def test_another_link_ends_the_one_before(self, db):
        made = self.waiting()
        again = services.renew_claim(key=made.row)
        with pytest.raises(PermissionDenied):
            services.claim_key(code=made.code)
        assert services.claim_key(code=again.code)
        with pytest.raises(Conflict):
            services.renew_claim(key=made.row)

    def test_who_rotates_a_key_that_waits_has_it(self, db):
        made = self.waiting()
        _, secret = services.rotate_key(key=made.row)
        with pytest.raises(PermissionDenied):
            services.claim_key(code=made.code)
        assert keys.matches(secret, record(made.row).digest)

    def test_only_a_digest_of_the_code_is_stored(self, db):
        made = self.waiting()
        assert made.code not in repr(KeyClaim.objects.values().get())
        assert made.code not in repr(made)


class TestOwnKeys:
    @pytest.fixture
    def member(self, bob):
        bob.group = Group.objects.create(name="members", member_keys=2)
        bob.save()
        return bob

    def test_a_member_makes_as_many_as_the_group_allows(self, member):
        key, _ = services.make_own_key(user=member, description="Laptop", quota_micros=CREDIT)
        services.make_own_key(user=member)
        assert (key.owner, key.balance.total_micros) == (member, CREDIT)
        assert services.own_keys_left(member) == 0
        with pytest.raises(Conflict, match="2 keys already"):
            services.make_own_key(user=member)
        services.delete_key(key=key)
        services.make_own_key(user=member)

    def test_nobody_makes_keys_whom_no_group_lets(self, member, charlie):
        Group.objects.update(member_keys=0)
        for person in (member, charlie):
            with pytest.raises(PermissionDenied):
                services.make_own_key(user=person)

    def test_an_account_that_was_switched_off_makes_none(self, member):
        stale = type(member).objects.get(pk=member.pk)
        member.is_active = False
        member.save()
        with pytest.raises(PermissionDenied):
            services.make_own_key(user=stale)

    def test_a_new_key_ends_in_the_future(self, member):
        with pytest.raises(InvalidRequest):
            services.make_own_key(user=member, expires_at=timezone.now())

    @pytest.mark.django_db(transaction=True)
    def test_many_posts_at_the_same_time_make_no_more(self, member):
        got = at_once(8, lambda: services.make_own_key(user=member))
        assert got.count(Conflict) == 6
        assert ApiKey.objects.filter(owner=member).count() == 2


class TestShareLinks:
    def test_a_token_leads_to_its_key(self, issue):
        key, _ = issue()
        assert links.key_of(links.share_token(key)) == key

    def test_a_renewed_one_ends_the_others(self, issue):
        key, _ = issue()
        old = links.share_token(key)
        services.renew_share(key=key)
        assert links.key_of(old) is None
        assert links.key_of(links.share_token(fresh(key))) == key

    def test_it_outlives_a_rotation_but_not_the_key(self, issue):
        key, _ = issue()
        token = links.share_token(key)
        services.rotate_key(key=key)
        assert links.key_of(token) == key
        services.delete_key(key=key)
        assert links.key_of(token) is None

    def test_a_changed_token_leads_nowhere(self, issue):
        key, _ = issue()
        other, _ = issue()
        token = links.share_token(key)
        signature = token.partition(".")[0]
        for wrong in (
            f"{signature}.{other.public_id}.1",
            f"{signature}.{key.public_id}.2",
            f"x{token}",
            "",
            "..",
            "a" * 5000,
        ):
            assert links.key_of(wrong) is None


def test_a_batch_of_500_is_quick(db):
    """A bound that only something much slower would break; the figure is printed."""
    began = time.perf_counter()
    services.issue_batch(count=500, quota_micros=CREDIT, limits={"rpm": 1}, claim_days=1)
    print(f"500 keys in {time.perf_counter() - began:.2f} s")  # noqa: T201
