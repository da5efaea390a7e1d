"""What a verdict comes to for the client. An upstream's 401 or 403 is about our credential, never about the client's key."""

from __future__ import annotations

from apiproxy.wire.types import Call, Fault, Verdict
from gateway.lib.errors import (
    BodyTooLarge,
    EmptyAnswer,
    GatewayError,
    PoolExhausted,
    ProxyFailed,
    RateLimited,
    StreamBroken,
    UnknownModel,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_PROXY_REST_S = 60.0

EMPTY = Verdict(
    fault=Fault.RETRY,
    kind="server",
    reason="empty_answer",
    message="the upstream answered with nothing",
    status=200,
)


TOKEN_REFUSED = Verdict(
    fault=Fault.DISABLE,
    kind="auth",
    reason="token_refused",
    message="the upstream refuses the credential's fresh token",
    status=401,
)


class Judged(Exception):
    """An attempt that ended with a verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def network_verdict(error: GatewayError) -> Verdict:
    return Verdict(
        fault=Fault.RETRY,
        kind="timeout" if isinstance(error, UpstreamTimeout) else "network",
        reason=error.code,
        message=error.message,
        status=0,
    )


def own_proxy_verdict(error: ProxyFailed, now: float) -> Verdict:
    """Says nothing about the account, but until its proxy works again the credential only costs time."""
    return Verdict(
        fault=Fault.COOL_DOWN,
        kind="network",
        reason=error.code,
        message=error.message,
        status=0,
        until=now + _PROXY_REST_S,
        whole=True,
    )


def error_of(verdict: Verdict, call: Call, now: float) -> GatewayError:
    """`now`: epoch seconds; 0 leaves `Retry-After` out."""
    message = verdict.message or "the upstream failed"
    wait = max(verdict.until - now, 1.0) if verdict.until and now else None
    match verdict.kind:
        case "client" if verdict.status == 413:
            return BodyTooLarge(message)
        case "client":
            return UpstreamRefused(message)
        case "model_missing":
            return UnknownModel(
                f"{call.model.id} is not served by the credentials of this site", param="model"
            )
        case "rate" | "quota" | "credits":
            return RateLimited(message, retry_after_s=wait)
        case "capacity":
            return UpstreamOverloaded(message, retry_after_s=wait or 5.0)
        case "timeout":
            return UpstreamTimeout(message)
        case "network" if verdict.reason == StreamBroken.code:
            return StreamBroken(message)
        case "network" if verdict.reason == ProxyFailed.code:
            # How this site reaches the upstream is nothing a client can act on.
            return UpstreamUnreachable("the upstream cannot be reached just now: try again")
        case "network":
            return UpstreamUnreachable(message)
        case "server" if verdict.reason == "empty_answer":
            return EmptyAnswer(message)
        case "server":
            return UpstreamOverloaded(message) if verdict.status == 503 else UpstreamFailed(message)
        case _:
            return PoolExhausted(
                f"no credential of this site can serve {call.model.id} now: ask its operator",
                retry_after_s=60,
            )
