"""Google's OAuth for installed applications as data: addresses, forms and readings of answers (reference 1.1 to 1.5)."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
)

_DEFAULT_LIFETIME_S = 3599
_ERROR_CODE = re.compile(r"[a-z][a-z_]{1,40}")


class TokenRequest(Struct, frozen=True):
    """A form for the token endpoint."""

    url: str
    form: dict[str, str]

    def __repr__(self) -> str:
        return f"TokenRequest({self.url}, {self.form['grant_type']})"


class TokenReply(Struct, frozen=True):
    """`refresh_token` is "" when the old one stays valid, which is the rule for a refresh (reference 1.4)."""

    access_token: str
    expires_in_s: int
    refresh_token: str = ""
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"TokenReply(expires_in_s={self.expires_in_s})"


class Trouble(StrEnum):
    PERMANENT = "permanent"
    """The grant is dead; its owner must log in again."""
    CONFIGURATION = "configuration"
    """The OAuth client, or the request we make with it, is wrong; the grant may be fine."""
    TEMPORARY = "temporary"


class TokenRefusal(Struct, frozen=True):
    """`reason`: Google's error code, or "http_<status>" when the answer holds none."""

    trouble: Trouble
    reason: str


# Statuses and codes other than invalid_grant are from OAuth documentation, not from captured answers (reference 9).
_PERMANENT = frozenset(
    {
        "invalid_grant",
        "unauthorized_client",
        "access_denied",
        "refresh_token_expired",
        "invalid_refresh_token",
    }
)
_PASSING = frozenset(
    {"temporarily_unavailable", "server_error", "internal_failure", "rate_limit_exceeded"}
)


def code_challenge(verifier: str) -> str:
    """PKCE S256."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(
    *, auth_url: str, client_id: str, redirect_uri: str, state: str, code_verifier: str
) -> str:
    """The consent page. Without `prompt=consent` a second consent gives no refresh token (reference 1.2)."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        "prompt": "consent",
        "state": state,
        "code_challenge": code_challenge(code_verifier),
        "code_challenge_method": "S256",
    }
    return f"{auth_url}?{urlencode(query)}"


def exchange_request(
    *,
    base_url: str,
    code: str,
    redirect_uri: str,
    code_verifier: str,
    client_id: str,
    client_secret: str,
) -> TokenRequest:
    """`redirect_uri` must be, byte for byte, the one of the authorization URL."""
    return TokenRequest(
        url=_token_url(base_url),
        form={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
            "client_id": client_id,
            "client_secret": client_secret,
        },
    )


def refresh_request(
    *, base_url: str, refresh_token: str, client_id: str, client_secret: str
) -> TokenRequest:
    return TokenRequest(
        url=_token_url(base_url),
        form={
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        },
    )


def revoke_url(base_url: str) -> str:
    return f"{base_url.rstrip('/')}/revoke"


def userinfo_url(base_url: str) -> str:
    return f"{base_url.rstrip('/')}/oauth2/v2/userinfo"


def parse_token_answer(status: int, body: bytes) -> TokenReply | TokenRefusal:
    answer = _json_object(body)
    if status == 200:
        return _reply(answer) or TokenRefusal(Trouble.TEMPORARY, "unreadable_answer")
    code = answer.get("error")
    if not isinstance(code, str) or not _ERROR_CODE.fullmatch(code):
        # HTML of a front end, or an error object of another service: says nothing about the grant.
        return TokenRefusal(Trouble.TEMPORARY, f"http_{status}")
    return TokenRefusal(_trouble(status, code), _reason(code, answer))


def parse_revoke_answer(status: int, body: bytes) -> bool | None:
    """Whether the grant is gone now; None when the answer says nothing about it and a later one may."""
    if status == 200:
        return True
    code = _json_object(body).get("error")
    if status == 429 or status >= 500 or not isinstance(code, str):
        return None
    return code == "invalid_token"


def parse_userinfo(body: bytes) -> str:
    """The verified e-mail address, in lower case; "" when there is none."""
    answer = _json_object(body)
    email = answer.get("email")
    if not isinstance(email, str) or answer.get("verified_email") is False:
        return ""
    return email.strip().lower()


def _token_url(base_url: str) -> str:
    return f"{base_url.rstrip('/')}/token"


def _trouble(status: int, code: str) -> Trouble:
    if status == 429 or status >= 500 or code in _PASSING:
        return Trouble.TEMPORARY
    return Trouble.PERMANENT if code in _PERMANENT else Trouble.CONFIGURATION


def _reason(code: str, answer: dict[str, Any]) -> str:
    """Workspace's re-authentication policy hides behind invalid_grant (reference 1.5)."""
    return "invalid_rapt" if answer.get("error_subtype") == "invalid_rapt" else code


def _reply(answer: dict[str, Any]) -> TokenReply | None:
    token, refresh, scope = (answer.get(key) for key in ("access_token", "refresh_token", "scope"))
    if not isinstance(token, str) or not token:
        return None
    return TokenReply(
        access_token=token,
        expires_in_s=_lifetime_s(answer.get("expires_in")),
        refresh_token=refresh if isinstance(refresh, str) else "",
        scopes=tuple(scope.split()) if isinstance(scope, str) else (),
    )


def _lifetime_s(value: Any) -> int:
    try:
        return max(int(value), 0)
    except (TypeError, ValueError):
        return _DEFAULT_LIFETIME_S


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
