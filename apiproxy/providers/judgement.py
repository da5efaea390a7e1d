"""Whose fault is a Google error: one judgement for every upstream that answers with google.rpc.Status.

The matrices of reference 2.7 and 3.7. What decides, in this order: `ErrorInfo.reason`, the HTTP status with the
canonical code, and only then the text, because wording changes. A 400 or 403 may quote the client's own request, so a
text that would cost a credential must stand at the very beginning of the message.

    kind           reason                  fault
    client         invalid_request         CLIENT_FAULT
                   thought_signature       CLIENT_FAULT     (worth one more try with stand-ins, reference 3.3)
                   request_too_large       CLIENT_FAULT
                   resource_not_found      NEXT_CREDENTIAL  (a file or a cache of another project)
    auth           token_refused           REFRESH
                   api_key_invalid         DISABLE
                   key_missing             NEXT_CREDENTIAL
    licence        subscription_required, named_user_required                          DISABLE
    verification   validation_required                                                 DISABLE
    banned         suspended, key_leaked, terms_of_service                             DISABLE
    configuration  service_disabled, key_service_blocked, key_referrer_blocked,
                   key_address_blocked, credential_type_refused, permission_denied     DISABLE
                   permission_denied       COOL_DOWN, NEXT_CREDENTIAL (when the text does not settle the cause)
                   failed_precondition     NEXT_CREDENTIAL
    location       unsupported_location    NEXT_CREDENTIAL
    model_missing  model_missing           COOL_DOWN 12 h
    rate           rate_limited            COOL_DOWN        (RETRY when the page of a front end says it)
    quota          daily_quota, no_access   COOL_DOWN
                   quota_exhausted         COOL_DOWN        (for how long is a guess)
                   quota_with_reset        COOL_DOWN        (until the reset that the error names)
    credits        insufficient_credits    COOL_DOWN
    capacity       capacity_exhausted, overloaded                                      RETRY
    timeout        deadline_exceeded       RETRY
    server         server_error, unavailable, cancelled, unreadable_answer             RETRY
"""

from __future__ import annotations

import re

from msgspec import Struct

from apiproxy.providers.resets import HOUR_S, MINUTE_S, quota_reset, stated_reset
from apiproxy.wire.google_errors import GoogleError, parse, redact
from apiproxy.wire.types import OK, Answer, Fault, Verdict

EXCLUDED_S = 12 * HOUR_S
"""How long a model that a credential cannot use stays out of its reach."""
PERMISSION_REST_S = 30 * MINUTE_S
RATE_DEFAULT_S = 60.0
"""A rate limit that names no delay: a quota per minute (reference 2.8)."""
RATE_LONGEST_S = 300.0
"""A longer wait is a quota, whatever the reason says (reference 2.8)."""

_MAX_MESSAGE_CHARS = 1000
_BARE_QUOTA = "Resource has been exhausted (e.g. check quota)."


class Policy(Struct, frozen=True):
    """Where the upstreams differ."""

    bare_quota_s: float
    """The rest after a 429 that says nothing but that something is exhausted."""
    refreshes: bool
    """Credentials are access tokens, so a 401 asks for a fresh one."""


def judge(answer: Answer, policy: Policy) -> Verdict:
    if answer.status < 300:
        return OK
    error = parse(answer.status, answer.body)
    if not error.readable:
        return _judge_page(error, policy)
    return _judge_reason(error, answer, policy) or _judge_status(error, answer, policy)


def verdict(
    error: GoogleError,
    fault: Fault,
    kind: str,
    reason: str,
    until: float = 0.0,
    *,
    guessed: bool = False,
) -> Verdict:
    return Verdict(
        fault=fault,
        kind=kind,
        reason=reason,
        message=_words(error),
        status=error.status,
        until=until,
        help_url=help_url(error) if fault is Fault.DISABLE else "",
        guessed=guessed,
    )


def help_url(error: GoogleError) -> str:
    """Where a human can solve it; "" when the error does not say."""
    named = (error.metadata.get(name, "") for name in ("validation_link", "activationUrl"))
    links = (link.url for link in error.links if not link.description.lower().startswith("learn"))
    return next((url for url in (*named, *links) if url.startswith("https://")), "")


_REASONS = {
    "API_KEY_INVALID": (Fault.DISABLE, "auth", "api_key_invalid"),
    "CONSUMER_SUSPENDED": (Fault.DISABLE, "banned", "suspended"),
    "SERVICE_DISABLED": (Fault.DISABLE, "configuration", "service_disabled"),
    "API_KEY_SERVICE_BLOCKED": (Fault.DISABLE, "configuration", "key_service_blocked"),
    "API_KEY_HTTP_REFERRER_BLOCKED": (Fault.DISABLE, "configuration", "key_referrer_blocked"),
    "API_KEY_IP_ADDRESS_BLOCKED": (Fault.DISABLE, "configuration", "key_address_blocked"),
    "SUBSCRIPTION_REQUIRED": (Fault.DISABLE, "licence", "subscription_required"),
    "VALIDATION_REQUIRED": (Fault.DISABLE, "verification", "validation_required"),
    "MODEL_CAPACITY_EXHAUSTED": (Fault.RETRY, "capacity", "capacity_exhausted"),
    "MODEL_CAPACITY_EXCEEDED": (Fault.RETRY, "capacity", "capacity_exhausted"),
}


def _judge_reason(error: GoogleError, answer: Answer, policy: Policy) -> Verdict | None:
    if error.reason in _REASONS:
        return verdict(error, *_REASONS[error.reason])
    if error.reason == "INSUFFICIENT_G1_CREDITS_BALANCE":
        stated = stated_reset(error, answer.received_at)
        until = stated or answer.received_at + policy.bare_quota_s
        return verdict(
            error, Fault.COOL_DOWN, "credits", "insufficient_credits", until, guessed=not stated
        )
    if error.reason == "IAM_PERMISSION_DENIED":
        # A permission of another service, storage for one, is missing for something that the client's request names.
        permission = error.metadata.get("permission", "")
        ours = not permission or permission.startswith("cloudaicompanion.")
        fault = Fault.DISABLE if ours else Fault.NEXT_CREDENTIAL
        return verdict(error, fault, "configuration", "permission_denied")
    return None


def _judge_status(error: GoogleError, answer: Answer, policy: Policy) -> Verdict:
    match error.status:
        case 400:
            return _judge_bad_request(error)
        case 401 if policy.refreshes:
            return verdict(error, Fault.REFRESH, "auth", "token_refused")
        case 401:
            return verdict(error, Fault.DISABLE, "configuration", "credential_type_refused")
        case 403:
            return _judge_forbidden(error, answer)
        case 404 if _NOT_A_MODEL.match(error.message):
            return verdict(error, Fault.NEXT_CREDENTIAL, "client", "resource_not_found")
        case 404:
            until = answer.received_at + EXCLUDED_S
            return verdict(error, Fault.COOL_DOWN, "model_missing", "model_missing", until)
        case 413:
            return verdict(error, Fault.CLIENT_FAULT, "client", "request_too_large")
        case 429:
            return _judge_exhausted(error, answer, policy)
        case 408 | 504:
            return verdict(error, Fault.RETRY, "timeout", "deadline_exceeded")
        case 499:
            return verdict(error, Fault.RETRY, "server", "cancelled")
        case 503:
            overloaded = _OVERLOADED.search(error.message)
            kind, reason = ("capacity", "overloaded") if overloaded else ("server", "unavailable")
            return verdict(error, Fault.RETRY, kind, reason)
        case 501:
            return verdict(error, Fault.CLIENT_FAULT, "client", "invalid_request")
        case status if 400 <= status < 500:
            return verdict(error, Fault.CLIENT_FAULT, "client", "invalid_request")
        case _:
            return verdict(error, Fault.RETRY, "server", "server_error")


def _judge_page(error: GoogleError, policy: Policy) -> Verdict:
    """A front end answered: it never asked the service, and knows of no quota and no licence."""
    match error.status:
        case 401 if policy.refreshes:
            return verdict(error, Fault.REFRESH, "auth", "token_refused")
        case 413:
            return verdict(error, Fault.CLIENT_FAULT, "client", "request_too_large")
        case 429:
            return verdict(error, Fault.RETRY, "rate", "rate_limited")
        case 408 | 504:
            return verdict(error, Fault.RETRY, "timeout", "deadline_exceeded")
        case _:
            return verdict(error, Fault.RETRY, "server", "unreadable_answer")


_KEY_REFUSED = re.compile(r"API key (?:not valid|not found|expired)\b", re.IGNORECASE)
_THOUGHT_SIGNATURE = re.compile(r"thought[_ ]?signature", re.IGNORECASE)
_LOCATION = re.compile(r"location|country|region", re.IGNORECASE)
_OVERLOADED = re.compile(r"overloaded|high demand|capacity", re.IGNORECASE)
_NOT_A_MODEL = re.compile(
    r"(?:You do not have permission to access )?(?:the )?(?:requested )?(?:file|cached ?content)\b",
    re.IGNORECASE,
)


def _judge_bad_request(error: GoogleError) -> Verdict:
    if error.code == "FAILED_PRECONDITION":
        abroad = _LOCATION.search(error.message)
        kind, reason = (
            ("location", "unsupported_location")
            if abroad
            else ("configuration", "failed_precondition")
        )
        return verdict(error, Fault.NEXT_CREDENTIAL, kind, reason)
    if _KEY_REFUSED.match(error.message):
        return verdict(error, Fault.DISABLE, "auth", "api_key_invalid")
    if _THOUGHT_SIGNATURE.search(error.message):
        return verdict(error, Fault.CLIENT_FAULT, "client", "thought_signature")
    return verdict(error, Fault.CLIENT_FAULT, "client", "invalid_request")


_FORBIDDEN = tuple(
    (re.compile(pattern, re.IGNORECASE), judgement)
    for pattern, judgement in (
        (r"Your API key was reported as leaked", (Fault.DISABLE, "banned", "key_leaked")),
        (
            r"Permission denied: Consumer \S+ has been suspended",
            (Fault.DISABLE, "banned", "suspended"),
        ),
        (
            r"[\w .-]{0,60}disabled in this account for violation of Terms of Service",
            (Fault.DISABLE, "banned", "terms_of_service"),
        ),
        (r"[^'\"`]{0,300}\(#3501\)", (Fault.DISABLE, "licence", "subscription_required")),
        (
            r"[^'\"`]{0,200}\bentitlement\b[^'\"`]{0,100}\bedition\b",
            (Fault.DISABLE, "licence", "named_user_required"),
        ),
        (
            r"Verify your account to continue",
            (Fault.DISABLE, "verification", "validation_required"),
        ),
        (
            r"[\w .-]{1,60} has not been used in project \S+ before or it is disabled",
            (Fault.DISABLE, "configuration", "service_disabled"),
        ),
        (
            r"Method doesn't allow unregistered callers",
            (Fault.NEXT_CREDENTIAL, "auth", "key_missing"),
        ),
    )
)
_NO_PERMISSION = re.compile(r"The caller does not have permission\.?$", re.IGNORECASE)


def _judge_forbidden(error: GoogleError, answer: Answer) -> Verdict:
    for pattern, judgement in _FORBIDDEN:
        if pattern.match(error.message):
            return verdict(error, *judgement)
    if _NOT_A_MODEL.match(error.message):
        return verdict(error, Fault.NEXT_CREDENTIAL, "client", "resource_not_found")
    if _NO_PERMISSION.match(error.message):
        # The account may lack this one model (preview access, reference 2.6), so only the model rests.
        until = answer.received_at + PERMISSION_REST_S
        return verdict(error, Fault.COOL_DOWN, "configuration", "permission_denied", until)
    # It may be about something that the request names: a file, a tuned model. No credential is blamed.
    return verdict(error, Fault.NEXT_CREDENTIAL, "configuration", "permission_denied")


_ZERO_LIMIT = re.compile(r"\blimit: ?0(?!\d|\.\d)")
_DAILY = re.compile(r"per[ _]?day|daily", re.IGNORECASE)


def _judge_exhausted(error: GoogleError, answer: Answer, policy: Policy) -> Verdict:
    now = answer.received_at
    if _has_no_access(error):
        return verdict(error, Fault.COOL_DOWN, "quota", "no_access", now + EXCLUDED_S)
    if _is_daily(error):
        # `retryDelay` is short even then, so only the reset that belongs to the quota counts (reference 3.7).
        return verdict(error, Fault.COOL_DOWN, "quota", "daily_quota", quota_reset(error, now))
    stated = stated_reset(error, now)
    if error.reason == "QUOTA_EXHAUSTED":
        until = stated or quota_reset(error, now)
        return verdict(error, Fault.COOL_DOWN, "quota", "daily_quota", until)
    if stated is None and error.message == _BARE_QUOTA:
        until = now + policy.bare_quota_s
        return verdict(error, Fault.COOL_DOWN, "quota", "quota_exhausted", until, guessed=True)
    until = stated or now + RATE_DEFAULT_S
    long = until - now > RATE_LONGEST_S
    kind, reason = ("quota", "quota_with_reset") if long else ("rate", "rate_limited")
    return verdict(error, Fault.COOL_DOWN, kind, reason, until, guessed=stated is None)


def _has_no_access(error: GoogleError) -> bool:
    texts = (error.message, *(violation.description for violation in error.violations))
    return any(violation.value == "0" for violation in error.violations) or any(
        _ZERO_LIMIT.search(text) for text in texts
    )


def _is_daily(error: GoogleError) -> bool:
    violations = (
        f"{violation.quota_id} {violation.metric} {violation.description}"
        for violation in error.violations
    )
    texts = (error.metadata.get("quota_limit", ""), error.message, *violations)
    return any(_DAILY.search(text) for text in texts)


def _words(error: GoogleError) -> str:
    if not error.readable or not error.message:
        return f"The upstream answered with status {error.status} and no explanation."
    return redact(error.message)[:_MAX_MESSAGE_CHARS]
