"""Errors in Google's own shape (reference 2.7, 4.1)."""

from __future__ import annotations

from apiproxy.wire.types import Json
from gateway.lib.errors import GatewayError, QuotaExhausted

_TYPE = "type.googleapis.com/google.rpc."
# How Google says that waiting does not help (reference 2.7, 2.8): without it gemini-cli asks again for minutes.
_EXHAUSTED = {
    "@type": _TYPE + "ErrorInfo",
    "reason": "QUOTA_EXHAUSTED",
    "domain": "cloudcode-pa.googleapis.com",
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_object(error: GatewayError, request_id: str) -> Json:
    """`error` is the first and only key: SDKs know an error inside a stream by that (reference 4.4)."""
    return {
        "error": {
            "code": error.status,
            "message": f"{error.message} (request id: {request_id})",
            "status": _STATUS.get(error.status, "INTERNAL"),
            "details": _details(error, request_id),
        }
    }


def _details(error: GatewayError, request_id: str) -> list[Json]:
    details: list[Json] = [{"@type": _TYPE + "RequestInfo", "requestId": request_id}]
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if isinstance(error, QuotaExhausted):
        details.append(_EXHAUSTED)
    if error.retry_after_s is not None:
        # In plain digits: a month has more seconds than :g writes so.
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{error.retry_after_s:.9g}s"})
    return details
