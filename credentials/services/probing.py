"""Tests nobody asked for, within PROBES_PER_HOUR: may what is broken have been mended, does what came in work, is what nobody used
for long still alive?
"""

from __future__ import annotations

import random
import time
from datetime import timedelta
from itertools import chain, zip_longest

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
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
    ids = _due()
    run.total(len(ids))
    tested = works = 0
    ends_s = time.monotonic() + chores.ROUND_S
    for pk in ids:
        if time.monotonic() >= ends_s or not chores.take(_BUDGET, settings.PROBES_PER_HOUR):
            break
        tested += 1
        _put_off_while_it_runs(pk)
        # Deleted or withdrawn meanwhile: nothing was found.
        for finding in upstream.current().check([pk]):
            _keep(finding)
            works += finding.usable
            run.step(failed=not finding.usable)
    run.result(tested=tested, usable=works)


def _due() -> list[int]:
    """What nobody used and what may have been mended, by turns: however many there are of one, the other has its half."""
    now = timezone.now()
    rows = Credential.objects.filter(paused_at=None).filter(Q(probe_at=None) | Q(probe_at__lte=now))
    broken = rows.filter(state=State.NEEDS_ATTENTION).exclude(state_reason__in=BANNED)
    silent = rows.filter(state__in=[State.ACTIVE, *RESTING]).filter(~Exists(_recent_uses()))
    most = chores.share(settings.PROBES_PER_HOUR, EVERY_S)
    kinds = [_first(silent, most), _first(broken, most)]
    random.shuffle(kinds)  # a round may be of one
    by_turns = chain.from_iterable(zip_longest(*kinds))
    return [pk for pk in by_turns if pk is not None][:most]


def _first(rows: QuerySet[Credential], most: int) -> list[int]:
    """A probe is a call: at hours at which its contributor allows none, it waits, and keeps nobody else waiting."""
    found: list[int] = []
    waiting = rows.defer("secret", "proxy").order_by(F("probe_at").asc(nulls_first=True), "pk")
    for row in waiting[: most * 20]:
        now = time.time()
        allowed, changes_at = window(row.caps.hours, now)
        if not allowed:
            _write(row.pk, row.probe_failures, timedelta(seconds=changes_at - now))
        elif len(found) < most:
            found.append(row.pk)
    return found


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
