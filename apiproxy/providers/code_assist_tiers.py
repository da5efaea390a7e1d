"""Reads the answer of `loadCodeAssist`: tier, project, and why an account may not use Code Assist (reference 1.8)."""

from __future__ import annotations

from typing import Any

from apiproxy.wire.google_errors import redact
from apiproxy.wire.types import Fault, Verdict

Json = dict[str, Any]

FREE_TIER = "free-tier"
LEGACY_TIER = "legacy-tier"
STANDARD_TIER = "standard-tier"

_RETIRED = (
    "Google no longer serves Code Assist for individuals to this client (since June 2026). What still works: a Code "
    "Assist Standard or Enterprise licence for this account, or a Gemini API key instead of the account."
)
_LOCATION_CODES = ("UNSUPPORTED_LOCATION", "UNKNOWN_LOCATION", "RESTRICTED_NETWORK")


def project_of(answer: Json) -> str:
    """The project id, given as text or as `{"id": …}`; "" when there is none that can be used."""
    value = answer.get("cloudaicompanionProject")
    return usable_project(value.get("id") if isinstance(value, dict) else value)


def usable_project(value: Any) -> str:
    """A purely numeric project is a project number, which is not valid here."""
    project = value.strip() if isinstance(value, str) else ""
    return "" if project.isdigit() else project


def tier_of(answer: Json) -> str:
    return _id(answer.get("paidTier")) or _id(answer.get("currentTier")) or STANDARD_TIER


def is_onboarded(answer: Json) -> bool:
    return isinstance(answer.get("currentTier"), dict)


def tier_to_join(answer: Json) -> str:
    default = next(
        (tier for tier in _objects(answer, "allowedTiers") if tier.get("isDefault")), None
    )
    return _id(default) or LEGACY_TIER


def ineligibility(answer: Json) -> Verdict | None:
    """Why an account that is not onboarded cannot be; None when a tier is open to it."""
    refusals = {str(tier.get("reasonCode")): tier for tier in _objects(answer, "ineligibleTiers")}
    if "UNSUPPORTED_CLIENT" in refusals:
        return _disabled("licence", "retired_by_google", _RETIRED)
    if (refusal := refusals.get("VALIDATION_REQUIRED")) is not None:
        words = _words(refusal, "Google wants the owner of this account to verify it.")
        url = refusal.get("validationUrl")
        return _disabled("verification", "validation_required", words, url)
    if not refusals or _objects(answer, "allowedTiers"):
        return None
    code, refusal = next(iter(refusals.items()))
    kind = "location" if code in _LOCATION_CODES else "licence"
    words = _words(refusal, "Google offers this account no tier of Code Assist.")
    return _disabled(kind, code.lower(), words)


def _disabled(kind: str, reason: str, message: str, url: Any = "") -> Verdict:
    return Verdict(
        fault=Fault.DISABLE,
        kind=kind,
        reason=reason,
        message=message,
        status=403,
        help_url=url if isinstance(url, str) and url.startswith("https://") else "",
    )


def _words(refusal: Json, default: str) -> str:
    named = (refusal.get(name) for name in ("validationErrorMessage", "reasonMessage"))
    return redact(next((text for text in named if isinstance(text, str) and text), default))


def _objects(answer: Json, name: str) -> list[Json]:
    value = answer.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _id(tier: Any) -> str:
    value = tier.get("id") if isinstance(tier, dict) else None
    return value if isinstance(value, str) else ""
