"""The runs that are kept."""

from __future__ import annotations

import msgspec
from django.conf import settings
from django.db import transaction

from apiproxy.models import SelfTest
from apiproxy.selftest.run import Result

_KEPT = 20


@transaction.atomic
def keep(*, results: list[Result], duration_ms: int) -> SelfTest:
    """Older runs go when there are too many."""
    run = SelfTest.objects.create(
        version=settings.VERSION,
        duration_ms=duration_ms,
        results=[msgspec.to_builtins(result) for result in results],
    )
    stale = SelfTest.objects.order_by("-at", "-pk").values_list("pk", flat=True)[_KEPT:]
    SelfTest.objects.filter(pk__in=list(stale)).delete()
    return run


def latest() -> SelfTest | None:
    return SelfTest.objects.order_by("-at", "-pk").first()
