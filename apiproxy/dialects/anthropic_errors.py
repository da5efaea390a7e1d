"""Errors in Anthropic's shape (reference 4.1)."""

from __future__ import annotations

from apiproxy.wire.types import Json
from gateway.lib.errors import GatewayError, UpstreamOverloaded

_TYPE = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_OVERLOADED = 529


def error_object(error: GatewayError, request_id: str) -> Json:
    """The body of a refused call, and the data of a stream's `error` event."""
    return {
        "type": "error",
        "error": {
            "type": _TYPE.get(error.status, "api_error"),
            "message": f"{error.message} (request id: {request_id})",
        },
        "request_id": request_id,
    }


def http_status(error: GatewayError) -> int:
    """Anthropic's own status for a busy upstream: its clients turn to another model on it, which a 503 does not do."""
    return _OVERLOADED if isinstance(error, UpstreamOverloaded) else error.status
