"""How upkeep goes through credentials: those that are due, some at a time, each put off until it is due again."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta

from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from credentials.backoff import pause_s
from credentials.models import Budget, Chore, Credential, Provider
from credentials.states import RESTING, State
from gateway.lib import jobs
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError

logger = logging.getLogger(__name__)

AT_ONCE = 4
MOST_AT_A_TIME = 2000
ROUND_S = 120.0
"""A round takes up nothing more after so long, that it ends in order before its time limit. More is seen to at the next."""
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 6 * 3600.0
_SLOTS = threading.BoundedSemaphore(6)
"""Of all rounds of a process together: each holds a connection, and DATABASE_POOL_SIZE is ten."""

Work = Callable[[int], datetime]
"""Sees to one credential and says when it is due again. Raises GatewayError."""


def logins() -> QuerySet[Credential]:
    """Google accounts that could serve now or after their rest."""
    return Credential.objects.filter(
        provider=Provider.CODE_ASSIST, state__in=[State.ACTIVE, *RESTING], paused_at=None
    )


def due(rows: QuerySet[Credential], kind: Chore.Kind, limit: int = MOST_AT_A_TIME) -> list[int]:
    """Those that waited longest first."""
    mine = Chore.objects.filter(credential=OuterRef("pk"), kind=kind)
    waiting = rows.filter(~Exists(mine.filter(due_at__gt=timezone.now())))
    ordered = waiting.annotate(due_at=mine.values("due_at")[:1]).order_by(
        F("due_at").asc(nulls_first=True), "pk"
    )
    return list(ordered.values_list("pk", flat=True)[:limit])


def see_to(run: jobs.Run, kind: Chore.Kind, ids: Sequence[int], work: Work) -> tuple[int, int]:
    """(how many went well, how many failed). Nothing is lost with the process: what was not written down is still due."""
    well = failed = 0
    run.total(len(ids))
    for good in _each(lambda pk: _see_to_one(kind, pk, work), ids):
        run.step(failed=not good)
        well += good
        failed += not good
    return well, failed


def put_off(credential_id: int, kind: Chore.Kind, until: datetime) -> None:
    Chore.objects.update_or_create(
        credential_id=credential_id,
        kind=kind,
        defaults={"due_at": until, "failures": 0, "words": ""},
    )


def take(name: str, an_hour: int) -> bool:
    """One of what an hour may have; False when it is used up. Exact, however many workers ask."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Budget.objects.get_or_create(name=name, hour=hour)
    mine = Budget.objects.filter(name=name, hour=hour, spent__lt=an_hour)
    return bool(mine.update(spent=F("spent") + 1))


def share(an_hour: int, every_s: float) -> int:
    """What one round may have of an hour's budget, so that it is not spent in the hour's first minute."""
    return min(an_hour, max(1, round(an_hour * every_s / 3600))) if an_hour > 0 else 0


def spread(seconds: float, by: float = 0.1) -> timedelta:
    """About so long: what came together does not come together again."""
    return timedelta(seconds=seconds * (1 + random.uniform(-by, by)))


def later(failures: int, *, first_s: float, longest_s: float) -> datetime:
    pause = pause_s(failures, first_s=first_s, longest_s=longest_s, luck=random.random())
    return timezone.now() + timedelta(seconds=pause)


def _see_to_one(kind: Chore.Kind, credential_id: int, work: Work) -> bool:
    """Raises only what is wrong with the database: one strange credential must not keep the others from their turn."""
    try:
        put_off(credential_id, kind, work(credential_id))
    except (Credential.DoesNotExist, IntegrityError):
        return True  # deleted meanwhile
    except SecretUnreadable:
        words = "its secret fits none of ENCRYPTION_KEYS"
    except GatewayError as exc:
        words = exc.message
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%s of credential %d failed", kind, credential_id)
        words = "it failed unexpectedly: the log of the worker tells more"
    else:
        return True
    _failed(credential_id, kind, words)
    return False


@transaction.atomic
def _failed(credential_id: int, kind: Chore.Kind, words: str) -> None:
    logger.info("%s of credential %d failed: %s", kind, credential_id, words)
    chore, _ = Chore.objects.get_or_create(
        credential_id=credential_id, kind=kind, defaults={"due_at": timezone.now()}
    )
    chore.failures = min(chore.failures + 1, 1000)
    chore.words = words[:300]
    chore.due_at = later(chore.failures, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
    chore.save()


def _each(work: Callable[[int], bool], ids: Sequence[int]) -> Iterator[bool]:
    """In threads, as each waits for the upstream."""
    ends_s = time.monotonic() + ROUND_S

    def alone(pk: int) -> bool | None:
        with _SLOTS:
            if time.monotonic() >= ends_s:
                return None
            try:
                return work(pk)
            finally:
                connections.close_all()

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upkeep") as threads:
        futures: list[Future[bool | None]] = [threads.submit(alone, pk) for pk in ids]
        try:
            for future in as_completed(futures):
                if (good := future.result()) is not None:
                    yield good
        finally:
            for future in futures:
                future.cancel()
