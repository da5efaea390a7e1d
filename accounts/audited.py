"""Changes of keys by a person, each with its line in the audit log, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from accounts.models import ApiKey
from accounts.services.batches import Issued
from accounts.shown import facts_of
from gateway.lib import audit


@contextmanager
def changing(request: HttpRequest, action: str, key: ApiKey, **detail: Any) -> Iterator[None]:
    """Around one service that changes `key`."""
    with transaction.atomic():
        before = facts_of(key)
        yield
        audit.record_change(
            request,
            action=f"keys.{action}",
            subject=f"key {key.public_id}",
            before=before,
            after=facts_of(key),
            **detail,
        )


def issued(request: HttpRequest, key: ApiKey, **detail: Any) -> None:
    """In the transaction that issued it."""
    audit.record_change(
        request,
        action="keys.issue",
        subject=f"key {key.public_id}",
        before={},
        after=facts_of(key),
        **detail,
    )


def batch_issued(request: HttpRequest, made: list[Issued], **detail: Any) -> None:
    """In the transaction that issued them. They are alike: the first tells of all."""
    audit.record_change(
        request,
        action="keys.batch",
        subject=f"{len(made)} keys",
        before={},
        after=facts_of(made[0].row),
        count=len(made),
        claimable=bool(made[0].code),
        keys=[one.row.public_id for one in made],
        **detail,
    )


def many_changed(request: HttpRequest, action: str, public_ids: list[str], **detail: Any) -> None:
    """In the transaction that changed them."""
    audit.record_request(
        request,
        action=f"keys.{action}",
        subject=f"{len(public_ids)} keys",
        keys=public_ids,
        **detail,
    )
