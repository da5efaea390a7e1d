"""What contributors read on their private page: how their loans stand, what these did, and what is left of one taken back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from django.db.models import Case, QuerySet, Sum, When
from django.utils import timezone
from msgspec import Struct

from credentials.caps import next_upstream_midnight, upstream_day
from credentials.models import (
    Contributor,
    Credential,
    DailyUse,
    ModelState,
    Notice,
    Provider,
    Revocation,
    StateChange,
    moment,
)
from credentials.notices import ONCE, is_told_by_state
from credentials.selectors import usage
from credentials.selectors.rows import Described, described
from credentials.selectors.usage import DayOfUse, Use
from credentials.services.withdrawal import DRAINED, REVOCATION, STILL_RUNNING
from credentials.states import RESTING, State
from credentials.words import CONTRIBUTOR, OPERATOR, explain

PERMISSIONS_URL = "https://myaccount.google.com/permissions"
_DAYS = 30
_HISTORY = 40
_NOTICES = 50
_CHART_HEIGHT = 60
_BAR = 10

OK, REST, YOURS, OFF = "ok", "rest", "yours", "off"


class Bar(Struct, frozen=True):
    """A day in the chart, in the units of its view box."""

    day: date
    use: Use
    x: int
    y: int
    height: int

    @property
    def tokens(self) -> int:
        return self.use.input_tokens + self.use.output_tokens


class Loan(Struct):
    """A credential as its contributor sees it. `tone`: ok, rest, yours (the contributor's turn), off."""

    credential: Credential
    stand: Described
    tone: str
    bars: list[Bar]
    served: int
    tokens: int

    @property
    def reconnects(self) -> bool:
        """Whether a login can be renewed in place: the way out of most of what can happen to one."""
        return self.credential.provider == Provider.CODE_ASSIST

    @property
    def kind(self) -> str:
        """With the project, where there is one."""
        name, project = self.credential.kind, self.credential.project_id
        return f"{name}, project {project}" if project else name

    @property
    def days_of_use(self) -> list[Bar]:
        return [bar for bar in self.bars if bar.use != usage.NO_USE]

    @property
    def width(self) -> int:
        return len(self.bars) * _BAR


class Limit(Struct, frozen=True):
    """A daily limit, "" for all models, and what is used of it today."""

    scope: str
    calls: int
    taken: int


class Event(Struct, frozen=True):
    """A line of the history. `what`: the event; `words` complete it; `by`: you, the operator, or ""."""

    at: datetime
    what: str
    model: str
    words: str
    by: str
    from_state: str
    to_state: str


class Detail(Struct, frozen=True):
    loan: Loan
    models: list[tuple[str, Use]]
    limits: list[Limit]
    resting: list[tuple[str, str, datetime | None]]
    """(model, why, until)"""
    history: list[Event]
    notices: list[Notice]


class Receipt(Struct, frozen=True):
    """`ended_at`: when no call used it any more; None while that is waited for, or when it was not (`still_running`).
    `revocation`: "" when not asked for, else asked, done, refused; `answer`: done, refused, unreachable, unreadable."""

    credential: str
    kind: str
    project: str
    lent_at: datetime
    withdrawn_at: datetime
    by: str
    ended_at: datetime | None
    still_running: bool
    secret_destroyed_at: datetime | None
    revocation: str
    answer: str
    served: int
    input_tokens: int
    output_tokens: int


def lent_by(contributor: Contributor) -> QuerySet[Credential]:
    """What is lent now, what may need somebody first. Some lend thousands of keys: to be shown page by page."""
    place = Case(
        When(state__in=[State.NEEDS_ATTENTION, State.EXPIRED], then=0),
        When(state=State.DISABLED, then=1),
        When(state__in=RESTING, then=2),
        default=3,
    )
    return contributor.credentials.exclude(state=State.WITHDRAWN).order_by(place, "pk")


def taken_back_by(contributor: Contributor) -> QuerySet[Credential]:
    return contributor.credentials.filter(state=State.WITHDRAWN).order_by("-withdrawn_at", "-pk")


def loans_of(rows: Sequence[Credential]) -> list[Loan]:
    """What needs its contributor first."""
    order = {YOURS: 0, OFF: 1, REST: 2, OK: 3}
    return sorted(_loans(rows), key=lambda loan: order[loan.tone])


def served_today(contributor: Contributor) -> int:
    uses = DailyUse.objects.filter(
        credential__contributor=contributor, day=upstream_day(time.time()), status=usage.SERVED
    )
    return uses.aggregate(calls=Sum("calls"))["calls"] or 0


def notices_of(contributor: Contributor) -> list[Notice]:
    """What is still to be told or done, the newest first."""
    rows = Notice.objects.filter(credential__contributor=contributor, closed_at=None)
    return _shown(rows)[:_NOTICES]


def _shown(rows: Iterable[Notice]) -> list[Notice]:
    """Not what the page says anyway, unless its contributor could not be told otherwise."""
    return [
        row for row in rows if row.error or row.kind not in ONCE and not is_told_by_state(row.kind)
    ]


def detail_of(credential: Credential) -> Detail:
    (loan,) = _loans([credential])
    models = usage.served_by_model([credential.pk], _DAYS)[credential.pk]
    resting = ModelState.objects.filter(
        credential=credential, state__in=RESTING, until__gt=timezone.now()
    ).order_by("model")
    return Detail(
        loan=loan,
        models=list(models.items()),
        limits=_limits(credential, loan.stand.taken),
        resting=[(row.model, explain(row.state, row.reason).verdict, row.until) for row in resting],
        history=[_event(row) for row in credential.state_changes.all()[:_HISTORY]],
        notices=_shown(credential.notices.filter(closed_at=None)),
    )


def next_day() -> datetime | None:
    """When Google's next day begins, and with it a new quota."""
    return moment(next_upstream_midnight(time.time()))


def _loans(rows: Sequence[Credential]) -> list[Loan]:
    ids = [row.pk for row in rows]
    days = usage.served_by_day(ids, _DAYS) if ids else {}
    return [
        Loan(
            credential=stand.credential,
            stand=stand,
            tone=_tone(stand),
            bars=_bars(days[stand.credential.pk]),
            served=sum(one.use.served for one in days[stand.credential.pk]),
            tokens=sum(
                one.use.input_tokens + one.use.output_tokens for one in days[stand.credential.pk]
            ),
        )
        for stand in (described(rows) if ids else [])
    ]


def _tone(stand: Described) -> str:
    if stand.usable:
        return OK
    if stand.credential.state in (State.NEEDS_ATTENTION, State.EXPIRED):
        return YOURS if stand.words.who == CONTRIBUTOR else OFF
    return OFF if stand.credential.state == State.DISABLED or stand.words.who == OPERATOR else REST


def _bars(days: list[DayOfUse]) -> list[Bar]:
    most = max((one.use.served for one in days), default=0)
    bars = []
    for number, one in enumerate(days):
        height = round(_CHART_HEIGHT * one.use.served / most) if most else 0
        height = max(height, 2 if one.use.served else 0)
        bars.append(Bar(one.day, one.use, number * _BAR, _CHART_HEIGHT - height, height))
    return bars


def _limits(credential: Credential, taken: dict[str, int]) -> list[Limit]:
    caps = credential.caps
    whole = [] if caps.calls_a_day is None else [("", caps.calls_a_day)]
    return [
        Limit(scope, calls, taken.get(scope, 0))
        for scope, calls in (*whole, *caps.model_calls_a_day)
    ]


def _event(change: StateChange) -> Event:
    words = explain(change.to_state, change.reason).verdict
    return Event(
        at=change.at,
        what=change.event,
        model=change.model,
        words=words if change.to_state != State.ACTIVE else "",
        by=_by(change.by),
        from_state=change.from_state,
        to_state=change.to_state,
    )


def _by(name: str) -> str:
    """Contributors need not know the names of those who run the site."""
    if name == "contributor":
        return "you"
    return "" if name in ("", "google", "upkeep") else "the operator"


def receipt_of(credential: Credential) -> Receipt:
    """Of one that was taken back."""
    withdrawn_at = credential.withdrawn_at or credential.updated_at
    events = {
        change.event: change
        for change in StateChange.objects.filter(
            credential=credential, at__gte=withdrawn_at
        ).order_by("at", "pk")
    }
    use = usage.totals([credential.pk])[credential.pk]
    drained, asked = events.get(DRAINED), events.get(REVOCATION)
    withdrawn = events.get("withdrawn")
    still_running = drained is not None and drained.reason == STILL_RUNNING
    return Receipt(
        credential=credential.label,
        kind=credential.kind,
        project=credential.project_id,
        lent_at=credential.created_at,
        withdrawn_at=withdrawn_at,
        by=_by(withdrawn.by) if withdrawn else "",
        ended_at=drained.at if drained and not still_running else None,
        still_running=still_running,
        secret_destroyed_at=credential.secret_destroyed_at,
        revocation=credential.revocation,
        answer=asked.reason if asked and credential.revocation != Revocation.ASKED else "",
        served=use.served,
        input_tokens=use.input_tokens,
        output_tokens=use.output_tokens,
    )
