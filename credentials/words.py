"""Where a credential stands, in words: what is wrong, what to do now, and whose turn it is."""

from __future__ import annotations

from msgspec import Struct

CONTRIBUTOR = "contributor"
OPERATOR = "operator"
NOBODY = ""


class Words(Struct, frozen=True):
    """`todo` is for `who`: contributor, operator, or "" when it ends by itself."""

    verdict: str
    todo: str = ""
    who: str = NOBODY


WORKS = Words("works")

_LICENCE = "needs licence"
_RETIRED = "retired by Google for individual accounts"
_VERIFICATION = "needs verification"
_BANNED = "banned by Google"
_REVOKED = "revoked"
_MISCONFIGURED = "misconfigured"
_LIMITED = "rate-limited"

# By the reason of a state (apiproxy/providers/judgement.py, code_assist_*.py, services/refreshing.py).
_REASONS = {
    "subscription_required": Words(
        _LICENCE,
        "Get the account a Gemini Code Assist Standard or Enterprise licence, or lend a Gemini API key instead.",
        CONTRIBUTOR,
    ),
    "named_user_required": Words(
        _LICENCE,
        "The organisation's licence is not assigned to this account: ask its administrator to assign one.",
        CONTRIBUTOR,
    ),
    "retired_by_google": Words(
        _RETIRED,
        "Google no longer serves individual accounts this way. Lend a Gemini API key instead, or get a Code Assist licence.",
        CONTRIBUTOR,
    ),
    "validation_required": Words(
        _VERIFICATION, "Open Google's page and verify the account, then test again.", CONTRIBUTOR
    ),
    "suspended": Words(
        _BANNED,
        "Google suspended the Cloud project. Appeal there, or take the credential back.",
        CONTRIBUTOR,
    ),
    "key_leaked": Words(
        _BANNED,
        "Google blocked the key because it was found in public. Make a new key and lend that.",
        CONTRIBUTOR,
    ),
    "terms_of_service": Words(
        _BANNED,
        "Google disabled its service for this account. Take the credential back; appeal at Google if you want it again.",
        CONTRIBUTOR,
    ),
    "service_disabled": Words(
        _MISCONFIGURED,
        "Enable the API in the account's Cloud project, wait a few minutes, then test again.",
        CONTRIBUTOR,
    ),
    "key_service_blocked": Words(
        _MISCONFIGURED,
        "The key is not allowed to use the Gemini API: allow it in the Cloud console, or lend another key.",
        CONTRIBUTOR,
    ),
    "key_referrer_blocked": Words(
        _MISCONFIGURED,
        "The key only works from certain websites: remove that restriction, or lend another key.",
        CONTRIBUTOR,
    ),
    "key_address_blocked": Words(
        _MISCONFIGURED,
        "The key only works from certain addresses: allow this server's address, or lend another key.",
        CONTRIBUTOR,
    ),
    "credential_type_refused": Words(
        _MISCONFIGURED,
        "Google takes no credential of this kind here: lend an API key.",
        CONTRIBUTOR,
    ),
    "permission_denied": Words(
        _MISCONFIGURED,
        "The account may not use Gemini Code Assist in its project: choose another project, or have the role granted.",
        CONTRIBUTOR,
    ),
    "project_missing": Words(
        _MISCONFIGURED,
        "No Cloud project was found for the account: create one or name it, then look for the project again.",
        CONTRIBUTOR,
    ),
    "oauth_client": Words(
        _MISCONFIGURED,
        "Google refuses the OAuth client this login was made with: check GOOGLE_OAUTH_CLIENT_ID and its secret.",
        OPERATOR,
    ),
    "api_key_invalid": Words(
        _REVOKED, "The key was deleted, or has expired. Lend a new one.", CONTRIBUTOR
    ),
    "no_refresh_token": Words(
        _REVOKED, "The login came without a lasting token. Connect the account again.", CONTRIBUTOR
    ),
    "rate_limited": Words(_LIMITED),
    "daily_quota": Words("today's quota at Google is used up"),
    "quota_exhausted": Words("its quota at Google is used up"),
    "quota_with_reset": Words("its quota at Google is used up until a time Google names"),
    "no_access": Words("Google gives it no quota"),
    "insufficient_credits": Words("its credits at Google are used up"),
    "model_missing": Words("the account does not have the model"),
    "contributor_reserve": Words("the rest of today's quota is kept for its contributor"),
    "proxy_failed": Words(
        "its proxy does not answer", "Check the credential's proxy, or remove it.", OPERATOR
    ),
    "duplicate": Words("a duplicate", "Another row has the same login and project.", NOBODY),
}

_STATES = {
    "cooling": Words(_LIMITED),
    "exhausted": Words("its quota at Google is used up"),
    "missing": Words("the account does not have the model"),
    "expired": Words(_REVOKED, "Connect the account again, or lend a new key.", CONTRIBUTOR),
    "needs_attention": Words(
        "needs attention", "Test it to see what Google says about it now.", OPERATOR
    ),
    "disabled": Words("disabled", "Enable it when it may serve again.", OPERATOR),
    "withdrawn": Words("withdrawn"),
}

# Where a rule of the site decided, its name stands before the reason (apiproxy/rules.py).
_RULED_OUT = (
    "See what the upstream answered; then enable it, or change the rule (AUTO_BAN is a setting)."
)

_PEOPLES = frozenset({"disabled", "withdrawn"})
"""States that a person chose: the reason only adds to them."""


def explain(state: str, reason: str = "", *, provider: str = "") -> Words:
    """Of a credential, or of one model of it. A rest that is over is "active" to the caller."""
    if state == "active":
        return WORKS
    if state in _PEOPLES:
        words = _STATES[state]
        return words if reason != "duplicate" else _REASONS["duplicate"]
    rule, _, reason = reason.rpartition(": ")
    if rule and state == "needs_attention":
        return Words(f"taken out by {rule}", _RULED_OUT, OPERATOR)
    if rule and state == "cooling" and reason not in _REASONS:
        return Words(f"resting by {rule}")
    words = _REASONS.get(reason) or _STATES.get(state, WORKS)
    if state == "expired" and provider == "gemini_api" and reason not in _REASONS:
        return _REASONS["api_key_invalid"]
    return words
