"""Writes: balances and limits for many keys at a time, and the bounds within which a person may move credits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import F

from gateway.lib import credits
from gateway.lib.errors import Conflict, InvalidRequest
from quotas.models import Balance, Entry, Limits
from quotas.services.balances import adjust, set_total
from quotas.services.limiting import values_of

MAX_MICROS = credits.MAX_CREDITS * credits.MICROS_PER_CREDIT


@transaction.atomic
def open_balances(
    *, labels: Sequence[str], total_micros: int | None, actor: str = ""
) -> list[Balance]:
    """As many balances as labels, each as `open_balance` makes it; `total_micros` None: without an end."""
    balances = Balance.objects.bulk_create(
        Balance(
            label=label[:200],
            open_ended=total_micros is None,
            total_micros=total_micros or 0,
            remaining_micros=total_micros or 0,
        )
        for label in labels
    )
    if total_micros is not None:
        Entry.objects.bulk_create(
            Entry(
                balance=balance,
                kind=Entry.Kind.GRANT,
                amount_micros=total_micros,
                reason="opened",
                actor=actor[:150],
            )
            for balance in balances
        )
    return balances


def copy_limits_for_each(row: Limits | None, *, count: int) -> list[Limits | None]:
    """A row of its own for each of `count` owners."""
    if row is None:
        return [None] * count
    return [*Limits.objects.bulk_create(Limits(**values_of(row)) for _ in range(count))]


@transaction.atomic
def give(*, balance_id: int, amount_micros: int, reason: str, actor: str = "") -> Balance:
    """By a person's hand; below zero takes away. Raises InvalidRequest for what no balance holds, Conflict when less remains than is
    to be taken."""
    balance = Balance.objects.select_for_update().get(pk=balance_id)
    if not amount_micros:
        raise InvalidRequest("Give or take some credits: zero changes nothing.", param="credits")
    if balance.total_micros + amount_micros > MAX_MICROS:
        raise InvalidRequest(
            f"A balance holds at most {credits.MAX_CREDITS:,} credits.", param="credits"
        )
    if amount_micros < 0 and balance.remaining_micros < -amount_micros:
        left = credits.to_text(max(balance.remaining_micros, 0))
        raise Conflict(f"Only {left} credits remain: no more can be taken away.")
    return adjust(balance_id=balance_id, amount_micros=amount_micros, reason=reason, actor=actor)


@transaction.atomic
def give_each(
    *, balance_ids: Collection[int], amount_micros: int, reason: str, actor: str = ""
) -> int:
    """The same amount, above zero, to each; how many they are. Raises InvalidRequest when one would hold too much."""
    # In the order of their ids, like the ledger.
    rows = Balance.objects.select_for_update().filter(pk__in=balance_ids).order_by("pk")
    totals = list(rows.values_list("pk", "total_micros"))
    if amount_micros <= 0:
        raise InvalidRequest("Give more than zero credits.", param="credits")
    if any(total + amount_micros > MAX_MICROS for _, total in totals):
        raise InvalidRequest(
            f"A balance holds at most {credits.MAX_CREDITS:,} credits.", param="credits"
        )
    Balance.objects.filter(pk__in=[pk for pk, _ in totals]).update(
        total_micros=F("total_micros") + amount_micros,
        remaining_micros=F("remaining_micros") + amount_micros,
    )
    Entry.objects.bulk_create(
        Entry(
            balance_id=pk,
            kind=Entry.Kind.GRANT,
            amount_micros=amount_micros,
            reason=reason[:200],
            actor=actor[:150],
        )
        for pk, _ in totals
    )
    return len(totals)


@transaction.atomic
def bound(*, balance_id: int, total_micros: int | None, actor: str = "") -> Balance:
    """Bring the total to this, or (None) take its end away. Raises Conflict when more is used or reserved by now."""
    try:
        return set_total(balance_id=balance_id, total_micros=total_micros, actor=actor)
    except ValueError as exc:
        raise Conflict("More than that is used or reserved already: set a higher quota.") from exc
