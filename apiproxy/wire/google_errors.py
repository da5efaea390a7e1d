"""Google's error bodies (reference 2.7, 3.7): read in whatever wrapping they come, never raising.

The wrappings are an object, an array around one object, the JSON of another service as text inside `message`, and
anything else (the page of a front end). Texts may be damaged: doubled commas, blanks and commas at the ends of keys
and words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from apiproxy.wire import codec

Json = dict[str, Any]

_MAX_MESSAGE_CHARS = 2000
_MAX_WRAPPINGS = 3

_CANONICAL = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_HTTP = {name: status for status, name in _CANONICAL.items() if status != 413} | {
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "ALREADY_EXISTS": 409,
}


class QuotaViolation(Struct, frozen=True):
    metric: str = ""
    quota_id: str = ""
    value: str = ""
    """The limit, as text; "0" means no access at all."""
    description: str = ""


class FieldViolation(Struct, frozen=True):
    field: str = ""
    description: str = ""


class Link(Struct, frozen=True):
    url: str
    description: str = ""


class GoogleError(Struct, frozen=True):
    """An error body, read. `message` may hold keys and addresses: `redact` it before anybody sees it."""

    status: int
    """HTTP."""
    code: str
    """Canonical, e.g. RESOURCE_EXHAUSTED; "" when the body does not say."""
    message: str = ""
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = {}
    retry_delay_s: float | None = None
    violations: tuple[QuotaViolation, ...] = ()
    links: tuple[Link, ...] = ()
    field_violations: tuple[FieldViolation, ...] = ()
    readable: bool = True
    """False: not a Google error at all, such as the page of a front end; `message` is then its text."""


def parse(status: int, body: bytes) -> GoogleError:
    """`status` is the HTTP status of the answer; a valid `code` in the body wins over it."""
    error = _find_error(_load(body))
    if error is None:
        return GoogleError(status=status, code="", message=_page_text(body), readable=False)
    return _read(status, error, _MAX_WRAPPINGS)


def http_status(error: Json, default: int) -> int:
    """The HTTP status that an error object claims, by its `code` or its canonical `status`."""
    code = error.get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        return int(code)
    return _HTTP.get(_text(error.get("status")), default)


def parse_duration(text: str) -> float | None:
    """ "0.539s", "539.477544ms", "13h19m1.2s" -> seconds; negative for a moment that is past; None for other text."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not text.strip(" -"):
        return None
    seconds = sum(float(n) * _UNIT_S[unit] for n, unit in _DURATION_PART.findall(match["parts"]))
    return -seconds if match["sign"] else seconds


def delay_in_text(message: str) -> float | None:
    """Seconds named by "… will reset after 19h14m47s." or "Please retry in 56.18s."."""
    match = _DELAY_IN_TEXT.search(message)
    return parse_duration(match[1]) if match else None


def parse_timestamp(text: str) -> float | None:
    """RFC 3339 -> epoch seconds; no offset means UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def next_pacific_midnight(after: float) -> float:
    """When Google's daily windows end: the first midnight in Los Angeles later than `after` (epoch seconds)."""
    today = datetime.fromtimestamp(after, _PACIFIC).date()
    return datetime.combine(today + timedelta(days=1), time.min, _PACIFIC).timestamp()


def redact(text: str) -> str:
    """The text without keys, tokens, projects, addresses and query strings of URLs: fit for a client."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


_PACIFIC = ZoneInfo("America/Los_Angeles")
_UNIT_S = {
    "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
}  # fmt: skip
_PARTS = r"(?:\d+(?:\.\d+)?(?:ms|us|µs|ns|d|h|m|s))+"
_DURATION = re.compile(rf"(?P<sign>-?)(?P<parts>{_PARTS})")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_DELAY_IN_TEXT = re.compile(rf"(?:reset after|retry in)\s+(-?{_PARTS})", re.IGNORECASE)

_PROJECT_ID = r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|\d{5,}"
_SECRETS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>)\]]*", r"\1"),
        (r"AIza[\w-]{6,}", "[key]"),
        (r"\bsk-[\w-]{8,}", "[key]"),
        (r"\bGOCSPX-[\w-]+", "[secret]"),
        (r"\bya29\.[\w.-]+", "[token]"),
        (r"\b1//[\w-]+", "[token]"),
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]*", "[token]"),
        (r"\b(api_key:)[^\s'\",;]+", r"\1[key]"),
        (r"(?i:\b(bearer\s+))[\w.~+/-]{16,}=*", r"\1[token]"),
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "[address]"),
        (r"\bprojects/[^\s/'\",;:)\]]+", "projects/[project]"),
        (
            rf"((?i:\bproject(?:[ _-]?(?:id|number))?)['\"]?(?:\s*[:=#]\s*|\s+)['\"]?)"
            rf"(?!number\b)(?:{_PROJECT_ID})\b",
            r"\1[project]",
        ),
        # Any other key: long, and of letters of both cases mixed with digits, as no name of Google's is.
        (r"\b(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=(?:[\w-]*\d){4})[\w-]{30,}", "[key]"),
        (r"\b[0-9a-f]{32,}\b", "[key]"),
        (r"\b\d{11,}\b", "[number]"),
    )
)


def _load(body: bytes) -> Any:
    try:
        return codec.loads_lenient(body)
    except (ValueError, RecursionError):
        pass
    try:
        return codec.loads_lenient(_without_stray_commas(body))
    except (ValueError, RecursionError):
        return None


_STRING_OR_STRAY_COMMA = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|,(?=\s*[,}\]])', re.DOTALL)


def _without_stray_commas(body: bytes) -> bytes:
    return _STRING_OR_STRAY_COMMA.sub(lambda match: match[1] or b"", body)


def _find_error(value: Any) -> Json | None:
    """The google.rpc.Status inside a body, or None."""
    if isinstance(value, list):
        return next((error for item in value if (error := _find_error(item)) is not None), None)
    if not isinstance(value, dict):
        return None
    value = _trimmed(value)
    error = value.get("error")
    if isinstance(error, dict):
        return _trimmed(error)
    if isinstance(error, str):
        # The form of OAuth: {"error": "invalid_grant", "error_description": "…"}.
        return {"message": _text(value.get("error_description")) or error}
    return value if "message" in value and ("code" in value or "status" in value) else None


def _trimmed(value: Json) -> Json:
    return {str(key).strip(" \t\r\n,"): item for key, item in value.items()}


def _read(status: int, error: Json, wrappings: int) -> GoogleError:
    status = http_status(error, status)
    message = error.get("message")
    message = message if isinstance(message, str) else ""
    if wrappings and (inner := _inner_error(message)) is not None:
        return _read(status, inner, wrappings - 1)
    details = error.get("details")
    details = (
        [_trimmed(item) for item in details if isinstance(item, dict)]
        if isinstance(details, list)
        else []
    )
    info = _detail(details, "ErrorInfo")
    return GoogleError(
        status=status,
        code=_text(error.get("status")) or _CANONICAL.get(status, ""),
        message=message.strip()[:_MAX_MESSAGE_CHARS],
        reason=_text(info.get("reason")),
        domain=_text(info.get("domain")),
        metadata=_metadata(info.get("metadata")),
        retry_delay_s=_delay(_detail(details, "RetryInfo").get("retryDelay")),
        violations=tuple(_violations(details)),
        links=tuple(_links(details)),
        field_violations=tuple(_field_violations(details)),
    )


def _inner_error(message: str) -> Json | None:
    """The error that is the whole message. One amid other words may be a quotation of the client's own request."""
    text = message.strip()
    return _find_error(_load(text.encode("utf-8", "replace"))) if text[:1] in ("{", "[") else None


def _kind(detail: Json) -> str:
    return _text(detail.get("@type")).rpartition(".")[2]


def _detail(details: list[Json], kind: str) -> Json:
    return next((detail for detail in details if _kind(detail) == kind), {})


def _items(details: list[Json], kind: str, name: str) -> list[Json]:
    """The objects in the list `name` of every detail of the kind."""
    lists = (detail.get(name) for detail in details if _kind(detail) == kind)
    return [
        _trimmed(item) for items in lists if isinstance(items, list) for item in items
        if isinstance(item, dict)
    ]  # fmt: skip


def _violations(details: list[Json]) -> list[QuotaViolation]:
    found = [
        QuotaViolation(
            metric=_text(item.get("quotaMetric")),
            quota_id=_text(item.get("quotaId")),
            value=_text(item.get("quotaValue")),
            description=_text(item.get("description")),
        )
        for item in _items(details, "QuotaFailure", "violations")
    ]
    return list(dict.fromkeys(found))  # Google repeats entries


def _field_violations(details: list[Json]) -> list[FieldViolation]:
    return [
        FieldViolation(field=_text(item.get("field")), description=_text(item.get("description")))
        for item in _items(details, "BadRequest", "fieldViolations")
    ]


def _links(details: list[Json]) -> list[Link]:
    return [
        Link(url=url, description=_text(item.get("description")))
        for item in _items(details, "Help", "links")
        if (url := _text(item.get("url"))).startswith("https://")
    ]


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: _text(item) for key, item in _trimmed(value).items()}


def _delay(value: Any) -> float | None:
    return parse_duration(_text(value))


def _text(value: Any) -> str:
    """Words compared trimmed: blanks and commas at their ends are damage."""
    if isinstance(value, bool) or value is None:
        return ""
    return str(value).strip(" \t\r\n,") if isinstance(value, str | int | float) else ""


_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def _page_text(body: bytes) -> str:
    """The title of a page, or the text itself, on one line."""
    text = body[:20_000].decode("utf-8", "replace")
    title = _TITLE.search(text)
    text = title[1] if title else _TAG.sub(" ", text)
    return " ".join(text.split())[:_MAX_MESSAGE_CHARS]
