import pytest

from apiproxy.dialects.anthropic_errors import error_object, http_status
from gateway.lib import errors

TABLE = [
    (errors.InvalidRequest("m", param="messages"), "invalid_request_error", 400),
    (errors.UpstreamRefused("m"), "invalid_request_error", 400),
    (errors.AuthenticationFailed("m"), "authentication_error", 401),
    (errors.PermissionDenied("m"), "permission_error", 403),
    (errors.UnknownModel("m"), "not_found_error", 404),
    (errors.UnknownRoute("m"), "not_found_error", 404),
    (errors.MethodNotAllowed("m"), "invalid_request_error", 405),
    (errors.BodyTooLarge("m"), "request_too_large", 413),
    (errors.RateLimited("m"), "rate_limit_error", 429),
    (errors.QuotaExhausted("m"), "rate_limit_error", 429),
    (errors.InternalError("m"), "api_error", 500),
    (errors.UpstreamFailed("m"), "api_error", 502),
    (errors.StreamBroken("m"), "api_error", 502),
    (errors.PoolExhausted("m"), "overloaded_error", 503),
    (errors.UpstreamOverloaded("m"), "overloaded_error", 529),
    (errors.UpstreamTimeout("m"), "timeout_error", 504),
]


@pytest.mark.parametrize(
    ("error", "kind", "status"), TABLE, ids=[type(error).__name__ for error, _, _ in TABLE]
)
def test_each_error_has_its_type_and_status(error, kind, status):
    assert error_object(error, "req_1") == {
        "type": "error",
        "error": {"type": kind, "message": "m (request id: req_1)"},
        "request_id": "req_1",
    }
    assert http_status(error) == status
