"""google.rpc.Status in JSON: its details, the forms it takes on the wire, and its exception."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

RPC = "type.googleapis.com/google.rpc."
CODE_ASSIST_DOMAIN = "cloudcode-pa.googleapis.com"
COMPANION_DOMAIN = "cloudaicompanion.googleapis.com"
GEMINI_SERVICE = "generativelanguage.googleapis.com"

CONTENT_TYPES = {
    "object": "application/json; charset=UTF-8",
    "array": "application/json; charset=UTF-8",
    "stringified": "application/json; charset=UTF-8",
    "damaged": "application/json; charset=UTF-8",
    "html": "text/html; charset=UTF-8",
}
FORMS = tuple(CONTENT_TYPES)


class Refused(Exception):
    """The fake refuses a request; carries the whole google.rpc.Status body."""

    def __init__(self, http: int, body: Json) -> None:
        super().__init__(body["error"]["message"])
        self.http = http
        self.body = body


@dataclass(frozen=True)
class Facts:
    """What a row may mention. ``reset_s`` counts from ``now`` and is negative for the past."""

    model: str = "gemini-2.5-pro"
    project: str = "fake-project"
    project_number: str = "681255809395"
    key: str = "AIzaFakeKeyInMessage"
    reset_s: float | None = None
    retry_s: float | None = None
    now: float | None = None

    def reset_in(self, default_s: float) -> float:
        return default_s if self.reset_s is None else self.reset_s

    def retry_in(self, default_s: float) -> float:
        return default_s if self.retry_s is None else self.retry_s

    def reset_stamp(self, default_s: float) -> str:
        now = time.time() if self.now is None else self.now
        moment = datetime.fromtimestamp(now + self.reset_in(default_s), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class ErrorCase:
    """One row. ``kind`` says how a client should take it: client, auth, forbidden, model, rate,
    quota, capacity, server, cancelled or environment (nobody's credential is to blame)."""

    name: str
    upstream: str
    http: int
    status: str
    kind: str
    build: Callable[["ErrorCase", Facts], Json]

    def body(self, **facts: Any) -> Json:
        return self.build(self, Facts(**facts))


Builder = Callable[[ErrorCase, Facts], Json]
Row = tuple[int, str, str, Builder]  # HTTP status, canonical status, kind, builder


def status_body(http: int, status: str, message: str, *details: Json, reason: str = "") -> Json:
    """A google.rpc.Status in JSON; ``reason`` adds the old-style ``errors`` list."""
    error: Json = {"code": http, "message": message, "status": status}
    if reason:
        error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
    if details:
        error["details"] = list(details)
    return {"error": error}


def error_info(reason: str, domain: str, **metadata: str) -> Json:
    info: Json = {"@type": RPC + "ErrorInfo", "reason": reason, "domain": domain}
    if metadata:
        info["metadata"] = metadata
    return info


def retry_info(seconds: float) -> Json:
    return {
        "@type": RPC + "RetryInfo",
        "retryDelay": f"{seconds:.9f}".rstrip("0").rstrip(".") + "s",
    }


def help_links(*links: tuple[str, str]) -> Json:
    shown = [{"description": description, "url": url} for description, url in links]
    return {"@type": RPC + "Help", "links": shown}


def bad_request(*violations: tuple[str, str]) -> Json:
    shown = [{"field": field, "description": text} for field, text in violations]
    return {"@type": RPC + "BadRequest", "fieldViolations": shown}


def duration(seconds: float) -> str:
    """As Go prints it: 539.477544ms, 13h19m1.2s."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}h" if hours else ""
    text += f"{int(minutes)}m" if hours or minutes else ""
    return text + f"{rest:.3f}".rstrip("0").rstrip(".") + "s"


def wrap(body: Json, form: str = "object") -> bytes:
    """``body`` as Google may send it.

    object: plain; array: a list holding it (streaming calls); stringified: the JSON as text inside
    another error's message; damaged: doubled commas and stray commas inside strings; html: the page
    of a front end that never reached the service.
    """
    error = body["error"]
    if form == "array":
        return json.dumps([body], indent=2).encode()
    if form == "stringified":
        outer = {key: error[key] for key in ("code", "status") if key in error}
        return json.dumps({"error": {**outer, "message": json.dumps(body, indent=2)}}).encode()
    if form == "html":
        return html_page(error["code"], error["message"])
    text = json.dumps(body, indent=2)
    if form == "damaged":
        text = text.replace('googleapis.com"', 'googleapis.com,"').replace(",\n", ",,\n", 1)
        text = text.replace('"reason":', '" reason":')
    elif form != "object":
        raise ValueError(f"unknown form {form!r}, expected one of {FORMS}")
    return text.encode()


def html_page(code: int, message: str) -> bytes:
    return (
        f"<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Error {code} (Server Error)"
        f"!!1</title>\n<p><b>{code}.</b> <ins>That\u2019s an error.</ins>\n<p>{message}\n</html>\n"
    ).encode()


def invalid(message: str, *violations: tuple[str, str]) -> Refused:
    """A 400 INVALID_ARGUMENT, with field violations when there are any."""
    details = [bad_request(*violations)] if violations else []
    return Refused(400, status_body(400, "INVALID_ARGUMENT", message, *details))


def plain(message: str, *details: Json, reason: str = "") -> Builder:
    """Builder of a row whose text mentions the facts only through ``str.format``."""

    def build(case: ErrorCase, facts: Facts) -> Json:
        text = message.format(f=facts)
        return status_body(case.http, case.status, text, *details, reason=reason)

    return build
