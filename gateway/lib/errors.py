"""Every error a user can meet, in one tree.

GatewayError                      status  code                      retryable
├── InvalidRequest                400     invalid_request           no
│   ├── MediaRejected             400     media_rejected            no
│   ├── PreviousResponseNotFound  400     previous_response_not_found  no
│   └── UpstreamRefused           400     upstream_refused          no
├── AuthenticationFailed          401     invalid_api_key           no
├── PermissionDenied              403     permission_denied         no
├── UnknownModel                  404     model_not_found           no
├── ResponseNotFound              404     response_not_found        no
├── UnknownRoute                  404     not_found                 no
├── MethodNotAllowed              405     method_not_allowed        no
├── Conflict                      409     conflict                  no
│   ├── CallRunning               409     idempotency_key_in_use    yes
│   └── AnswerNotKept             409     idempotency_answer_not_kept  no
├── BodyTooLarge                  413     body_too_large            no
├── IdempotencyKeyReused          422     idempotency_key_reused    no
├── RateLimited                   429     rate_limit_exceeded       yes
│   └── TooManyWrongKeys          429     too_many_wrong_keys       yes
├── QuotaExhausted                429     insufficient_quota        no
├── ClientGone                    499     client_gone               no
├── InternalError                 500     internal_error            no
├── UpstreamFailed                502     upstream_failed           yes
│   ├── UpstreamUnreachable       502     upstream_unreachable      yes
│   │   └── ProxyFailed           502     proxy_failed              yes
│   ├── EmptyAnswer               502     empty_answer              yes
│   └── StreamBroken              502     stream_broken             yes
├── Unavailable                   503     unavailable               yes
│   ├── PoolExhausted             503     no_credential_available   yes
│   ├── UpstreamOverloaded        503     upstream_overloaded       yes
│   └── LedgerUnavailable         503     ledger_unavailable        yes
└── UpstreamTimeout               504     upstream_timeout          yes

A class states `status`, `code` and `retryable` once; a dialect turns them into its own error shape, so nobody compares
strings. Messages are for the person who made the call: they say what to do next and never hold a key, a
credential, a project, an address or an upstream URL.
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        """`param` names the field of the client's body, dotted; `retry_after_s` becomes `Retry-After`."""
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.headers: list[tuple[bytes, bytes]] = []
        """What an answer that tells of it carries besides."""


class InvalidRequest(GatewayError):
    status = 400
    code = "invalid_request"


class MediaRejected(InvalidRequest):
    code = "media_rejected"


class PreviousResponseNotFound(InvalidRequest):
    code = "previous_response_not_found"


class UpstreamRefused(InvalidRequest):
    code = "upstream_refused"


class AuthenticationFailed(GatewayError):
    status = 401
    code = "invalid_api_key"


class PermissionDenied(GatewayError):
    status = 403
    code = "permission_denied"


class UnknownModel(GatewayError):
    status = 404
    code = "model_not_found"


class ResponseNotFound(GatewayError):
    status = 404
    code = "response_not_found"


class UnknownRoute(GatewayError):
    status = 404
    code = "not_found"


class MethodNotAllowed(GatewayError):
    status = 405
    code = "method_not_allowed"


class Conflict(GatewayError):
    """What was asked for does not fit the state of the thing by now."""

    status = 409
    code = "conflict"


class CallRunning(Conflict):
    """Another call with the same Idempotency-Key is being answered."""

    code = "idempotency_key_in_use"
    retryable = True


class AnswerNotKept(Conflict):
    """The call with this Idempotency-Key was charged, and its answer cannot be given again."""

    code = "idempotency_answer_not_kept"


class IdempotencyKeyReused(GatewayError):
    """For another request."""

    status = 422
    code = "idempotency_key_reused"


class BodyTooLarge(GatewayError):
    status = 413
    code = "body_too_large"


class RateLimited(GatewayError):
    status = 429
    code = "rate_limit_exceeded"
    retryable = True


class TooManyWrongKeys(RateLimited):
    """Whoever calls was not even looked for."""

    code = "too_many_wrong_keys"


class QuotaExhausted(GatewayError):
    status = 429
    code = "insufficient_quota"


class ClientGone(GatewayError):
    status = 499
    code = "client_gone"


class InternalError(GatewayError):
    status = 500
    code = "internal_error"


class UpstreamFailed(GatewayError):
    status = 502
    code = "upstream_failed"
    retryable = True


class UpstreamUnreachable(UpstreamFailed):
    code = "upstream_unreachable"


class ProxyFailed(UpstreamUnreachable):
    """Between us and the upstream: says nothing about either."""

    code = "proxy_failed"


class EmptyAnswer(UpstreamFailed):
    code = "empty_answer"


class StreamBroken(UpstreamFailed):
    code = "stream_broken"


class Unavailable(GatewayError):
    status = 503
    code = "unavailable"
    retryable = True


class PoolExhausted(Unavailable):
    code = "no_credential_available"


class UpstreamOverloaded(Unavailable):
    code = "upstream_overloaded"


class LedgerUnavailable(Unavailable):
    code = "ledger_unavailable"


class UpstreamTimeout(GatewayError):
    status = 504
    code = "upstream_timeout"
    retryable = True
