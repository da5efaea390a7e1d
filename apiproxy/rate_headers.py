"""What is left of a pace, in the names that each vendor's clients look for. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from apiproxy.request import Headers
from quotas.limiter import Granted, Refused, Room


def of_granted(granted: Granted, dialect: str, now: float) -> Headers:
    """`now`: epoch seconds. Nothing where nothing limits."""
    return _headers(granted.requests, granted.tokens, dialect, now)


def of_refused(refused: Refused, dialect: str, now: float) -> Headers:
    """Concurrency has no header of its own."""
    room = Room(refused.limit, max(refused.limit - refused.used, 0), refused.retry_after_s)
    if refused.pace == "tpm":
        return _headers(None, room, dialect, now)
    return _headers(room if refused.pace != "concurrency" else None, None, dialect, now)


def _headers(requests: Room | None, tokens: Room | None, dialect: str, now: float) -> Headers:
    write = _anthropic if dialect == "anthropic-messages" else _openai
    headers: Headers = []
    for what, room in (("requests", requests), ("tokens", tokens)):
        if room is not None:
            headers += write(what, room, now)
    return headers


def _openai(what: str, room: Room, now: float) -> Headers:
    """Also for Gemini's routes: Google sends none."""
    return [
        (f"x-ratelimit-limit-{what}".encode(), b"%d" % room.limit),
        (f"x-ratelimit-remaining-{what}".encode(), b"%d" % room.remaining),
        (f"x-ratelimit-reset-{what}".encode(), _span(room.reset_s).encode()),
    ]


def _anthropic(what: str, room: Room, now: float) -> Headers:
    whole_at = datetime.fromtimestamp(now + room.reset_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        (f"anthropic-ratelimit-{what}-limit".encode(), b"%d" % room.limit),
        (f"anthropic-ratelimit-{what}-remaining".encode(), b"%d" % room.remaining),
        (f"anthropic-ratelimit-{what}-reset".encode(), whole_at.encode()),
    ]


def _span(seconds: float) -> str:
    """As OpenAI writes it: 6s, 1m2s, 3h0m5s."""
    whole = max(round(seconds), 0)
    hours, minutes = whole // 3600, whole % 3600 // 60
    text = f"{whole % 60}s"
    if whole >= 60:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
