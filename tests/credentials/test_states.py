import pytest

from credentials.states import (
    MOVES,
    RESTING,
    Event,
    IllegalMove,
    Standing,
    State,
    StateMove,
    advance,
    event_of,
    move,
)

NOW = 1_000.0


def change(event: Event, **fields) -> StateMove:
    return StateMove(credential_id=1, event=event, **fields)


@pytest.mark.parametrize(
    ("current", "event", "after"),
    [
        (State.ACTIVE, Event.RATE, State.COOLING),
        (State.ACTIVE, Event.QUOTA, State.EXHAUSTED),
        (State.COOLING, Event.QUOTA, State.EXHAUSTED),
        (State.EXHAUSTED, Event.RATE, State.EXHAUSTED),
        (State.ACTIVE, Event.REVOKED, State.EXPIRED),
        (State.EXHAUSTED, Event.ATTENTION, State.NEEDS_ATTENTION),
        (State.COOLING, Event.SERVED, State.ACTIVE),
        (State.EXPIRED, Event.PROBED, State.ACTIVE),
        (State.EXPIRED, Event.RECONNECTED, State.ACTIVE),
        (State.NEEDS_ATTENTION, Event.ENABLED, State.ACTIVE),
        (State.COOLING, Event.DISABLED, State.DISABLED),
        (State.DISABLED, Event.ENABLED, State.ACTIVE),
        (State.DISABLED, Event.WITHDRAWN, State.WITHDRAWN),
        (State.WITHDRAWN, Event.RECONNECTED, State.ACTIVE),
    ],
)
def test_a_legal_move(current, event, after):
    assert move(current, event) is after


@pytest.mark.parametrize(
    ("current", "event"),
    [
        (State.DISABLED, Event.SERVED),
        (State.DISABLED, Event.RATE),
        (State.DISABLED, Event.REVOKED),
        (State.DISABLED, Event.RECONNECTED),
        (State.EXPIRED, Event.SERVED),
        (State.EXPIRED, Event.QUOTA),
        (State.NEEDS_ATTENTION, Event.SERVED),
        (State.WITHDRAWN, Event.ENABLED),
        (State.WITHDRAWN, Event.DISABLED),
        (State.WITHDRAWN, Event.PROBED),
    ],
)
def test_an_illegal_move_raises(current, event):
    with pytest.raises(IllegalMove):
        move(current, event)


def test_every_state_has_its_row_and_can_be_left_by_a_person():
    assert set(MOVES) == set(State)
    for state in set(State) - {State.WITHDRAWN}:
        assert MOVES[state][Event.WITHDRAWN] is State.WITHDRAWN
        assert MOVES[state][Event.ENABLED] is State.ACTIVE


@pytest.mark.parametrize(
    ("fault", "kind", "event"),
    [
        ("ok", "", Event.SERVED),
        ("cool_down", "rate", Event.RATE),
        ("cool_down", "quota", Event.QUOTA),
        ("cool_down", "credits", Event.QUOTA),
        ("cool_down", "model_missing", Event.MODEL_MISSING),
        ("disable", "auth", Event.REVOKED),
        ("disable", "licence", Event.ATTENTION),
        ("disable", "banned", Event.ATTENTION),
        ("client_fault", "client", None),
        ("retry", "server", None),
        ("next_credential", "capacity", None),
        ("refresh", "auth", None),
    ],
)
def test_what_a_verdict_means_for_a_credential(fault, kind, event):
    assert event_of(fault, kind) is event


def test_a_rest_ends_by_itself_and_a_new_verdict_starts_afresh():
    exhausted = Standing(State.EXHAUSTED, "daily_quota", NOW - 1)
    after = advance(exhausted, change(Event.RATE, reason="rate_limited", until=NOW + 9), NOW)
    assert after == Standing(State.COOLING, "rate_limited", NOW + 9)


def test_an_answer_to_a_call_from_before_does_not_end_a_rest():
    cooling = Standing(State.COOLING, "rate_limited", NOW + 60)
    assert advance(cooling, change(Event.SERVED), NOW) is cooling
    assert advance(cooling, change(Event.SERVED), NOW + 60) == Standing()
    assert advance(cooling, change(Event.PROBED), NOW) == Standing()


def test_a_trial_that_is_answered_within_the_second_of_its_rest_counts():
    """The rest was over after half a second; what is kept of it is rounded up."""
    cooling = advance(Standing(), change(Event.RATE, until=NOW + 0.5), NOW)
    assert cooling.until == NOW + 1
    assert advance(cooling, change(Event.SERVED), NOW + 0.6) == Standing()


def test_a_rest_grows_longer_but_never_shorter():
    cooling = Standing(State.COOLING, "rate_limited", NOW + 60)
    assert advance(cooling, change(Event.RATE, until=NOW + 5), NOW) is cooling
    assert advance(cooling, change(Event.RATE, until=NOW + 90), NOW).until == NOW + 90


def test_the_same_verdict_twice_changes_nothing_the_second_time():
    for event in (Event.RATE, Event.QUOTA, Event.REVOKED, Event.ATTENTION, Event.DISABLED):
        told = change(event, reason="because", until=NOW + 0.25, help_url="https://example.org/")
        once = advance(Standing(), told, NOW)
        assert advance(once, told, NOW) is once


@pytest.mark.parametrize("event", [Event.RATE, Event.QUOTA, Event.MODEL_MISSING])
def test_a_rest_without_a_time_from_the_upstream_still_ends(event):
    after = advance(Standing(), change(event, model="m"), NOW)
    assert after.state in RESTING
    assert NOW < after.until < NOW + 24 * 3600 + 1


def test_an_absurd_time_is_bounded():
    assert advance(Standing(), change(Event.QUOTA, until=1e300), NOW).until < NOW + 400 * 86400


def test_a_whole_credential_cannot_be_missing():
    with pytest.raises(IllegalMove):
        advance(Standing(), change(Event.MODEL_MISSING), NOW)


@pytest.mark.parametrize(
    "url", ["http://example.org/", "javascript:alert(1)", "https://" + "x" * 600]
)
def test_only_a_safe_address_is_kept_for_people(url):
    after = advance(Standing(), change(Event.ATTENTION, reason="licence", help_url=url), NOW)
    assert after == Standing(State.NEEDS_ATTENTION, "licence")


def test_what_concerns_one_model_and_what_the_whole_credential():
    assert change(Event.RATE, model="m").scope == "m"
    assert change(Event.RATE, model="m", whole=True).scope == ""
    assert change(Event.REVOKED, model="m").scope == ""
