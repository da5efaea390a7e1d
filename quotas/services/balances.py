"""Writes to balances outside the hot path."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from gateway.lib import credits
from quotas.models import Balance, Entry, Hold
from quotas.periods import Period, day_of, first_day, starts_at

MAX_MICROS = credits.MAX_CREDITS * credits.MICROS_PER_CREDIT
"""The most that is ever given or taken at once, and that a balance may come to."""

_COLUMNS: tuple[tuple[Period, str], ...] = (
    ("day", "day_micros"),
    ("week", "week_micros"),
    ("month", "month_micros"),
)

GIVING = frozenset(
    {Entry.Kind.GRANT, Entry.Kind.ADJUST, Entry.Kind.REDEEM, Entry.Kind.REWARD, Entry.Kind.EXPIRE}
)
"""Kinds of entries that change a total."""


@transaction.atomic
def open_balance(
    *, total_micros: int = 0, label: str = "", open_ended: bool = False, actor: str = ""
) -> Balance:
    """A balance whose whole total is its first grant. Raises ValueError below zero."""
    if not 0 <= total_micros <= MAX_MICROS:
        raise ValueError(f"a balance starts at zero or more, and at {MAX_MICROS} micros at most")
    balance = Balance.objects.create(
        label=label[:200],
        open_ended=open_ended,
        total_micros=total_micros,
        remaining_micros=total_micros,
    )
    if total_micros or not open_ended:
        Entry.objects.create(
            balance=balance,
            kind=Entry.Kind.GRANT,
            amount_micros=total_micros,
            reason="opened",
            actor=actor[:150],
        )
    return balance


@transaction.atomic
def move(
    *, balance_id: int, amount_micros: int, kind: Entry.Kind, reason: str = "", actor: str = ""
) -> Entry:
    """Add to the total, or take from what remains. `kind`: one of GIVING. Raises ValueError when less remains than is to be
    taken away (an open-ended balance has no least), or the total would be more than any may be."""
    if kind not in GIVING or abs(amount_micros) > MAX_MICROS:
        raise ValueError(f"{amount_micros} micros cannot be moved as {kind}")
    enough = Q(open_ended=True) | Q(remaining_micros__gte=-amount_micros)
    bounded = Q(total_micros__lte=MAX_MICROS - max(amount_micros, 0))
    changed = Balance.objects.filter(enough, bounded, pk=balance_id).update(
        total_micros=F("total_micros") + amount_micros,
        remaining_micros=F("remaining_micros") + amount_micros,
    )
    if not changed:
        words = "less remains than is to be taken away" if amount_micros < 0 else "too much"
        raise ValueError(words)
    return Entry.objects.create(
        balance_id=balance_id,
        kind=kind,
        amount_micros=amount_micros,
        reason=reason[:200],
        actor=actor[:150],
    )


def adjust(*, balance_id: int, amount_micros: int, reason: str, actor: str = "") -> Balance:
    """By a person's hand. Raises ValueError as `move` does."""
    kind = Entry.Kind.GRANT if amount_micros >= 0 else Entry.Kind.ADJUST
    move(balance_id=balance_id, amount_micros=amount_micros, kind=kind, reason=reason, actor=actor)
    return Balance.objects.get(pk=balance_id)


@transaction.atomic
def set_total(*, balance_id: int, total_micros: int | None, actor: str = "") -> Balance:
    """Bring the total to this, or (None) open its end. Raises ValueError when more is used or reserved by now."""
    balance = Balance.objects.select_for_update().get(pk=balance_id)
    if total_micros is None:
        Balance.objects.filter(pk=balance_id).update(open_ended=True)
    else:
        spent = balance.used_micros + balance.reserved_micros
        if total_micros < spent:
            raise ValueError("more than that is used or reserved already")
        if total_micros != balance.total_micros:
            difference = total_micros - balance.total_micros
            # Open-ended for a moment: it may have been, and be below zero.
            Balance.objects.filter(pk=balance_id).update(open_ended=True)
            adjust(balance_id=balance_id, amount_micros=difference, reason="total set", actor=actor)
        Balance.objects.filter(pk=balance_id).update(open_ended=False)
    balance.refresh_from_db()
    return balance


@transaction.atomic
def count_periods(*, balance_id: int, time_zone: str = "") -> None:
    """Begin to count by days: what was charged since this day, week and month began is added up from the ledger. For a balance that
    gets its first such limit, or had none for a while. Calls that run at this moment count as far as they were counted when they
    began. `time_zone` "": the site's."""
    time_zone = time_zone or settings.TIME_ZONE
    Balance.objects.select_for_update().get(pk=balance_id)
    day = day_of(timezone.now().timestamp(), time_zone)
    settled = Entry.objects.filter(balance_id=balance_id, kind=Entry.Kind.SETTLE)
    since = {column: starts_at(period, day, time_zone) for period, column in _COLUMNS}
    used = settled.filter(created_at__gte=_moment(min(since.values()))).aggregate(
        **{
            column: Sum("amount_micros", filter=Q(created_at__gte=_moment(start)), default=0)
            for column, start in since.items()
        }
    )
    for held_on, held in Hold.objects.filter(balance=balance_id, day__gt=0).values_list(
        "day", "amount_micros"
    ):
        # Their end takes them out again, of the periods of the day they began on.
        for period, column in _COLUMNS:
            if first_day(period, min(held_on, day)) == first_day(period, day):
                used[column] += held
    Balance.objects.filter(pk=balance_id).update(day=day, **used)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
