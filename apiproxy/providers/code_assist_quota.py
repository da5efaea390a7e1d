"""What is left of a Code Assist account's daily requests (reference 2.9)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from apiproxy.providers import code_assist
from apiproxy.wire import codec
from apiproxy.wire.google_errors import parse_timestamp
from apiproxy.wire.types import Answer, Credential, Endpoints, Outgoing

Json = dict[str, Any]

_MODEL = "gemini-2.5-pro"


class QuotaBucket(Struct, frozen=True):
    """`limit` and `remaining` count requests; None where Google gives only the fraction. `resets_at`: 0 for unknown.
    `barred`: the account cannot use the model.
    """

    model: str
    token_type: str
    remaining_fraction: float
    remaining: int | None = None
    limit: int | None = None
    resets_at: float = 0.0
    barred: bool = False


def quota_request(credential: Credential, endpoints: Endpoints) -> Outgoing:
    return Outgoing(
        method="POST",
        url=f"{endpoints.code_assist}/{code_assist.VERSION}:retrieveUserQuota",
        headers=code_assist.headers(credential, _MODEL),
        body=codec.encode({"project": credential.project}),
    )


def parse_quota(answer: Answer) -> tuple[QuotaBucket, ...]:
    """Nothing for an error or an unreadable answer: `code_assist.classify` judges those."""
    if answer.status >= 300:
        return ()
    try:
        value = codec.loads_lenient(answer.body)
    except (ValueError, RecursionError):
        return ()
    buckets = value.get("buckets") if isinstance(value, dict) else None
    if not isinstance(buckets, list):
        return ()
    return tuple(_bucket(item) for item in buckets if isinstance(item, dict))


def _bucket(item: Json) -> QuotaBucket:
    fraction = item.get("remainingFraction")
    fraction = float(fraction) if isinstance(fraction, int | float) else 0.0
    remaining = _count(item.get("remainingAmount"))
    resets_at = parse_timestamp(str(item.get("resetTime", "")))
    return QuotaBucket(
        model=str(item.get("modelId", "")),
        token_type=str(item.get("tokenType", "")),
        remaining_fraction=fraction,
        remaining=remaining,
        limit=round(remaining / fraction) if remaining is not None and fraction > 0 else None,
        resets_at=max(resets_at or 0.0, 0.0),
        # The epoch itself was seen for a model that the account cannot use.
        barred=resets_at == 0.0 and fraction == 0.0,
    )


def _count(value: Any) -> int | None:
    """An int64 as text."""
    try:
        return int(value) if isinstance(value, str | int) else None
    except ValueError:
        return None
