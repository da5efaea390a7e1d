"""The last requests of a key with their receipts, and the explanation of one of them."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

from accounts.models import ApiKey
from apiproxy.models import RequestLog
from apiproxy.selectors import last_requests
from quotas.models import Entry, Hold

HOW_MANY = 20
_ID = re.compile(r"req_[a-z0-9]{8,40}", re.ASCII)

_WORDS = {
    200: "Answered",
    400: "Refused: something in the request was wrong",
    401: "Refused: the key was not accepted",
    403: "Refused: not allowed with this key",
    404: "Refused: no such model or address",
    405: "Refused: no such address",
    409: "Refused: it was asked for before",
    413: "Refused: it was too large",
    422: "Refused: something in the request was wrong",
    429: "Refused: too many requests",
    499: "Your client left before the answer was complete",
    500: "Failed: an error of this site",
    502: "Failed: Google gave no answer that could be used",
    503: "Failed: no account was free",
    504: "Failed: Google took too long",
}
_NO_CREDITS = "Refused: not enough credits were left"
_BROKEN = "Broke off: only what arrived was charged"


class Receipt(Struct, frozen=True):
    """Micros. `state`: open, settled or refunded."""

    state: str
    reserved_micros: int
    charged_micros: int
    returned_micros: int
    reason: str


class Shown(Struct, frozen=True):
    """One request. `tone`: ok, warn or fail."""

    log: RequestLog
    words: str
    tone: str
    receipt: Receipt | None

    @property
    def tokens(self) -> int:
        return self.log.input_tokens + self.log.output_tokens + self.log.thinking_tokens

    @property
    def failed_attempts(self) -> int:
        tried = [one for one in self.log.attempt_list if one.get("outcome") != "skipped"]
        return max(len(tried) - 1, 0)


class Running(Struct, frozen=True):
    """A request that is not over yet, or not written down yet."""

    request_id: str
    since: datetime
    reserved_micros: int


def last(key: ApiKey) -> list[Shown]:
    """Two queries."""
    logs = last_requests(key.pk, HOW_MANY)
    receipts = _receipts(key, [log.request_id for log in logs])
    return [_shown(log, receipts) for log in logs]


def explain(key: ApiKey, text: str) -> Shown | Running | None:
    """The request of this key that `text` names, whatever stands around its id. None: there is none."""
    found = _ID.search(text)
    if found is None:
        return None
    request_id = found[0]
    log = RequestLog.objects.filter(request_id=request_id, key_id=key.pk).first()
    if log is not None:
        return _shown(log, _receipts(key, [request_id]))
    hold = Hold.objects.filter(request_id=request_id, balance_id=key.balance_id).first()
    return Running(request_id, hold.created_at, hold.amount_micros) if hold else None


def _receipts(key: ApiKey, request_ids: list[str]) -> dict[str, Receipt]:
    """A call is booked alike on all its balances; the key's own tells of it."""
    entries = Entry.objects.filter(request_id__in=request_ids, balance_id=key.balance_id)
    found: dict[str, list[Entry]] = {}
    for entry in entries.order_by("id"):
        found.setdefault(entry.request_id or "", []).append(entry)
    return {request_id: _receipt(some) for request_id, some in found.items()}


def _receipt(entries: list[Entry]) -> Receipt:
    """Two entries where the sweep gave back what was charged after all."""
    reserved = sum(entry.reserved_micros for entry in entries)
    charged = sum(e.amount_micros for e in entries if e.kind == Entry.Kind.SETTLE)
    return Receipt(
        state="settled" if charged else "refunded",
        reserved_micros=reserved,
        charged_micros=charged,
        returned_micros=max(reserved - charged, 0),
        reason="; ".join(entry.reason for entry in entries if entry.reason),
    )


def _shown(log: RequestLog, receipts: dict[str, Receipt]) -> Shown:
    # Every failure is booked so; only where something had gone out before, it matters.
    if log.broken and log.first_byte_ms is not None:
        words, tone = _BROKEN, "warn"
    elif log.error_code == "insufficient_quota":
        words, tone = _NO_CREDITS, "warn"
    else:
        words = _WORDS.get(log.status, "Failed" if log.status >= 500 else "Refused")
        tone = "ok" if log.status < 400 else "fail" if log.status >= 500 else "warn"
        if log.status < 400:
            words = _WORDS[200]
    return Shown(log, words, tone, receipts.get(log.request_id))
