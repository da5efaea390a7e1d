"""What other gateways, and our own exports, tell of a credential beside its secret (reference 1.6)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from msgspec import structs

from credentials import tags
from credentials.importers.found import Found, Json, Known, email_of, text
from credentials.states import MAX_HELP_URL, MAX_REASON, State

FIELDS = frozenset(
    {"disabled", "error_codes", "model_cooldowns", "user_email", "last_success", "preview", "tier"}
)
_OUR_STATES = frozenset(State) - {State.MISSING, State.WITHDRAWN}
_MAX_MODEL = 150
_MAX_RESTS = 200
# MongoDB's keys hold no dots, so gcli2api writes gemini-2-5-pro there.
_UNDOTTED = re.compile(r"^(gemini-\d)-(\d)(?=-|$)")


def known_of(fields: Json) -> Known:
    """From gcli2api's fields of a state, in JSON or as a database holds them (numbers for booleans, JSON in text), and
    from the few more that our own exports have."""
    state = text(fields, "state")
    if _truth(fields.get("disabled")):
        state = State.DISABLED.value
    return Known(
        state=state if state in _OUR_STATES else "",
        reason=text(fields, "state_reason")[:MAX_REASON],
        help_url=_web_address(text(fields, "help_url")),
        until=_epoch_s(fields.get("state_until")),
        rests=_rests(_opened(fields.get("model_cooldowns"))),
        email=email_of(fields.get("user_email")),
        label=text(fields, "label")[:200],
        tier=text(fields, "tier")[:40],
        preview=_truth(fields.get("preview")),
        weight=_weight(fields.get("weight")),
        tags=_tags(fields.get("tags")),
    )


def with_known(found: Found, known: Known, name: str = "") -> Found:
    """The label of a login that has none of its own is the address, wherever that was known from."""
    email = found.email or known.email
    label = known.label or (known.email if not found.email else "") or found.label
    return structs.replace(found, email=email, label=label, name=name or found.name, known=known)


def _rests(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    rests = {
        _UNDOTTED.sub(r"\1.\2", model)[:_MAX_MODEL]: until
        for model, at in value.items()
        if isinstance(model, str) and model.isprintable() and (until := _epoch_s(at))
    }
    return dict(list(rests.items())[:_MAX_RESTS])


def _opened(value: Any) -> Any:
    """A value that a database keeps as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _truth(value: Any) -> bool | None:
    """None when it is not said. Databases write 0 and 1, dumps t and f too."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        return {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}.get(
            value.lower()
        )
    return None


def _epoch_s(value: Any) -> float:
    try:
        at = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return at if math.isfinite(at) and 0 < at < 32_503_680_000 else 0.0


def _weight(value: Any) -> int:
    return value if type(value) is int and 1 <= value <= 1000 else 0


def _tags(value: Any) -> list[str]:
    """None of them when one is none: nothing here could edit it any more."""
    try:
        return tags.split(value) if isinstance(value, list) else []
    except (ValueError, AttributeError):
        return []


def _web_address(value: str) -> str:
    """It becomes a link on pages: anything but https could be a program."""
    return value if value.startswith("https://") and len(value) <= MAX_HELP_URL else ""
