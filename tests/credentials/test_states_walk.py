"""Every event in every state, and what holds however they follow each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.states import (
    MODEL_EVENTS,
    MOVES,
    RESTING,
    Event,
    IllegalMove,
    Standing,
    State,
    StateMove,
    advance,
    move,
)

# "-": refused. The columns are the states that the event is met in.
GRID = """
               active   cooling   exhausted missing   expired  needs_attention disabled withdrawn
served         active   active    active    active    -        -               -        -
probed         active   active    active    active    active   active          -        -
rate           cooling  cooling   exhausted missing   -        -               -        -
quota          exhausted exhausted exhausted missing  -        -               -        -
model_missing  missing  missing   missing   missing   -        -               -        -
rested         active   active    active    active    -        -               -        -
revoked        expired  expired   expired   expired   expired  expired         -        -
attention      needs_attention needs_attention needs_attention needs_attention needs_attention needs_attention - -
reconnected    active   active    active    active    active   active          -        active
enabled        active   active    active    active    active   active          active   -
disabled       disabled disabled  disabled  disabled  disabled disabled        disabled -
withdrawn      withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn     withdrawn withdrawn
"""
_HEADER, *_ROWS = GRID.strip().split("\n")
CELLS = {
    (State(state), Event(event)): None if after == "-" else State(after)
    for event, *cells in (row.split() for row in _ROWS)
    for state, after in zip(_HEADER.split(), cells, strict=True)
}
PEOPLE = {Event.ENABLED, Event.DISABLED, Event.WITHDRAWN, Event.RECONNECTED}

NOW = 1_000_000.0

events = st.builds(
    StateMove,
    credential_id=st.just(1),
    event=st.sampled_from(Event),
    model=st.sampled_from(["", "m"]),
    reason=st.sampled_from(["", "because", "x" * 200]),
    until=st.one_of(
        st.just(0.0), st.floats(allow_nan=False, allow_infinity=False), st.floats(NOW, NOW + 1e6)
    ),
    help_url=st.sampled_from(["", "https://example.org/", "javascript:alert(1)"]),
    whole=st.booleans(),
)
walks = st.lists(st.tuples(events, st.floats(0, 4 * 3600)), max_size=30)


def walked(steps):
    """(before, the event, after, when) for each step that was legal."""
    standing, now = Standing(), NOW
    for change, later in steps:
        now += later
        try:
            after = advance(standing, change, now)
        except IllegalMove:
            continue
        yield standing, change, after, now
        standing = after


def test_the_grid_has_every_event_in_every_state():
    assert set(CELLS) == {(state, event) for state in State for event in Event}


@pytest.mark.parametrize(("state", "event"), sorted(CELLS))
def test_a_move(state, event):
    after = CELLS[state, event]
    if after is None:
        with pytest.raises(IllegalMove):
            move(state, event)
    else:
        assert move(state, event) is after


@given(walks)
def test_no_way_leads_around_the_grid(steps):
    for before, change, after, now in walked(steps):
        lapsed = before.state in RESTING and not before.rests(now)
        begins = State.ACTIVE if lapsed else before.state
        kept = change.event is Event.SERVED and before.rests(now)
        assert after.state is (before.state if kept else MOVES[begins][change.event])


@given(walks)
def test_a_rest_ends_and_nothing_else_does(steps):
    for _, _, after, now in walked(steps):
        if after.state in RESTING:
            assert 0 < after.until <= now + 366 * 24 * 3600 + 1
        else:
            assert after.until == 0


@given(walks)
def test_what_people_decided_only_people_undo(steps):
    """Withdrawn serves again only by a new lending, disabled only by somebody who enables it."""
    for before, change, after, _ in walked(steps):
        if before.state is State.WITHDRAWN and after.state is not State.WITHDRAWN:
            assert change.event is Event.RECONNECTED
        if before.state is State.DISABLED and after.state is not State.DISABLED:
            assert change.event in (Event.ENABLED, Event.WITHDRAWN)


@given(walks)
def test_a_call_never_mends_what_a_person_must(steps):
    for before, change, after, _ in walked(steps):
        if before.state in (State.EXPIRED, State.NEEDS_ATTENTION) and after.state is State.ACTIVE:
            assert change.event in (*PEOPLE, Event.PROBED)


@given(walks)
def test_a_whole_credential_is_never_missing(steps):
    whole = [(change, later) for change, later in steps if not change.model]
    assert all(after.state is not State.MISSING for _, _, after, _ in walked(whole))


@given(walks)
def test_what_is_kept_fits_its_column_and_is_safe_to_click(steps):
    for _, _, after, _ in walked(steps):
        assert len(after.reason) <= 80
        assert after.help_url == "" or after.help_url.startswith("https://")


@given(events)
def test_only_what_concerns_a_model_has_one_for_a_scope(change):
    assert (change.scope != "") == (
        change.event in MODEL_EVENTS and bool(change.model) and not change.whole
    )
