import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.models import Credential, ModelState, StateChange, moment
from credentials.services import Event, StateMove, apply_verdicts, set_state
from credentials.states import IllegalMove
from gateway.lib.models import Revision
from tests.credentials.samples import store_key, store_login

pytestmark = pytest.mark.django_db

NOW = 1_900_000_000.0


def test_a_limit_of_one_model_rests_that_model_only():
    credential = store_key()
    verdict = StateMove(
        credential_id=credential.pk,
        event=Event.RATE,
        model="gemini-2.5-pro",
        reason="rate_limited",
        until=NOW + 30,
        request_id="req_1",
    )
    assert apply_verdicts([verdict], now=NOW) == 1
    row = ModelState.objects.get()
    assert (row.model, row.state, row.reason) == ("gemini-2.5-pro", "cooling", "rate_limited")
    assert row.until.timestamp() == NOW + 30
    before, credential = credential.revision, Credential.objects.get()
    assert credential.state == "active"
    assert row.revision > before
    change = StateChange.objects.get()
    assert (change.model, change.from_state, change.to_state) == (
        "gemini-2.5-pro",
        "active",
        "cooling",
    )
    assert (change.reason, change.request_id, change.at.timestamp()) == (
        "rate_limited",
        "req_1",
        NOW,
    )


def test_a_dead_key_leaves_for_every_model_with_the_way_out():
    credential = store_key()
    verdict = StateMove(
        credential_id=credential.pk,
        event=Event.ATTENTION,
        model="gemini-2.5-pro",
        reason="validation_required",
        help_url="https://accounts.example/verify",
    )
    apply_verdicts([verdict], now=NOW)
    before = credential.revision
    credential.refresh_from_db()
    assert (credential.state, credential.state_reason) == (
        "needs_attention",
        "validation_required",
    )
    assert credential.help_url == "https://accounts.example/verify"
    assert credential.revision > before
    assert not ModelState.objects.exists()


def test_success_after_a_rest_clears_model_and_credential():
    credential = store_key()
    rests = [
        StateMove(credential_id=credential.pk, event=Event.RATE, model="m", until=NOW + 5),
        StateMove(credential_id=credential.pk, event=Event.QUOTA, until=NOW + 5, whole=True),
    ]
    apply_verdicts(rests, now=NOW)
    served = StateMove(credential_id=credential.pk, event=Event.SERVED, model="m")
    assert apply_verdicts([served], now=NOW + 1) == 0
    assert apply_verdicts([served], now=NOW + 6) == 2
    credential.refresh_from_db()
    assert (credential.state, credential.state_until) == ("active", None)
    assert ModelState.objects.get().state == "active"


def test_the_same_batch_again_changes_nothing():
    credential = store_key()
    batch = [
        StateMove(credential_id=credential.pk, event=Event.RATE, model="m", until=NOW + 5.4321),
        StateMove(credential_id=credential.pk, event=Event.REVOKED, reason="api_key_invalid"),
    ]
    assert apply_verdicts(batch, now=NOW) == 2
    revisions = [row.revision for row in (Credential.objects.get(), ModelState.objects.get())]
    assert apply_verdicts(batch, now=NOW) == 0
    assert [Credential.objects.get().revision, ModelState.objects.get().revision] == revisions
    assert StateChange.objects.count() == 2


def test_a_growing_rest_is_kept_but_is_no_news():
    credential = store_key()
    for until in (NOW + 5, NOW + 9):
        move = StateMove(
            credential_id=credential.pk, event=Event.RATE, model="m", reason="r", until=until
        )
        apply_verdicts([move], now=NOW)
    assert ModelState.objects.get().until.timestamp() == NOW + 9
    assert StateChange.objects.count() == 1


def test_an_upstream_cannot_undo_a_person():
    credential = store_key()
    set_state(credential_id=credential.pk, event=Event.DISABLED)
    moves = [
        StateMove(credential_id=credential.pk, event=event, whole=True, until=NOW + 5)
        for event in (Event.SERVED, Event.RATE, Event.REVOKED, Event.ATTENTION)
    ]
    assert apply_verdicts(moves, now=NOW) == 0
    credential.refresh_from_db()
    assert (credential.state, credential.state_reason) == ("disabled", "operator")


def test_a_verdict_on_a_credential_that_is_gone_is_passed_over():
    move = StateMove(credential_id=999, event=Event.RATE, model="m", until=NOW + 5)
    assert apply_verdicts([move], now=NOW) == 0


def test_a_whole_batch_takes_few_queries():
    credentials = [store_key(number) for number in range(100)]
    moves = [
        StateMove(credential_id=credential.pk, event=event, model="m", until=NOW + 5)
        for credential in credentials
        for event in (Event.RATE, Event.REVOKED)
    ]
    with CaptureQueriesContext(connection) as queries:
        assert apply_verdicts(moves, now=NOW) == 200
    assert len(queries) <= 12


def test_nothing_to_apply_wakes_nobody():
    assert apply_verdicts([]) == 0
    assert not Revision.objects.exists()


def test_a_person_disables_and_enables():
    credential = store_key()
    assert set_state(credential_id=credential.pk, event=Event.DISABLED).state == "disabled"
    before = Credential.objects.get().revision
    enabled = set_state(credential_id=credential.pk, event=Event.ENABLED)
    assert (enabled.state, enabled.state_reason) == ("active", "")
    assert Credential.objects.get().revision > before
    assert list(StateChange.objects.values_list("to_state", "reason")) == [
        ("active", "operator"),
        ("disabled", "operator"),
    ]


def test_withdrawing_destroys_the_secret_and_is_not_undone_by_enabling():
    credential = store_login()
    set_state(credential_id=credential.pk, event=Event.WITHDRAWN)
    credential.refresh_from_db()
    assert credential.state == "withdrawn"
    assert credential.secret.open() == {}
    with pytest.raises(IllegalMove):
        set_state(credential_id=credential.pk, event=Event.ENABLED)


def test_a_person_is_told_when_the_credential_is_gone():
    with pytest.raises(Credential.DoesNotExist):
        set_state(credential_id=999, event=Event.DISABLED)


def test_what_breaks_is_tested_soon_however_long_it_was_well():
    credential = store_key()
    Credential.objects.update(probe_at=moment(NOW + 7 * 24 * 3600), probe_failures=3)
    broken = StateMove(credential_id=credential.pk, event=Event.ATTENTION, reason="suspended")
    apply_verdicts([broken], now=NOW)
    credential.refresh_from_db()
    assert (credential.probe_at, credential.probe_failures) == (None, 0)
    # A test that finds it as broken as before must not begin anew.
    Credential.objects.update(probe_at=moment(NOW + 60), probe_failures=1)
    apply_verdicts([broken], now=NOW)
    credential.refresh_from_db()
    assert (credential.probe_at, credential.probe_failures) == (moment(NOW + 60), 1)
