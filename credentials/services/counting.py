"""The counts that caps are held against."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.db import transaction

from credentials.caps import upstream_day
from credentials.models import TOPIC, Allowance, Credential
from gateway.lib.models import bump


@transaction.atomic
def recount(*, credential_ids: Sequence[int] | None = None) -> int:
    """Today's counts begin anew, of the credentials that the site put in itself: what a contributor allowed is exact. None
    means all; how many had a count.
    """
    counts = Allowance.objects.filter(day=upstream_day(time.time()), credential__contributor=None)
    if credential_ids is not None:
        counts = counts.filter(credential__in=credential_ids)
    counted = set(counts.values_list("credential", flat=True))
    revision = bump(TOPIC)
    counts.delete()
    return Credential.objects.filter(pk__in=counted).update(revision=revision)
