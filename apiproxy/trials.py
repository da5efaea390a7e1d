"""Changed rules, tried on the errors of late: what was done, and what would have been done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from msgspec import Struct

from apiproxy.models import UpstreamError, VerdictRule
from apiproxy.rules import DryRun, Outcome, PastError, Rule, Rulebook, auto_ban_rules, dry_run
from credentials.selectors import labels_of

ERRORS = 1000


class Lent(Struct, frozen=True):
    id: int
    label: str


class Change(Struct, frozen=True):
    was: str
    would: str
    count: int


class Sample(Struct, frozen=True):
    """One error that would have been taken otherwise."""

    at: datetime
    request_id: str
    error: PastError
    was: Outcome
    would: Outcome


class Trial(Struct, frozen=True):
    """`disabled`, `spared`: credentials that only the changed rules, or only those in use, take out."""

    errors: int
    changed: int
    since: datetime | None
    changes: list[Change]
    disabled: list[Lent]
    spared: list[Lent]
    decided: dict[str, int]
    samples: list[Sample]


def auto_ban() -> tuple[Rule, ...]:
    """The rules that the environment sets; they come last."""
    return auto_ban_rules(_auto_ban_statuses())


def with_rule(row: VerdictRule) -> list[VerdictRule]:
    """The rules in use if this one were saved."""
    others = VerdictRule.objects.filter(enabled=True).exclude(pk=row.pk)
    mine = [row] if row.enabled else []
    return sorted([*others, *mine], key=lambda each: (each.position, each.pk or float("inf")))


def without_rule(row: VerdictRule) -> list[VerdictRule]:
    return list(VerdictRule.objects.filter(enabled=True).exclude(pk=row.pk))


def try_out(changed: Iterable[VerdictRule]) -> Trial:
    """The changed set, in its order, on the last thousand errors. Nothing is written."""
    rows = list(UpstreamError.objects.order_by("-pk")[:ERRORS])
    statuses = _auto_ban_statuses()
    in_use = Rulebook((row.rule for row in VerdictRule.objects.filter(enabled=True)), statuses)
    new = Rulebook((row.rule for row in changed if row.enabled), statuses)
    found = dry_run(in_use, new, [_past(row) for row in rows])
    return _told(found, rows)


def _told(found: DryRun, rows: Sequence[UpstreamError]) -> Trial:
    by_id = {row.pk: row for row in rows}
    labels = labels_of([*found.disabled, *found.spared])
    ordered = sorted(found.changes.items(), key=lambda item: -item[1])
    return Trial(
        errors=found.errors,
        changed=found.changed,
        since=rows[-1].at if rows else None,
        changes=[Change(was, would, count) for (was, would), count in ordered],
        disabled=[Lent(pk, labels.get(pk, "")) for pk in found.disabled],
        spared=[Lent(pk, labels.get(pk, "")) for pk in found.spared],
        decided=found.decided,
        samples=[
            Sample(
                at=by_id[difference.error.id].at,
                request_id=by_id[difference.error.id].request_id,
                error=difference.error,
                was=difference.before,
                would=difference.after,
            )
            for difference in found.samples
        ],
    )


def _past(row: UpstreamError) -> PastError:
    return PastError(
        id=row.pk,
        credential_id=row.credential_id,
        provider=row.provider,
        model=row.model,
        status=row.status,
        kind=row.kind,
        reason=row.reason,
        message=row.message,
        judged=row.judged,
        fault=row.fault,
        rest_s=row.rest_s,
    )


def _auto_ban_statuses() -> list[Any]:
    return settings.AUTO_BAN_ERROR_CODES if settings.AUTO_BAN else []
