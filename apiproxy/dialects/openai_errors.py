"""Errors as the OpenAI routes show them (reference 4.1)."""

from __future__ import annotations

from apiproxy.wire.types import Json
from gateway.lib import errors

_REQUEST = "invalid_request_error"
_SERVER = "server_error"

# (type, code); kinds of these look the same unless they are named too. What is missing is the server's affair and keeps our code.
_SHAPES: dict[type[errors.GatewayError], tuple[str, str | None]] = {
    errors.InvalidRequest: (_REQUEST, None),
    errors.MediaRejected: (_REQUEST, None),
    errors.PreviousResponseNotFound: (_REQUEST, "previous_response_not_found"),
    errors.UpstreamRefused: (_REQUEST, None),
    # OpenAI says _REQUEST here too, by which litellm takes it for a bad request unless the text is OpenAI's own.
    errors.AuthenticationFailed: ("authentication_error", "invalid_api_key"),
    errors.PermissionDenied: ("permission_error", None),
    errors.UnknownModel: (_REQUEST, "model_not_found"),
    errors.ResponseNotFound: (_REQUEST, None),
    errors.UnknownRoute: (_REQUEST, "unknown_url"),
    errors.MethodNotAllowed: (_REQUEST, "method_not_supported"),
    errors.CallRunning: (_REQUEST, "idempotency_key_in_use"),
    errors.AnswerNotKept: (_REQUEST, "idempotency_answer_not_kept"),
    errors.IdempotencyKeyReused: (_REQUEST, "idempotency_key_reused"),
    errors.BodyTooLarge: (_REQUEST, None),
    errors.RateLimited: ("rate_limit_error", "rate_limit_exceeded"),
    errors.TooManyWrongKeys: ("rate_limit_error", "too_many_wrong_keys"),
    errors.QuotaExhausted: ("insufficient_quota", "insufficient_quota"),
    errors.InternalError: (_SERVER, "internal_server_error"),
    errors.UpstreamTimeout: (_SERVER, "request_timeout"),
}


def error_object(error: errors.GatewayError, request_id: str) -> Json:
    known = (_SHAPES[one] for one in type(error).__mro__ if one in _SHAPES)
    kind, code = next(known, (_SERVER, error.code))
    if code is None and error.param is not None:
        code = "invalid_value"
    return {
        "error": {
            "message": f"{error.message} (request id: {request_id})",
            "type": kind,
            "param": error.param,
            "code": code,
        }
    }
