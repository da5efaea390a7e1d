"""The public Gemini API's error answers, one row a case."""

from tests.fakes.google_status import (
    GEMINI_SERVICE,
    RPC,
    Builder,
    ErrorCase,
    Facts,
    Json,
    Row,
    bad_request,
    error_info,
    help_links,
    plain,
    retry_info,
    status_body,
)

_REQUESTS = "generate_content_free_tier_requests"
_TOKENS = "generate_content_free_tier_input_token_count"
_BARE_QUOTA = "Resource has been exhausted (e.g. check quota)."

_EXHAUSTED = "RESOURCE_EXHAUSTED"
_DENIED = "PERMISSION_DENIED"
_ARGUMENT = "INVALID_ARGUMENT"


def _key_error(reason: str, message: str) -> Builder:
    def build(case: ErrorCase, facts: Facts) -> Json:
        text = message.format(f=facts)
        info = error_info(reason, "googleapis.com", service=GEMINI_SERVICE)
        if reason != "API_KEY_INVALID":
            info["metadata"]["consumer"] = f"projects/{facts.project_number}"
            return status_body(case.http, case.status, text, info)
        local = {"@type": RPC + "LocalizedMessage", "locale": "en-US", "message": text}
        return status_body(case.http, case.status, text, info, local)

    return build


def _model_missing(case: ErrorCase, facts: Facts) -> Json:
    return status_body(case.http, case.status, model_missing_message(facts.model))


def model_missing_message(
    model: str, version: str = "v1beta", method: str = "generateContent"
) -> str:
    return (
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods."
    )


def _quota(metric: str, quota_id: str, limit: int, retry_s: float) -> Builder:
    def build(case: ErrorCase, facts: Facts) -> Json:
        wait_s = facts.retry_in(retry_s)
        violation = {
            "quotaMetric": f"{GEMINI_SERVICE}/{metric}",
            "quotaId": quota_id,
            "quotaDimensions": {"location": "global", "model": facts.model},
            "quotaValue": str(limit),
        }
        # Google repeats entries, in the list and in the text.
        failure = {"@type": RPC + "QuotaFailure", "violations": [violation, dict(violation)]}
        line = (
            f"* Quota exceeded for metric: {GEMINI_SERVICE}/{metric}, limit: {limit}, "
            f"model: {facts.model}"
        )
        message = (
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
            f"\n{line}\n{line}\nPlease retry in {wait_s + 0.18:.2f}s."
        )
        links = help_links(
            (
                "Learn more about Gemini API quotas",
                "https://ai.google.dev/gemini-api/docs/rate-limits",
            )
        )
        retry = retry_info(int(wait_s))
        return status_body(case.http, case.status, message, failure, links, retry)

    return build


ROWS: dict[str, Row] = {
    "api_key_invalid": (
        400,
        _ARGUMENT,
        "auth",
        _key_error("API_KEY_INVALID", "API key not valid. Please pass a valid API key."),
    ),
    "api_key_not_found": (
        400,
        _ARGUMENT,
        "auth",
        _key_error("API_KEY_INVALID", "API Key not found. Please pass a valid API key."),
    ),
    "api_key_expired": (
        400,
        _ARGUMENT,
        "auth",
        _key_error("API_KEY_INVALID", "API key expired. Please renew the API key."),
    ),
    "bad_request": (
        400,
        _ARGUMENT,
        "client",
        plain(
            "* GenerateContentRequest.contents: contents is not specified\n",
            bad_request(("contents", "contents is not specified")),
        ),
    ),
    "location": (
        400,
        "FAILED_PRECONDITION",
        "environment",
        plain("User location is not supported for the API use."),
    ),
    "billing": (
        400,
        "FAILED_PRECONDITION",
        "environment",
        plain(
            "Gemini API free tier is not available in your country. Please enable billing on your "
            "project in Google AI Studio."
        ),
    ),
    "payload": (
        400,
        _ARGUMENT,
        "client",
        plain("Request payload size exceeds the limit: 20971520 bytes."),
    ),
    "bearer_refused": (
        401,
        "UNAUTHENTICATED",
        "auth",
        plain(
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
            "cookie or other valid authentication credential. See "
            "https://developers.google.com/identity/sign-in/web/devconsole-project.",
            error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", "googleapis.com", service=GEMINI_SERVICE),
        ),
    ),
    "suspended": (
        403,
        _DENIED,
        "forbidden",
        _key_error(
            "CONSUMER_SUSPENDED",
            "Permission denied: Consumer 'api_key:{f.key}' has been suspended.",
        ),
    ),
    "service_disabled": (
        403,
        _DENIED,
        "forbidden",
        _key_error(
            "SERVICE_DISABLED",
            "Generative Language API has not been used in project {f.project_number} before or it "
            "is disabled. Enable it and retry.",
        ),
    ),
    "service_blocked": (
        403,
        _DENIED,
        "forbidden",
        _key_error(
            "API_KEY_SERVICE_BLOCKED",
            "Requests to this API generativelanguage.googleapis.com method "
            "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent are blocked.",
        ),
    ),
    "referrer_blocked": (
        403,
        _DENIED,
        "forbidden",
        _key_error("API_KEY_HTTP_REFERRER_BLOCKED", "Requests from referer <empty> are blocked."),
    ),
    "ip_blocked": (
        403,
        _DENIED,
        "forbidden",
        _key_error(
            "API_KEY_IP_ADDRESS_BLOCKED",
            "The provided API key has an IP address restriction. The originating IP address of the "
            "call violates this restriction.",
        ),
    ),
    "leaked": (
        403,
        _DENIED,
        "forbidden",
        plain("Your API key was reported as leaked. Please use another API key."),
    ),
    "unregistered": (
        403,
        _DENIED,
        "auth",
        plain(
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API."
        ),
    ),
    "model_missing": (404, "NOT_FOUND", "model", _model_missing),
    "too_large": (
        413,
        _ARGUMENT,
        "client",
        plain("Request payload size exceeds the limit: 20971520 bytes."),
    ),
    "quota_minute": (
        429,
        _EXHAUSTED,
        "rate",
        _quota(_REQUESTS, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", 10, 56),
    ),
    "quota_day": (
        429,
        _EXHAUSTED,
        "quota",
        _quota(_REQUESTS, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", 250, 13),
    ),
    "quota_day_paid": (
        429,
        _EXHAUSTED,
        "quota",
        _quota(
            "generate_requests_per_model_per_day",
            "GenerateRequestsPerDayPerProjectPerModel",
            1000,
            7,
        ),
    ),
    "quota_tokens_minute": (
        429,
        _EXHAUSTED,
        "rate",
        _quota(_TOKENS, "GenerateContentInputTokensPerModelPerMinute-FreeTier", 250000, 42),
    ),
    "limit_zero": (
        429,
        _EXHAUSTED,
        "model",
        _quota(_REQUESTS, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", 0, 44),
    ),
    "quota_bare": (429, _EXHAUSTED, "quota", plain(_BARE_QUOTA)),
    "cancelled": (499, "CANCELLED", "cancelled", plain("The operation was cancelled.")),
    "server": (
        500,
        "INTERNAL",
        "server",
        plain(
            "An internal error has occurred. Please retry or report in "
            "https://developers.generativeai.google/guide/troubleshooting"
        ),
    ),
    "overload": (
        503,
        "UNAVAILABLE",
        "capacity",
        plain("The model is overloaded. Please try again later."),
    ),
    "high_demand": (
        503,
        "UNAVAILABLE",
        "capacity",
        plain(
            "This model is currently experiencing high demand. Spikes in demand are usually "
            "temporary. Please try again later."
        ),
    ),
    "deadline": (
        504,
        "DEADLINE_EXCEEDED",
        "server",
        plain("Deadline expired before operation could complete."),
    ),
}
