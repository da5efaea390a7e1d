"""Errors as every OpenAI route shows them (reference 4.1)."""

from __future__ import annotations

from apiproxy.selftest.talk import Json, demand

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}
OWN_ERRORS = {"credits used up": (429, "insufficient_quota")}


def error_kind(answer: Json, status: int) -> tuple[str, str]:
    demand(answer.keys() == {"error"}, "the error has other keys than error")
    error = answer["error"]
    demand(
        error.keys() == {"message", "type", "param", "code"},
        "the error is not {message, type, param, code}",
    )
    return error["type"], error["message"]
