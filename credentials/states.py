"""The states of a credential, and of a credential for one model: what may follow what, and when a rest is over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    ACTIVE = "active"
    COOLING = "cooling"
    EXHAUSTED = "exhausted"
    MISSING = "missing"
    """Only of a credential for one model: its account does not have the model."""
    EXPIRED = "expired"
    NEEDS_ATTENTION = "needs_attention"
    DISABLED = "disabled"
    WITHDRAWN = "withdrawn"


class Event(StrEnum):
    SERVED = "served"
    """A call was answered."""
    PROBED = "probed"
    """A test of the credential succeeded."""
    RATE = "rate"
    QUOTA = "quota"
    MODEL_MISSING = "model_missing"
    RESTED = "rested"
    """What it rested for is over early: a new day of the upstream's, or a quota that was looked up."""
    REVOKED = "revoked"
    """Key or grant are no longer accepted, for good."""
    ATTENTION = "attention"
    """Only a person can mend it: licence, verification, ban, configuration."""
    RECONNECTED = "reconnected"
    """A new secret was stored in place."""
    ENABLED = "enabled"
    DISABLED = "disabled"
    WITHDRAWN = "withdrawn"


class IllegalMove(Exception):
    """The event means nothing in this state."""


_BY_PEOPLE = {
    Event.RECONNECTED: State.ACTIVE,
    Event.ENABLED: State.ACTIVE,
    Event.DISABLED: State.DISABLED,
    Event.WITHDRAWN: State.WITHDRAWN,
}
_BROKEN = _BY_PEOPLE | {
    Event.PROBED: State.ACTIVE,
    Event.REVOKED: State.EXPIRED,
    Event.ATTENTION: State.NEEDS_ATTENTION,
}
_IN_USE = _BROKEN | {
    Event.SERVED: State.ACTIVE,
    Event.RATE: State.COOLING,
    Event.QUOTA: State.EXHAUSTED,
    Event.MODEL_MISSING: State.MISSING,
    Event.RESTED: State.ACTIVE,
}

MOVES: Mapping[State, Mapping[Event, State]] = {
    State.ACTIVE: _IN_USE,
    State.COOLING: _IN_USE,
    # A short limit met by a call that was under way does not shorten the long rest.
    State.EXHAUSTED: _IN_USE | {Event.RATE: State.EXHAUSTED},
    State.MISSING: _IN_USE | {Event.RATE: State.MISSING, Event.QUOTA: State.MISSING},
    # Calls that were under way when it broke may still succeed or meet a limit; that mends nothing.
    State.EXPIRED: _BROKEN,
    State.NEEDS_ATTENTION: _BROKEN,
    State.DISABLED: {
        Event.ENABLED: State.ACTIVE,
        Event.DISABLED: State.DISABLED,
        Event.WITHDRAWN: State.WITHDRAWN,
    },
    State.WITHDRAWN: {Event.RECONNECTED: State.ACTIVE, Event.WITHDRAWN: State.WITHDRAWN},
}

RESTING = frozenset({State.COOLING, State.EXHAUSTED, State.MISSING})
"""States that end by themselves at their `until`."""

MODEL_EVENTS = frozenset(
    {Event.SERVED, Event.PROBED, Event.RATE, Event.QUOTA, Event.MODEL_MISSING, Event.RESTED}
)
"""Events that may concern one model of a credential; the others always concern the whole credential."""

# When the upstream gave no time (the last as CLIProxyAPI does, reference 2.8).
_DEFAULT_REST_S = {State.COOLING: 60, State.EXHAUSTED: 3600, State.MISSING: 12 * 3600}
_LONGEST_REST_S = 366 * 24 * 3600
ROUNDED_S = 1.0
"""Rests are kept in whole seconds, rounded up: by so much one may be over earlier than its `until` says."""
MAX_REASON = 80
MAX_HELP_URL = 500

_COOL_DOWNS = {
    "quota": Event.QUOTA,
    "credits": Event.QUOTA,
    "model_missing": Event.MODEL_MISSING,
}


class StateMove(Struct, frozen=True):
    """One thing learnt about a credential. `until`: epoch seconds, 0 for unknown. `whole`: for every model."""

    credential_id: int
    event: Event
    model: str = ""
    reason: str = ""
    until: float = 0.0
    help_url: str = ""
    request_id: str = ""
    whole: bool = False

    @property
    def scope(self) -> str:
        """The model it is about; "" for the whole credential."""
        return self.model if self.event in MODEL_EVENTS and not self.whole else ""


class Standing(Struct, frozen=True):
    """Where a credential, or one model of it, stands. `until`: whole epoch seconds, 0 for no end."""

    state: State = State.ACTIVE
    reason: str = ""
    until: float = 0.0
    help_url: str = ""

    def rests(self, now: float) -> bool:
        return self.state in RESTING and self.until > now


def event_of(fault: str, kind: str) -> Event | None:
    """What the `fault` and `kind` of a verdict (apiproxy.wire.types) mean for the credential; None for nothing."""
    match fault:
        case "ok":
            return Event.SERVED
        case "cool_down":
            return _COOL_DOWNS.get(kind, Event.RATE)
        case "disable":
            return Event.REVOKED if kind == "auth" else Event.ATTENTION
    return None


def move(current: State, event: Event) -> State:
    """Raises IllegalMove."""
    try:
        return MOVES[current][event]
    except KeyError:
        raise IllegalMove(f"{event} is no event of a credential that is {current}") from None


def advance(standing: Standing, change: StateMove, now: float) -> Standing:
    """The standing after the change; the same object when nothing changes. Raises IllegalMove."""
    if change.event is Event.SERVED and standing.rests(now + ROUNDED_S):
        return standing  # answered by a call that began before the rest
    lapsed = standing.state in RESTING and not standing.rests(now)
    state = move(State.ACTIVE if lapsed else standing.state, change.event)
    if state is State.MISSING and not change.model:
        raise IllegalMove("only a model can be missing")
    if state is State.ACTIVE:
        return standing if standing.state is State.ACTIVE else Standing()
    if state not in RESTING:
        after = _standing(state, change, 0.0)
        return standing if after == standing else after
    until = _rest_until(state, change.until, now)
    if state is standing.state and until <= standing.until:
        return standing
    return _standing(state, change, until)


def _standing(state: State, change: StateMove, until: float) -> Standing:
    help_url = change.help_url
    if not help_url.startswith("https://") or len(help_url) > MAX_HELP_URL:
        help_url = ""
    return Standing(state, change.reason[:MAX_REASON], until, help_url)


def _rest_until(state: State, until: float, now: float) -> float:
    if until <= 0:
        return float(math.ceil(now + _DEFAULT_REST_S[state]))
    return float(math.ceil(min(until, now + _LONGEST_REST_S)))
