"""The models of the sandbox that fail, one for each class of error, with the bodies Google sends (reference 2.7, 3.7)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Json = dict[str, Any]

_RPC = "type.googleapis.com/google.rpc."
_SERVICE = "generativelanguage.googleapis.com"


class Failure(Struct, frozen=True):
    status: int
    code: str
    message: str
    details: tuple[Json, ...] = ()
    after_s: float = 0.0

    def body(self) -> Json:
        error: Json = {"code": self.status, "message": self.message, "status": self.code}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def _info(reason: str, **metadata: str) -> Json:
    return {"@type": _RPC + "ErrorInfo", "reason": reason, "domain": _SERVICE, "metadata": metadata}


def _retry_in(delay: str) -> Json:
    return {"@type": _RPC + "RetryInfo", "retryDelay": delay}


def _quota(quota_id: str, limit: str) -> Json:
    violation = {"quotaId": quota_id, "quotaValue": limit}
    return {"@type": _RPC + "QuotaFailure", "violations": [violation]}


FAILURES = {
    "sandbox-error-client": Failure(
        400, "INVALID_ARGUMENT", "The sandbox refuses this request, as it refuses any other."
    ),
    "sandbox-error-auth": Failure(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        (_info("API_KEY_INVALID", service=_SERVICE),),
    ),
    "sandbox-error-licence": Failure(
        403,
        "PERMISSION_DENIED",
        "The account of this credential has no licence for this service. (#3501)",
        (_info("SUBSCRIPTION_REQUIRED"),),
    ),
    "sandbox-error-rate": Failure(
        429,
        "RESOURCE_EXHAUSTED",
        "Too many requests this minute. Please retry in 5s.",
        (_quota("GenerateRequestsPerMinutePerProjectPerModel", "10"), _retry_in("5s")),
    ),
    "sandbox-error-quota": Failure(
        429,
        "RESOURCE_EXHAUSTED",
        "Today's requests are used up.",
        (_quota("GenerateRequestsPerDayPerProjectPerModel", "250"), _retry_in("5s")),
    ),
    "sandbox-error-model-missing": Failure(
        404, "NOT_FOUND", "models/sandbox-error-model-missing is not found for API version v1beta."
    ),
    "sandbox-error-capacity": Failure(
        503,
        "UNAVAILABLE",
        "The model is overloaded. Please try again later.",
        (_info("MODEL_CAPACITY_EXHAUSTED"), _retry_in("9s")),
    ),
    "sandbox-error-server": Failure(500, "INTERNAL", "An internal error has occurred."),
    "sandbox-error-timeout": Failure(
        504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", after_s=1.0
    ),
}

BROKEN = Failure(503, "UNAVAILABLE", "The stream broke: the sandbox was asked to break it.")


def unknown_model(model: str) -> Failure:
    return Failure(404, "NOT_FOUND", f"models/{model[:128]} is not found in the sandbox.")
