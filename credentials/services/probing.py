"""Tests nobody asked for, within PROBES_PER_HOUR: may what is broken have been mended, does what came in work, is what nobody used
for long still alive?
"""

from __future__ import annotations

import random
import time
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from credentials import upstream
from credentials.caps import upstream_day, window
from credentials.models import Credential, DailyUse
from credentials.services import chores
from credentials.states import RESTING, State
from credentials.upstream import Finding
from gateway.lib import jobs

EVERY_S = 60.0
UNUSED_DAYS = 7
_FIRST_PAUSE_S = 15 * 60.0
_LONGEST_PAUSE_S = 24 * 3600.0
_BUDGET = "probes"

BANNED = ("suspended", "key_leaked", "terms_of_service")
"""Reasons of a ban: asking again would only make it worse (reference 0)."""


def probe_due(run: jobs.Run) -> None:
    ids = [pk for pk in _due() if chores.take(_BUDGET, settings.PROBES_PER_HOUR)]
    run.total(len(ids))
    works = 0
    for pk in ids:
        _put_off_while_it_runs(pk)
        # Deleted or withdrawn meanwhile: nothing was found.
        for finding in upstream.current().check([pk]):
            _keep(finding)
            works += finding.usable
            run.step(failed=not finding.usable)
    run.result(tested=len(ids), usable=works)


def _due() -> list[int]:
    """What may have been mended first: its own pauses keep it from taking all."""
    now = timezone.now()
    rows = Credential.objects.filter(paused_at=None).filter(Q(probe_at=None) | Q(probe_at__lte=now))
    broken = rows.filter(state=State.NEEDS_ATTENTION).exclude(state_reason__in=BANNED)
    silent = rows.filter(state__in=[State.ACTIVE, *RESTING]).filter(~Exists(_recent_uses()))
    most = chores.share(settings.PROBES_PER_HOUR, EVERY_S)
    found: list[int] = []
    for candidates in (broken, silent):
        found += _first(candidates, most - len(found))
    return found


def _first(rows: QuerySet[Credential], most: int) -> list[int]:
    """A probe is a call: at hours at which its contributor allows none, it waits."""
    if most <= 0:
        return []
    now = time.time()
    some = rows.defer("secret", "proxy").order_by("probe_at", "pk")[: most * 20]
    return [row.pk for row in some if window(row.caps.hours, now)[0]][:most]


def _recent_uses() -> QuerySet[DailyUse]:
    since = upstream_day(time.time()) - timedelta(days=UNUSED_DAYS)
    return DailyUse.objects.filter(credential=OuterRef("pk"), day__gte=since)


def _put_off_while_it_runs(credential_id: int) -> None:
    """Before the test, so that one whose worker dies over it is not tested again and again."""
    row = Credential.objects.only("probe_failures").get(pk=credential_id)
    _write(credential_id, row.probe_failures, _after_failure(row.probe_failures + 1))


def _keep(finding: Finding) -> None:
    row = Credential.objects.only("probe_failures").get(pk=finding.credential_id)
    if finding.usable:
        _write(row.pk, 0, timedelta(days=UNUSED_DAYS) * random.uniform(0.9, 1.1))
    else:
        failures = min(row.probe_failures + 1, 1000)
        _write(row.pk, failures, _after_failure(failures))


def _after_failure(failures: int) -> timedelta:
    until = chores.later(failures, first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
    return until - timezone.now()


def _write(credential_id: int, failures: int, pause: timedelta) -> None:
    """No news for the processes that serve: the revision stays."""
    Credential.objects.filter(pk=credential_id).update(
        probe_failures=failures, probe_at=timezone.now() + pause
    )
