"""accounts.google.com and oauth2.googleapis.com: consent page, tokens, revocation, user info."""

import asyncio
import base64
import hashlib
import html
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from tests.fakes.google_accounts import Account, AuthCode
from tests.fakes.google_scripts import Recorded
from tests.fakes.google_state import State
from tests.fakes.google_status import CONTENT_TYPES, Refused, error_info, html_page, status_body

Json = dict[str, Any]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CODE_PAGE = "https://codeassist.google.com/authcode"
_CODE_LIFETIME_S = 600

_TOKEN_ERRORS: dict[str, tuple[int, Json]] = {
    "invalid_grant": (
        400,
        {"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
    ),
    "invalid_rapt": (
        400,
        {
            "error": "invalid_grant",
            "error_description": "reauth related error (invalid_rapt)",
            "error_uri": "https://support.google.com/a/answer/9368756",
            "error_subtype": "invalid_rapt",
        },
    ),
    "invalid_client": (
        401,
        {"error": "invalid_client", "error_description": "The OAuth client was not found."},
    ),
    "unauthorized_client": (
        401,
        {"error": "unauthorized_client", "error_description": "Unauthorized"},
    ),
    "oauth_429": (
        429,
        {"error": "rate_limit_exceeded", "error_description": "Rate Limit Exceeded"},
    ),
}


class TokenRefused(Exception):
    def __init__(self, http: int, body: Json) -> None:
        super().__init__(body["error"])
        self.http = http
        self.body = body


def _refuse(code: str, description: str, http: int = 400) -> TokenRefused:
    return TokenRefused(http, {"error": code, "error_description": description})


# ---------------------------------------------------------------------------- consent


async def consent(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """The person agrees at once; the browser is sent back with a code, or with access_denied."""
    query = record.query
    client_id, redirect_uri = query.get("client_id", ""), query.get("redirect_uri", "")
    if client_id not in state.directory.clients:
        return _consent_page(401, "invalid_client", "The OAuth client was not found.")
    if not _may_redirect(redirect_uri, state):
        return _consent_page(400, "redirect_uri_mismatch", f"redirect_uri={redirect_uri}")
    method = query.get("code_challenge_method", "plain")
    problem = _consent_problem(query)
    account = _who_signs_in(state, query.get("login_hint"))
    if problem or account is None:
        return _consent_page(400, "invalid_request", problem or "Nobody is signed in.")
    record.account = account.email
    back = {"state": query["state"]} if "state" in query else {}
    if match["scenario"] == "consent_denied":
        return _redirect(redirect_uri, {"error": "access_denied", **back})
    consented = (client_id, account.email) in state.directory.consented
    code = AuthCode(
        f"4/0Fake{secrets.token_urlsafe(24)}",
        account,
        client_id,
        redirect_uri,
        query["scope"],
        # A second consent yields no refresh token unless the page was forced to show.
        query.get("access_type") == "offline"
        and (query.get("prompt") == "consent" or not consented),
        query.get("code_challenge"),
        method,
        time.time() + _CODE_LIFETIME_S,
    )
    with state.changed:
        state.directory.codes[code.code] = code
    return _redirect(redirect_uri, {**back, "code": code.code, "scope": code.scope})


def _consent_problem(query: dict[str, str]) -> str:
    if query.get("response_type") != "code":
        return "response_type must be code"
    if not query.get("scope"):
        return "Missing required parameter: scope"
    if query.get("code_challenge_method", "plain") not in ("plain", "S256"):
        return "Invalid code_challenge_method"
    challenge = query.get("code_challenge")
    if challenge is None:
        missing = "code_challenge_method" in query
        return "Missing required parameter: code_challenge" if missing else ""
    # RFC 7636: 43 to 128 characters.
    return "" if 43 <= len(challenge) <= 128 else "Invalid code_challenge"


def _may_redirect(uri: str, state: State) -> bool:
    parts = urlsplit(uri)
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.fragment
    return loopback or uri == _CODE_PAGE or uri in state.redirect_uris


def _who_signs_in(state: State, hint: str | None) -> Account | None:
    accounts = state.directory.accounts
    wanted = hint or state.consent_as
    return accounts.get(wanted) if wanted else next(iter(accounts.values()), None)


def _redirect(uri: str, query: dict[str, str]) -> web.Response:
    joiner = "&" if urlsplit(uri).query else "?"
    return web.Response(status=302, headers={"Location": f"{uri}{joiner}{urlencode(query)}"})


def _consent_page(status: int, code: str, text: str) -> web.Response:
    body = f"<!DOCTYPE html><title>Error {status}: {code}</title><p>{html.escape(text)}</p>"
    return web.Response(status=status, text=body, content_type="text/html")


# ---------------------------------------------------------------------------- tokens


async def token(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    form: dict[str, str] = record.body if isinstance(record.body, dict) else {}
    name, options = match["scenario"], match["options"]
    if options.get("seconds"):
        await asyncio.sleep(options["seconds"])
    if name == "oauth_html":
        body = html_page(503, "The service is temporarily unavailable.")
        return web.Response(status=503, body=body, headers={"Content-Type": CONTENT_TYPES["html"]})
    try:
        if name in _TOKEN_ERRORS:
            raise TokenRefused(*_TOKEN_ERRORS[name])
        if request.content_type != "application/x-www-form-urlencoded":
            raise _refuse("invalid_request", "Request must be form-encoded.")
        with state.changed:
            answer = _granted(state, form, name, options)
    except TokenRefused as refused:
        record.error = str(refused)
        return web.json_response(refused.body, status=refused.http)
    record.account = answer.pop("account")
    return web.json_response(answer)


def _granted(state: State, form: dict[str, str], name: str, options: Json) -> Json:
    directory = state.directory
    grant = form.get("grant_type")
    if not grant:
        raise _refuse("invalid_request", "Missing required parameter: grant_type")
    if grant not in ("authorization_code", "refresh_token"):
        raise _refuse("unsupported_grant_type", f"Invalid grant_type: {grant}")
    client_id = form.get("client_id", "")
    if client_id not in directory.clients:
        raise _refuse("invalid_client", "The OAuth client was not found.", 401)
    if not secrets.compare_digest(directory.clients[client_id], form.get("client_secret", "")):
        raise _refuse("invalid_client", "Unauthorized", 401)
    refresh: str | None
    if grant == "refresh_token":
        account, scope, refresh = _refreshed(state, form, client_id, name == "refresh_rotating")
    else:
        account, scope, offline = _exchanged(state, form, client_id)
        wants = offline and name != "no_refresh_token"
        refresh = directory.grant_refresh(account, client_id, scope=scope).token if wants else None
        directory.consented.add((client_id, account.email))
    lifetime_s = options.get("expires_in", 3599)
    access = directory.grant_access(account, client_id, scope=scope, lifetime_s=lifetime_s)
    answer = {
        "access_token": access.token,
        "expires_in": lifetime_s,
        # Google adds openid and keeps an order of its own.
        "scope": " ".join(sorted({*scope.split(), "openid"})),
        "token_type": "Bearer",
        "id_token": _id_token(account, client_id),
        "account": account.email,
    }
    return answer | ({"refresh_token": refresh} if refresh else {})


def _refreshed(
    state: State, form: dict[str, str], client_id: str, rotate: bool
) -> tuple[Account, str, str | None]:
    if not form.get("refresh_token"):
        raise _refuse("invalid_request", "Missing required parameter: refresh_token")
    known = state.directory.refresh_tokens.get(form["refresh_token"])
    if known is None or known.revoked:
        raise TokenRefused(*_TOKEN_ERRORS["invalid_grant"])
    if known.client_id != client_id:
        raise TokenRefused(*_TOKEN_ERRORS["unauthorized_client"])
    if not rotate:
        return known.account, known.scope, None
    known.revoked = True
    fresh = state.directory.grant_refresh(known.account, client_id, scope=known.scope)
    return known.account, known.scope, fresh.token


def _exchanged(state: State, form: dict[str, str], client_id: str) -> tuple[Account, str, bool]:
    known = state.directory.codes.get(form.get("code", ""))
    if known is None:
        raise _refuse("invalid_grant", "Malformed auth code.")
    if known.used or known.expires_at < time.time():
        raise _refuse("invalid_grant", "Bad Request")
    if known.client_id != client_id:
        raise TokenRefused(*_TOKEN_ERRORS["unauthorized_client"])
    if known.redirect_uri != form.get("redirect_uri"):
        raise _refuse("redirect_uri_mismatch", "Bad Request")
    if known.challenge is not None:
        verifier = form.get("code_verifier", "")
        if not verifier:
            raise _refuse("invalid_grant", "Missing code verifier.")
        digest = hashlib.sha256(verifier.encode()).digest()
        hashed = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if known.challenge != (hashed if known.challenge_method == "S256" else verifier):
            raise _refuse("invalid_grant", "Invalid code verifier.")
    elif form.get("code_verifier"):
        raise _refuse("invalid_grant", "code_verifier or verifier is not needed.")
    known.used = True
    return known.account, known.scope, known.offline


def _id_token(account: Account, client_id: str) -> str:
    claims = {"iss": "https://accounts.google.com", "aud": client_id, "email": account.email}
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


async def revoke(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    form = record.body if isinstance(record.body, dict) else {}
    if state.revoke(form.get("token") or record.query.get("token", "")):
        return web.json_response({})
    body = {"error": "invalid_token", "error_description": "Token expired or revoked"}
    return web.json_response(body, status=400)


async def tokeninfo(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    known = state.directory.access_tokens.get(record.query.get("access_token", ""))
    if known is None or known.expires_at <= time.time():
        body = {"error": "invalid_token", "error_description": "Invalid Value"}
        return web.json_response(body, status=400)
    answer = {
        "azp": known.client_id,
        "aud": known.client_id,
        "scope": known.scope,
        "exp": str(int(known.expires_at)),
        "expires_in": str(int(known.expires_at - time.time())),
        "email": known.account.email,
        "email_verified": "true",
        "access_type": "offline",
    }
    return web.json_response(answer)


# ---------------------------------------------------------------------------- bearer


def bearer_account(state: State, record: Recorded, service: str) -> Account:
    """Whose valid access token the call carries; Refused 401 otherwise."""
    with state.changed:
        known = state.directory.access_tokens.get(record.credential or "")
    if record.credential is None:
        raise _unauthenticated(
            "Request is missing required authentication credential.", "CREDENTIALS_MISSING", service
        )
    text = "Request had invalid authentication credentials."
    if known is None:
        raise _unauthenticated(text, "ACCESS_TOKEN_TYPE_UNSUPPORTED", service)
    if known.expires_at <= time.time():
        raise _unauthenticated(text, "ACCESS_TOKEN_EXPIRED", service)
    record.account = known.account.email
    return known.account


def _unauthenticated(text: str, reason: str, service: str) -> Refused:
    message = (
        f"{text} Expected OAuth 2 access token, login cookie or other valid authentication "
        "credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    info = error_info(reason, "googleapis.com", service=service)
    return Refused(401, status_body(401, "UNAUTHENTICATED", message, info))


async def userinfo(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    account = bearer_account(state, record, "www.googleapis.com")
    granted = state.directory.access_tokens[record.credential or ""]
    if "userinfo.email" not in granted.scope and "email" not in granted.scope.split():
        text = "Request had insufficient authentication scopes."
        raise Refused(403, status_body(403, "PERMISSION_DENIED", text))
    name = account.email.split("@")[0].title()
    answer = {
        "id": str(int(hashlib.sha256(account.email.encode()).hexdigest()[:16], 16)),
        "email": account.email,
        "verified_email": True,
        "name": name,
        "given_name": name,
        "picture": "https://lh3.example/photo.jpg",
    }
    return web.json_response(answer)
