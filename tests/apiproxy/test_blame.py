from __future__ import annotations

import pytest

from apiproxy.blame import error_of
from apiproxy.wire.types import Action, Call, Fault, Head, Model, Verdict
from gateway.lib import errors

CALL = Call(
    head=Head("req_1", 0.0),
    dialect="openai-chat",
    model=Model(id="m", providers=("gemini_api",)),
    requested_model="m",
    action=Action.GENERATE,
    stream=False,
    body={},
)


@pytest.mark.parametrize(
    ("kind", "status", "reason", "expected"),
    [
        ("client", 400, "invalid_request", errors.UpstreamRefused),
        ("client", 413, "request_too_large", errors.BodyTooLarge),
        ("auth", 401, "token_refused", errors.PoolExhausted),
        ("licence", 403, "subscription_required", errors.PoolExhausted),
        ("banned", 403, "suspended", errors.PoolExhausted),
        ("location", 400, "unsupported_location", errors.PoolExhausted),
        ("model_missing", 404, "model_missing", errors.UnknownModel),
        ("rate", 429, "rate_limited", errors.RateLimited),
        ("quota", 429, "daily_quota", errors.RateLimited),
        ("capacity", 503, "overloaded", errors.UpstreamOverloaded),
        ("server", 500, "server_error", errors.UpstreamFailed),
        ("server", 503, "unavailable", errors.UpstreamOverloaded),
        ("server", 200, "empty_answer", errors.EmptyAnswer),
        ("timeout", 504, "deadline_exceeded", errors.UpstreamTimeout),
        ("network", 0, "upstream_unreachable", errors.UpstreamUnreachable),
        ("network", 0, "stream_broken", errors.StreamBroken),
    ],
)
def test_what_the_client_is_told(kind, status, reason, expected):
    verdict = Verdict(fault=Fault.RETRY, kind=kind, status=status, reason=reason, message="words")
    assert type(error_of(verdict, CALL, 0.0)) is expected
