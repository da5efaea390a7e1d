"""What a contributor is told, when, and in which words.

    attention:<reason>   it stands still until they do something
    expired              the login or key is no longer accepted
    login_ends           a login of an OAuth client that is "in testing": Google ends it after a week (reference 1.5)
    login_unused         Google ends logins that nobody used for six months
    quota_used_up        all of the daily quota, three days in a row
    back                 it works again after one of the first two
    withdrawn            the receipt is ready

The last two are told once; the others stay open as long as what they tell of lasts, and are not told twice meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from msgspec import Struct

from credentials.states import State
from credentials.words import CONTRIBUTOR, explain

ATTENTION, EXPIRED = "attention:", "expired"
LOGIN_ENDS, LOGIN_UNUSED, QUOTA_USED_UP = "login_ends", "login_unused", "quota_used_up"
BACK, WITHDRAWN = "back", "withdrawn"

ONCE = frozenset({BACK, WITHDRAWN})
ADVICE = frozenset({QUOTA_USED_UP})
"""Good to know, no trouble: not again within a month."""
ADVICE_EVERY = timedelta(days=30)
ONCE_FOR = timedelta(days=7)
"""How long what is told once stands on the page of someone who cannot be told otherwise."""

UNUSED_AFTER = timedelta(days=150)
TESTING_LIFE = timedelta(days=7)
TESTING_SEEN = (timedelta(days=6), timedelta(days=8))
"""A login that ended at this age was one of a client in testing."""
ENDS_SOON = timedelta(hours=36)
DAYS_USED_UP = 3
MAILS_A_DAY = 3

_MAX_KIND = 30
_LAST_RETRY = timedelta(hours=6)


class Facts(Struct, frozen=True):
    """Of one lent credential. `login_ends_at`: foreseen; None for not. `unused_since`: None while it is in use."""

    provider: str
    state: str
    reason: str = ""
    login_ends_at: datetime | None = None
    unused_since: datetime | None = None
    used_up: bool = False


def kinds_of(facts: Facts) -> list[str]:
    """What is to be told as long as the facts are these."""
    kinds = []
    if facts.state == State.NEEDS_ATTENTION and _theirs(facts):
        kinds.append(f"{ATTENTION}{facts.reason}"[:_MAX_KIND])
    if facts.state == State.EXPIRED:
        kinds.append(EXPIRED)
    if facts.login_ends_at is not None:
        kinds.append(LOGIN_ENDS)
    if facts.unused_since is not None:
        kinds.append(LOGIN_UNUSED)
    if facts.used_up:
        kinds.append(QUOTA_USED_UP)
    return kinds


def _theirs(facts: Facts) -> bool:
    return explain(facts.state, facts.reason, provider=facts.provider).who == CONTRIBUTOR


def is_told_by_state(kind: str) -> bool:
    """The page says it anyway, beside the credential."""
    return kind.startswith(ATTENTION) or kind == EXPIRED


def words_of(kind: str, identity: str, facts: Facts) -> str:
    if is_told_by_state(kind):
        words = explain(facts.state, facts.reason, provider=facts.provider)
        return f"{identity}: {words.verdict}. {words.todo}"
    return f"{identity}: {_WORDS[kind].format(when=_when(facts))}"


_WORDS = {
    LOGIN_ENDS: (
        "this login will probably end on {when}, because Google counts the program it was made with as being in "
        "testing and ends such logins after seven days. Connect the account again before that."
    ),
    LOGIN_UNUSED: (
        "this login was last used on {when}, and Google ends logins that are not used for six months. Connect the "
        "account again, or take it back."
    ),
    QUOTA_USED_UP: (
        "all of its daily quota at Google was used on each of the last three days. That is a great help. If you want "
        "some of it for yourself, set a limit."
    ),
    BACK: "it works again. Thank you.",
    WITHDRAWN: "it was taken back. Your receipt is ready.",
}


def _when(facts: Facts) -> str:
    at = facts.login_ends_at or facts.unused_since
    return f"{at:%d %B %Y}" if at else ""


def ends_soon(connected_at: datetime, now: datetime) -> datetime | None:
    """When a login of a client in testing ends, if that is soon."""
    ends_at = connected_at + TESTING_LIFE
    return ends_at if now < ends_at <= now + ENDS_SOON else None


def was_in_testing(connected_at: datetime, ended_at: datetime) -> bool:
    shortest, longest = TESTING_SEEN
    return shortest <= ended_at - connected_at <= longest


def used_up(days: Collection[date], today: date) -> bool:
    """Whether `days`, those on which the quota ran out, hold the last three, ended today or yesterday."""
    for last in (today, today - timedelta(days=1)):
        if all(last - timedelta(days=back) in days for back in range(DAYS_USED_UP)):
            return True
    return False


def retry_after(attempts: int) -> timedelta:
    """Five minutes after the first failure, then twice as long each time."""
    return min(timedelta(minutes=5 << min(attempts, 7)), _LAST_RETRY)
