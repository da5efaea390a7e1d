from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from credentials import services
from credentials.importers import parse
from credentials.models import (
    Contributor,
    Credential,
    Draining,
    Flow,
    Import,
    ImportItem,
    Revocation,
    StateChange,
)
from credentials.services import withdrawal
from credentials.services.withdrawal import finish, finish_withdrawals, withdraw
from gateway.lib.errors import UpstreamUnreachable
from gateway.lib.fields import Sealed
from gateway.lib.jobs import Job
from gateway.lib.models import Revision
from tests.credentials.samples import (
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

T0 = 1_763_000_000.0
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Google:
    """Stands for the accounts service: answers what it is told to, and remembers what it was asked."""

    def __init__(self, answer: bool | Exception = True) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def revoke(self, *, token: str, proxy: str = "") -> bool:
        self.asked.append((token, proxy))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def at(seconds: float = 0.0) -> datetime:
    return datetime.fromtimestamp(T0 + seconds, tz=UTC)


def bob() -> Contributor:
    return Contributor.objects.create(name="Bob", email="bob@example.org")


def reloaded(credential: Credential) -> Credential:
    return Credential.objects.get(pk=credential.pk)


def events(credential: Credential) -> list[tuple[str, str]]:
    rows = StateChange.objects.filter(credential=credential).order_by("at", "id")
    return list(rows.values_list("event", "reason"))


def everything_stored() -> str:
    return repr(
        [list(model.objects.values()) for model in (Credential, StateChange, ImportItem, Flow, Job)]
    )


def test_without_revocation_the_secret_is_gone_at_once():
    key = store_key(label="Bob's key", contributor_id=bob().pk)
    Credential.objects.filter(pk=key.pk).update(
        proxy=Sealed.of({"url": "socks5://u:proxy-password@h:1"})
    )
    before = Revision.objects.get(topic="credentials").number

    (row,) = withdraw(credential_id=key.pk, now=T0)

    row = reloaded(row)
    assert (row.state, row.withdrawn_at, row.secret_destroyed_at) == ("withdrawn", at(), at())
    assert row.secret.open() == {}
    assert row.proxy.open() == {}
    assert row.revocation == ""
    assert row.revision > before  # every process hears of it


def test_what_names_its_owner_goes_too_and_a_masked_name_stays():
    login = store_login(
        email="bobby@example.org",
        project="p-1",
        source="gemini-bobby@example.org-p-1.json",
        contributor_id=bob().pk,
    )
    Credential.objects.filter(pk=login.pk).update(name="gemini-bobby@example.org-p-1.json")
    batch = Import.objects.create()
    ImportItem.objects.create(
        batch=batch,
        position=0,
        source="gemini-bobby@example.org-p-1.json",
        outcome="new",
        label="bobby@example.org",
        credential=login,
        sealed={"refresh_token": REFRESH_TOKEN},
    )
    Flow.objects.create(  # began with another project of the account
        kind=Flow.Kind.GOOGLE,
        state=Flow.State.DONE,
        contributor=login.contributor,
        results=[{"label": "bobby@example.org", "credential": login.pk}],
        expires_at=at(600),
    )
    flow = Flow.objects.create(
        kind=Flow.Kind.GOOGLE,
        credential=login,
        state_digest="d" * 64,
        secret={"code_verifier": "v" * 60},
        results=[{"label": "bobby@example.org"}],
        expires_at=at(600),
    )

    withdraw(credential_id=login.pk, now=T0)

    assert reloaded(login).label == "bo…y@example.org"
    assert not ImportItem.objects.get().sealed
    flow.refresh_from_db()
    assert not flow.secret
    assert (flow.state, flow.state_digest) == (Flow.State.FAILED, None)
    stored = everything_stored()
    for planted in ("bobby@example.org", REFRESH_TOKEN, CLIENT_SECRET, "v" * 60):
        assert planted not in stored


def test_a_key_is_known_by_its_last_four_letters_afterwards():
    key = store_key(7777)
    withdraw(credential_id=key.pk)
    assert reloaded(key).label == f"key …{api_key(7777)[-4:]}"


def test_an_operator_who_withdraws_goes_the_same_way():
    login = store_login(email="bobby@example.org")
    services.set_state(credential_id=login.pk, event=services.Event.WITHDRAWN, by="alice", now=T0)
    row = reloaded(login)
    assert (row.withdrawn_at, row.secret_destroyed_at, row.email) == (at(), at(), "")
    assert StateChange.objects.get(credential=login).by == "alice"


def test_withdrawing_again_changes_nothing():
    key = store_key()
    withdraw(credential_id=key.pk, now=T0)
    withdraw(credential_id=key.pk, revoke=True, now=T0 + 50)
    row = reloaded(key)
    assert (row.withdrawn_at, row.revocation) == (at(), "")
    assert Job.objects.count() == 1


def test_an_operator_cannot_destroy_what_is_needed_to_end_the_access_at_google():
    login = store_login()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    services.set_state(credential_id=login.pk, event=services.Event.WITHDRAWN, now=T0 + 1)
    assert reloaded(login).secret.open()["refresh_token"] == REFRESH_TOKEN


def test_many_at_once_are_not_a_job_each():
    keys = [store_key(number) for number in range(10)]
    for key in keys:
        withdraw(credential_id=key.pk, now=T0)
    assert Job.objects.count() == 3
    assert finish_withdrawals(client=Google(), now=at(10)) == 10


def test_lent_again_it_is_over_with_the_withdrawal():
    lender = bob()
    key = store_key(contributor_id=lender.pk)
    withdraw(credential_id=key.pk, now=T0)
    store_key(contributor_id=lender.pk)
    row = reloaded(key)
    assert (row.state, row.withdrawn_at, row.secret_destroyed_at) == ("active", None, None)
    assert finish(credential_id=key.pk, client=Google(), now=at(10))
    assert reloaded(key).secret.open() == {"api_key": api_key()}


def test_an_import_does_not_bring_back_what_was_taken_back():
    key = store_key(contributor_id=bob().pk)
    withdraw(credential_id=key.pk, now=T0)
    (result,) = services.import_items(items=parse("keys.txt", api_key().encode()))
    assert result.outcome is services.Outcome.UNUSABLE
    assert reloaded(key).state == "withdrawn"


def test_a_key_has_no_access_at_google_to_end():
    key = store_key()
    withdraw(credential_id=key.pk, revoke=True, now=T0)
    row = reloaded(key)
    assert row.revocation == ""
    assert row.secret_destroyed_at is not None


def test_revocation_waits_until_every_process_has_heard_of_it_and_no_call_runs():
    login = store_login(contributor_id=bob().pk)
    google = Google()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    Draining.objects.create(holder_id="web-1", credential=login, calls=1, at=at(4))

    assert reloaded(login).secret.open()["refresh_token"] == REFRESH_TOKEN
    assert not finish(credential_id=login.pk, client=google, now=at(2))
    assert not finish(credential_id=login.pk, client=google, now=at(5))
    assert google.asked == []

    Draining.objects.all().delete()
    assert finish(credential_id=login.pk, client=google, now=at(6))
    assert google.asked == [(REFRESH_TOKEN, "")]
    row = reloaded(login)
    assert (row.revocation, row.secret_destroyed_at) == (Revocation.DONE, at(6))
    assert row.secret.open() == {}
    assert events(login) == [("withdrawn", ""), ("drained", ""), ("revocation", "done")]


def test_calls_of_a_process_that_died_are_not_waited_for():
    login = store_login()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    Draining.objects.create(holder_id="dead", credential=login, calls=2, at=at(1))
    assert not finish(credential_id=login.pk, client=Google(), now=at(10))
    assert finish(credential_id=login.pk, client=Google(), now=at(32))


def test_no_call_is_waited_for_longer_than_ten_minutes():
    login = store_login()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    Draining.objects.create(holder_id="web-1", credential=login, calls=1, at=at(599))
    assert not finish(credential_id=login.pk, client=Google(), now=at(599))
    assert finish(credential_id=login.pk, client=Google(), now=at(600))
    assert ("drained", "still running") in events(login)


def test_when_google_cannot_be_reached_it_is_asked_again_later_and_later_for_a_day():
    login = store_login()
    google = Google(UpstreamUnreachable("no answer"))
    withdraw(credential_id=login.pk, revoke=True, now=T0)

    asked_at = []
    for minute in range(26 * 60):
        before = len(google.asked)
        over = finish(credential_id=login.pk, client=google, now=at(60 + minute * 60))
        if len(google.asked) > before:
            asked_at.append(minute)
        if over:
            break

    assert asked_at[:7] == [0, 1, 3, 7, 15, 31, 63]
    assert {b - a for a, b in zip(asked_at[7:-1], asked_at[8:], strict=False)} == {60}
    row = reloaded(login)
    assert row.secret_destroyed_at - row.withdrawn_at >= timedelta(days=1)
    assert row.secret_destroyed_at - row.withdrawn_at <= timedelta(days=1) + HOUR
    assert row.revocation == Revocation.REFUSED
    assert row.secret.open() == {}


def test_what_google_refuses_is_destroyed_all_the_same():
    login = store_login()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    assert finish(credential_id=login.pk, client=Google(False), now=at(4))
    row = reloaded(login)
    assert (row.revocation, row.secret.open()) == (Revocation.REFUSED, {})


def test_revoking_takes_every_project_of_the_login_along():
    lender = bob()
    first = store_login(project="p-1", email="bobby@example.org", contributor_id=lender.pk)
    second = store_login(project="p-2", email="bobby@example.org", contributor_id=lender.pk)
    other_token = store_login(
        oauth_secret(refresh_token="1//another-login-of-the-same-account"),
        project="p-3",
        email="bobby@example.org",
        contributor_id=lender.pk,
    )
    strangers = store_login(
        oauth_secret(refresh_token="1//of-somebody-who-claims-the-same-address"),
        project="p-4",
        email="bobby@example.org",
        contributor_id=Contributor.objects.create().pk,
    )

    rows = withdraw(credential_id=first.pk, revoke=True, now=T0)

    assert [row.pk for row in rows] == [first.pk, second.pk, other_token.pk]
    assert reloaded(strangers).state == "active"
    # A call with the second project holds the revocation of the first back.
    Draining.objects.create(holder_id="web-1", credential=second, calls=1, at=at(4))
    assert not finish(credential_id=first.pk, client=Google(), now=at(5))


def test_the_rows_of_a_login_are_locked_in_the_order_in_which_uses_are_booked():
    """Else the two may wait for each other: booking holds the rows of a batch by ascending id."""
    first, second = store_login(project="p-1"), store_login(project="p-2")

    rows = withdraw(credential_id=second.pk, revoke=True, now=T0)

    assert [row.pk for row in rows] == [second.pk, first.pk]
    history = StateChange.objects.filter(event="withdrawn").order_by("id")
    assert list(history.values_list("credential", flat=True)) == [first.pk, second.pk]


def test_without_revocation_the_other_projects_stay_lent():
    first, second = store_login(project="p-1"), store_login(project="p-2")
    assert len(withdraw(credential_id=first.pk)) == 1
    assert reloaded(second).state == "active"
    assert reloaded(second).secret.open()["refresh_token"] == REFRESH_TOKEN


def test_the_sweep_finishes_what_a_dead_worker_left():
    login, key = store_login(), store_key()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    withdraw(credential_id=key.pk, now=T0)
    google = Google()
    assert finish_withdrawals(client=google, now=at(1)) == 0
    assert finish_withdrawals(client=google, now=at(10)) == 2
    assert finish_withdrawals(client=google, now=at(20)) == 0
    assert len(google.asked) == 1
    assert ("drained", "") in events(key)


def test_a_secret_that_fits_no_key_is_tried_for_a_day_as_the_key_may_come_back(settings):
    login = store_login()
    withdraw(credential_id=login.pk, revoke=True, now=T0)
    right, settings.ENCRYPTION_KEYS = (
        settings.ENCRYPTION_KEYS,
        ["MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="],
    )
    assert not finish(credential_id=login.pk, client=Google(), now=at(5))
    settings.ENCRYPTION_KEYS = right
    google = Google()
    assert finish(credential_id=login.pk, client=google, now=at(70))
    assert google.asked == [(REFRESH_TOKEN, "")]


def test_the_job_sees_it_through_and_holds_ids_only():
    login = store_login(contributor_id=bob().pk)
    began = time.time()
    withdraw(credential_id=login.pk, revoke=False, now=began - 10)
    job = Job.objects.get(kind=withdrawal.JOB)
    assert job.params == {"credential_ids": [login.pk]}

    class Run:
        params = job.params
        stepped = 0

        def __init__(self):
            self.job = job

        def total(self, steps):
            self.steps = steps

        def step(self, *, done=1, failed=0):
            self.stepped += done

        def result(self, **facts):
            self.facts = facts

    run = Run()
    withdrawal.run_job(run)
    assert run.stepped == 1
    assert run.facts["waiting"] == 0


def test_a_late_lookup_does_not_bring_the_address_back():
    login = store_login(email="bobby@example.org")

    class Slow:
        def fetch_email(self, *, access_token, **_):
            withdraw(credential_id=login.pk)
            return "bobby@example.org"

    services.look_up_email(credential_id=login.pk, client=Slow())
    assert reloaded(login).email == ""
