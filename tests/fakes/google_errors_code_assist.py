"""Code Assist's error answers, one row a case."""

from tests.fakes.google_status import (
    CODE_ASSIST_DOMAIN,
    COMPANION_DOMAIN,
    RPC,
    Builder,
    ErrorCase,
    Facts,
    Json,
    Row,
    bad_request,
    duration,
    error_info,
    help_links,
    plain,
    retry_info,
    status_body,
)

_BARE_QUOTA = "Resource has been exhausted (e.g. check quota)."
_LICENCE_PAGE = "https://cloud.google.com/gemini/docs/codeassist/request-license"
_VALIDATION_PAGE = "https://accounts.google.com/signin/continue?sarp=1&fake=1"

_EXHAUSTED = "RESOURCE_EXHAUSTED"
_DENIED = "PERMISSION_DENIED"
_ARGUMENT = "INVALID_ARGUMENT"


def _ca_limit(reason: str, message: str, default_s: float, *, retry: bool) -> Builder:
    def build(case: ErrorCase, facts: Facts) -> Json:
        wait_s = facts.reset_in(default_s)
        info = error_info(
            reason,
            CODE_ASSIST_DOMAIN,
            uiMessage="true",
            model=facts.model,
            quotaResetDelay=duration(wait_s),
            quotaResetTimeStamp=facts.reset_stamp(default_s),
        )
        details = [info, retry_info(facts.retry_in(max(wait_s, 0)))] if retry else [info]
        text = message.format(delay=duration(wait_s))
        return status_body(case.http, case.status, text, *details)

    return build


def _ca_legacy(case: ErrorCase, facts: Facts) -> Json:
    consumer = f"project_number:{facts.project_number}"
    message = (
        "Quota exceeded for quota metric 'Gemini 2.5 Pro Requests' and limit "
        "'Gemini 2.5 Pro Requests per day per user per tier' of service "
        f"'{CODE_ASSIST_DOMAIN}' for consumer '{consumer}'."
    )
    info = error_info(
        "RATE_LIMIT_EXCEEDED",
        "googleapis.com",
        consumer=f"projects/{facts.project_number}",
        quota_metric=f"{CODE_ASSIST_DOMAIN}/gemini_2_5_pro_requests",
        quota_limit="Gemini25ProRequestsPerDayPerUserPerTier",
        quota_limit_value="100",
        quota_location="global",
        service=CODE_ASSIST_DOMAIN,
    )
    return status_body(case.http, case.status, message, info, reason="rateLimitExceeded")


def _ca_no_access(case: ErrorCase, facts: Facts) -> Json:
    message = (
        "You exceeded your current quota. Quota exceeded for metric: "
        f"{CODE_ASSIST_DOMAIN}/generate_requests, limit: 0, model: {facts.model}"
    )
    violation = {
        "quotaMetric": f"{CODE_ASSIST_DOMAIN}/generate_requests",
        "description": "limit: 0",
    }
    failure = {"@type": RPC + "QuotaFailure", "violations": [violation]}
    return status_body(case.http, case.status, message, failure)


def _ca_no_access_violation(case: ErrorCase, facts: Facts) -> Json:
    """Only the violation says so."""
    violation = {
        "quotaMetric": f"{CODE_ASSIST_DOMAIN}/generate_requests",
        "quotaDimensions": {"model": facts.model},
        "description": f"Quota exceeded for {facts.model}, limit: 0",
    }
    failure = {"@type": RPC + "QuotaFailure", "violations": [violation, violation]}
    return status_body(case.http, case.status, "You exceeded your current quota.", failure)


def _ca_capacity(reason: str) -> Builder:
    def build(case: ErrorCase, facts: Facts) -> Json:
        info = error_info(reason, CODE_ASSIST_DOMAIN, model=facts.model)
        message = f"No capacity available for model {facts.model} on the server"
        return status_body(case.http, case.status, message, info, retry_info(facts.retry_in(9)))

    return build


def _ca_api_disabled(case: ErrorCase, facts: Facts) -> Json:
    url = (
        "https://console.developers.google.com/apis/api/cloudaicompanion.googleapis.com/overview"
        f"?project={facts.project}"
    )
    message = (
        f"Gemini for Google Cloud API has not been used in project {facts.project} before or it is "
        f"disabled. Enable it by visiting {url} then retry."
    )
    consumer = f"projects/{facts.project_number}"
    info = error_info(
        "SERVICE_DISABLED", "googleapis.com", service=COMPANION_DOMAIN, consumer=consumer
    )
    links = help_links(("Google developers console API activation", url))
    return status_body(case.http, case.status, message, links, info)


def _ca_iam(case: ErrorCase, facts: Facts) -> Json:
    permission = "cloudaicompanion.companions.generateChat"
    resource = f"projects/{facts.project}/locations/global"
    message = (
        f"Permission '{permission}' denied on resource '//{COMPANION_DOMAIN}/{resource}' "
        "(or it may not exist)."
    )
    info = error_info(
        "IAM_PERMISSION_DENIED", COMPANION_DOMAIN, permission=permission, resource=resource
    )
    return status_body(case.http, case.status, message, info)


ROWS: dict[str, Row] = {
    "ca_rate_short": (
        429,
        _EXHAUSTED,
        "rate",
        _ca_limit(
            "RATE_LIMIT_EXCEEDED",
            "You have exhausted your capacity on this model. Your quota will reset after {delay}.",
            0.539477544,
            retry=True,
        ),
    ),
    "ca_rate_long": (
        429,
        _EXHAUSTED,
        "rate",
        _ca_limit(
            "RATE_LIMIT_EXCEEDED",
            "You have exhausted your capacity on this model. Your quota will reset after {delay}.",
            4000.5,
            retry=True,
        ),
    ),
    "ca_quota_daily": (
        429,
        _EXHAUSTED,
        "quota",
        _ca_limit(
            "QUOTA_EXHAUSTED",
            "You have exhausted your capacity on this model. Your quota will reset after {delay}.",
            47941.2,
            retry=False,
        ),
    ),
    "ca_quota_bare": (429, _EXHAUSTED, "quota", plain(_BARE_QUOTA)),
    "ca_quota_legacy": (429, _EXHAUSTED, "quota", _ca_legacy),
    "ca_no_access": (429, _EXHAUSTED, "model", _ca_no_access),
    "ca_no_access_violation": (429, _EXHAUSTED, "model", _ca_no_access_violation),
    "ca_capacity_429": (429, _EXHAUSTED, "capacity", _ca_capacity("MODEL_CAPACITY_EXHAUSTED")),
    "ca_capacity_503": (503, "UNAVAILABLE", "capacity", _ca_capacity("MODEL_CAPACITY_EXHAUSTED")),
    "ca_capacity_exceeded": (429, _EXHAUSTED, "capacity", _ca_capacity("MODEL_CAPACITY_EXCEEDED")),
    "ca_credits": (
        429,
        _EXHAUSTED,
        "quota",
        plain(
            "Your balance of Google One AI credits is too low for this request.",
            error_info("INSUFFICIENT_G1_CREDITS_BALANCE", CODE_ASSIST_DOMAIN, uiMessage="true"),
        ),
    ),
    "ca_licence": (
        403,
        _DENIED,
        "forbidden",
        plain(
            "You do not have a valid license of Gemini Code Assist. Please contact your "
            "administrator to request a license. (#3501)",
            error_info(
                "SUBSCRIPTION_REQUIRED", COMPANION_DOMAIN, uiMessage="true", error_number="1001"
            ),
            help_links(("Request a license", _LICENCE_PAGE)),
        ),
    ),
    "ca_named_user": (
        403,
        _DENIED,
        "forbidden",
        plain(
            "Access denied: the user needs a named user entitlement to the Gemini Code Assist "
            "Standard edition.",
            reason="forbidden",
        ),
    ),
    "ca_validation": (
        403,
        _DENIED,
        "forbidden",
        plain(
            "Verify your account to continue.",
            error_info("VALIDATION_REQUIRED", CODE_ASSIST_DOMAIN, validation_link=_VALIDATION_PAGE),
            help_links(
                ("Verify your account", _VALIDATION_PAGE),
                ("Learn more", "https://support.google.com/accounts?p=al_alert"),
            ),
        ),
    ),
    "ca_tos": (
        403,
        _DENIED,
        "forbidden",
        plain(
            "Gemini has been disabled in this account for violation of Terms of Service. If you "
            "believe this is an error, contact support."
        ),
    ),
    "ca_api_disabled": (403, _DENIED, "forbidden", _ca_api_disabled),
    "ca_iam": (403, _DENIED, "forbidden", _ca_iam),
    "ca_permission": (403, _DENIED, "forbidden", plain("The caller does not have permission")),
    "ca_credentials_missing": (
        401,
        "UNAUTHENTICATED",
        "auth",
        plain(
            "Request is missing required authentication credential. Expected OAuth 2 access token, "
            "login cookie or other valid authentication credential.",
            error_info("CREDENTIALS_MISSING", "googleapis.com", service=CODE_ASSIST_DOMAIN),
        ),
    ),
    "ca_bad_token": (
        401,
        "UNAUTHENTICATED",
        "auth",
        plain(
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
            "cookie or other valid authentication credential. See "
            "https://developers.google.com/identity/sign-in/web/devconsole-project.",
            error_info(
                "ACCESS_TOKEN_EXPIRED",
                "googleapis.com",
                service=CODE_ASSIST_DOMAIN,
                method="google.internal.cloud.code.v1internal.PredictionService.GenerateContent",
            ),
        ),
    ),
    "ca_bad_request": (
        400,
        _ARGUMENT,
        "client",
        plain(
            'Invalid JSON payload received. Unknown name "$schema" at '
            "'request.tools[0].function_declarations[0].parameters': Cannot find field.",
            bad_request(
                (
                    "request.tools[0].function_declarations[0].parameters",
                    'Invalid JSON payload received. Unknown name "$schema" at '
                    "'request.tools[0].function_declarations[0].parameters': Cannot find field.",
                )
            ),
            reason="badRequest",
        ),
    ),
    "ca_not_repeating": (
        400,
        _ARGUMENT,
        "client",
        plain(
            "Invalid value at 'request.contents' (type.googleapis.com/google.cloud.Content), "
            "Proto field is not repeating, cannot start list.",
            reason="badRequest",
        ),
    ),
    "ca_vertex_argument": (
        400,
        _ARGUMENT,
        "client",
        plain(
            "Unable to submit request because it must have a text parameter. Learn more: "
            "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/gemini"
        ),
    ),
    "ca_location": (
        400,
        "FAILED_PRECONDITION",
        "environment",
        plain("User location is not supported for the API use."),
    ),
    "ca_precondition": (
        400,
        "FAILED_PRECONDITION",
        "environment",
        plain("Precondition check failed."),
    ),
    "ca_model_missing": (404, "NOT_FOUND", "model", plain("Requested entity was not found.")),
    "ca_server": (
        500,
        "INTERNAL",
        "server",
        plain("Internal error encountered.", reason="backendError"),
    ),
    "ca_overload": (
        503,
        "UNAVAILABLE",
        "server",
        plain("The service is currently unavailable.", reason="backendError"),
    ),
    "ca_model_overloaded": (
        503,
        "UNAVAILABLE",
        "capacity",
        plain("The model is overloaded. Please try again later.", reason="backendError"),
    ),
    "ca_deadline": (
        504,
        "DEADLINE_EXCEEDED",
        "server",
        plain("Deadline expired before operation could complete."),
    ),
    "ca_cancelled": (499, "CANCELLED", "cancelled", plain("The operation was cancelled.")),
}
