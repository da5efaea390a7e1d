from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.utils import timezone

from accounts import keys, selectors, services
from accounts.models import ApiKey, SetupToken, User
from gateway.lib.errors import InvalidRequest, PermissionDenied
from quotas.models import Balance

PASSWORD = "rather-long-words"


def revision_of(key):
    return ApiKey.objects.values_list("revision", flat=True).get(pk=key.pk)


class TestPeople:
    def test_an_operator_may_do_everything(self, db):
        user = services.create_operator(username="alice", password=PASSWORD)
        user.refresh_from_db()
        assert user.is_operator
        assert user.is_staff
        assert user.is_superuser
        assert user.check_password(PASSWORD)

    @pytest.mark.parametrize("username", ["", "a b", "x" * 151])
    def test_names_that_are_not_allowed_are_refused(self, db, username):
        with pytest.raises(ValidationError):
            services.create_operator(username=username, password=PASSWORD)

    def test_a_name_is_given_once(self, alice):
        with pytest.raises(ValidationError, match="already exists"):
            services.create_operator(username="alice", password=PASSWORD)

    def test_an_empty_password_is_refused(self, db):
        with pytest.raises(ValidationError, match="password"):
            services.create_operator(username="alice", password="")
        assert not User.objects.exists()

    def test_djangos_flags_follow_the_role(self, alice):
        services.create_operator(username="anna", password="rather-long-words")
        alice.role = User.Role.STEWARD
        services.save_user(user=alice)
        alice.refresh_from_db()
        assert not alice.is_staff
        assert not alice.is_superuser

    def test_a_changed_person_stamps_their_keys_alone(self, bob, issue):
        owned, _ = issue(owner=bob)
        other, _ = issue()
        before = revision_of(owned), revision_of(other)
        bob.is_active = False
        services.save_user(user=bob)
        assert revision_of(owned) > max(before)
        assert revision_of(other) == before[1]


class TestKeys:
    def test_a_key_is_issued_with_its_balance(self, bob, issue):
        expires = datetime(2030, 1, 1, tzinfo=UTC)
        row, key = issue(
            quota_micros=2_500_000,
            description="Team",
            owner=bob,
            expires_at=expires,
            allowed_models=["*flash*"],
        )
        row.refresh_from_db()
        assert keys.public_id_of(key) == row.public_id
        assert keys.matches(key, row.digest)
        assert row.balance.total_micros == row.balance.remaining_micros == 2_500_000
        assert (row.owner, row.expires_at) == (bob, expires)
        assert row.limits.allowed_models == ["*flash*"]
        assert row.is_active
        assert not row.balance.open_ended

    def test_the_key_itself_is_stored_nowhere(self, issue):
        row, key = issue(description="Team")
        stored = repr(ApiKey.objects.filter(pk=row.pk).values().get())
        stored += repr(Balance.objects.values().get())
        assert key not in stored
        assert key[15:] not in stored

    def test_a_key_without_quota_is_unlimited(self, issue):
        row, _ = issue(quota_micros=None)
        assert row.balance.open_ended
        assert row.balance.total_micros == 0

    @pytest.mark.parametrize(
        "changes",
        [{"description": "x" * 201}, {"allowed_models": [""]}, {"allowed_models": [3]}],
    )
    def test_what_cannot_be_stored_opens_no_balance(self, issue, changes):
        with pytest.raises(ValidationError):
            issue(**changes)
        assert not Balance.objects.exists()

    def test_revoking_stamps_the_key_once(self, issue):
        row, _ = issue()
        before = revision_of(row)
        services.revoke_key(key=row)
        row.refresh_from_db()
        revoked_at, stamped = row.revoked_at, row.revision
        assert not row.is_active
        assert revoked_at is not None
        assert stamped > before
        services.revoke_key(key=row)
        row.refresh_from_db()
        assert (row.revoked_at, row.revision) == (revoked_at, stamped)

    def test_a_key_rests_and_works_again(self, issue):
        row, _ = issue()
        first = revision_of(row)
        services.set_key_active(key=row, is_active=False)
        second = revision_of(row)
        assert not ApiKey.objects.get(pk=row.pk).is_active
        services.set_key_active(key=row, is_active=True)
        assert ApiKey.objects.get(pk=row.pk).is_active
        assert first < second < revision_of(row)

    def test_a_revoked_key_stays_revoked_even_for_one_who_did_not_see_it(self, issue):
        row, _ = issue()
        stale = ApiKey.objects.get(pk=row.pk)
        services.revoke_key(key=row)
        with pytest.raises(InvalidRequest):
            services.set_key_active(key=stale, is_active=True)
        assert not ApiKey.objects.get(pk=row.pk).is_active

    def test_the_last_use_is_kept_to_the_minute(self, issue):
        row, _ = issue()
        other, _ = issue()
        before = revision_of(row)
        noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        services.mark_keys_used(key_ids=[row.pk], at=noon)
        services.mark_keys_used(key_ids=[row.pk], at=noon + timedelta(seconds=20))
        row.refresh_from_db()
        assert row.last_used_at == noon
        services.mark_keys_used(key_ids=[row.pk], at=noon + timedelta(minutes=2))
        row.refresh_from_db()
        other.refresh_from_db()
        assert row.last_used_at == noon + timedelta(minutes=2)
        assert row.revision == before
        assert other.last_used_at is None


class TestSetupToken:
    def test_only_a_digest_is_stored(self, db):
        token = services.make_setup_token()
        assert token not in repr(SetupToken.objects.values().get())

    def test_a_link_makes_the_first_operator_once(self, db):
        token = services.make_setup_token()
        user = services.use_setup_token(token=token, username="alice", password=PASSWORD)
        assert user.is_operator
        with pytest.raises(PermissionDenied):
            services.use_setup_token(token=token, username="mallory", password=PASSWORD)
        assert list(User.objects.values_list("username", flat=True)) == ["alice"]

    def test_another_open_link_closes_with_it(self, db):
        first, second = services.make_setup_token(), services.make_setup_token()
        services.use_setup_token(token=first, username="alice", password=PASSWORD)
        with pytest.raises(PermissionDenied):
            services.use_setup_token(token=second, username="mallory", password=PASSWORD)

    def test_a_wrong_link_makes_nobody(self, db):
        services.make_setup_token()
        with pytest.raises(PermissionDenied):
            services.use_setup_token(token="guess", username="mallory", password=PASSWORD)
        assert not User.objects.exists()

    def test_no_link_is_made_when_an_operator_exists(self, alice):
        with pytest.raises(PermissionDenied):
            services.make_setup_token()

    def test_a_refused_name_leaves_the_link_open(self, bob):
        token = services.make_setup_token()
        with pytest.raises(ValidationError):
            services.use_setup_token(token=token, username="bob", password=PASSWORD)
        assert selectors.setup_link_state(token) is selectors.LinkState.OPEN

    def test_an_old_link_makes_nobody(self, db):
        token = services.make_setup_token()
        old = timezone.now() - selectors.SETUP_LINK_LIFETIME
        SetupToken.objects.update(created_at=old)
        with pytest.raises(PermissionDenied):
            services.use_setup_token(token=token, username="mallory", password=PASSWORD)

    @pytest.mark.parametrize("same_link", [True, False])
    @pytest.mark.django_db(transaction=True)
    def test_two_at_the_same_time_make_one_operator(self, same_link):
        first = services.make_setup_token()
        second = first if same_link else services.make_setup_token()
        both_ready = threading.Barrier(2)
        made = []

        def use(token, username):
            both_ready.wait()
            try:
                made.append(
                    services.use_setup_token(token=token, username=username, password=PASSWORD)
                )
            except (PermissionDenied, OperationalError):
                # SQLite in memory tells the later one that the table is locked instead of letting it wait.
                pass
            finally:
                connection.close()

        threads = [
            threading.Thread(target=use, args=(first, "alice")),
            threading.Thread(target=use, args=(second, "mallory")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert User.objects.filter(role=User.Role.OPERATOR).count() == 1
