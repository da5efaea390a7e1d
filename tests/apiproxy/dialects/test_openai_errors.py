import pytest

from apiproxy.dialects.openai_errors import error_object
from apiproxy.waiting import TooFast
from gateway.lib import errors
from quotas.limiter import Refused

TABLE = [
    (errors.InvalidRequest("m"), "invalid_request_error", None),
    (errors.InvalidRequest("m", param="n"), "invalid_request_error", "invalid_value"),
    (errors.MediaRejected("m", param="messages[0]"), "invalid_request_error", "invalid_value"),
    (errors.UpstreamRefused("m"), "invalid_request_error", None),
    (errors.AuthenticationFailed("m"), "authentication_error", "invalid_api_key"),
    (errors.PermissionDenied("m"), "permission_error", None),
    (errors.UnknownModel("m", param="model"), "invalid_request_error", "model_not_found"),
    (errors.UnknownRoute("m"), "invalid_request_error", "unknown_url"),
    (errors.BodyTooLarge("m"), "invalid_request_error", None),
    (errors.RateLimited("m"), "rate_limit_error", "rate_limit_exceeded"),
    (
        TooFast("m", Refused("k1", "rpm", 1, 1, 9.0), retry_after_s=9.0),
        "rate_limit_error",
        "rate_limit_exceeded",
    ),
    (errors.TooManyWrongKeys("m"), "rate_limit_error", "too_many_wrong_keys"),
    (errors.QuotaExhausted("m"), "insufficient_quota", "insufficient_quota"),
    (errors.InternalError("m"), "server_error", "internal_server_error"),
    (errors.UpstreamFailed("m"), "server_error", "upstream_failed"),
    (errors.PoolExhausted("m"), "server_error", "no_credential_available"),
    (errors.UpstreamTimeout("m"), "server_error", "request_timeout"),
]


@pytest.mark.parametrize(
    ("error", "kind", "code"), TABLE, ids=[type(error).__name__ for error, _, _ in TABLE]
)
def test_each_error_has_its_type_and_code(error, kind, code):
    assert error_object(error, "req_1") == {
        "error": {
            "message": "m (request id: req_1)",
            "type": kind,
            "param": error.param,
            "code": code,
        }
    }
