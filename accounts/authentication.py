"""How scripts sign in to the management API: by a token of a person, or by the panel password."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts import keys
from accounts.models import ApiToken, User
from accounts.second_factor import WORDS, FactorRequired, lacks_factor
from accounts.services import tokens
from gateway.lib import panel, scopes
from gateway.lib.errors import AuthenticationFailed, PermissionDenied
from gateway.lib.throttles import check_guesses, count_guess


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer wsp_…` is whoever made the token, with their role of now, as far as its scopes go.

    Scopes are asked for here and not in a permission, as views bring permissions of their own and none may pass by this.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        text = _bearer(request)
        if not text.startswith(tokens.PREFIX):
            return None
        check_guesses(request)
        token = tokens.use_token(text=text)
        if token is None:
            count_guess(request)
            raise AuthenticationFailed(
                "This token is not known here, has expired, or was revoked: make a new one."
            )
        if lacks_factor(token.owner):
            raise FactorRequired(WORDS)
        resource = _resource(request)
        if not scopes.allow(token.scopes, resource, request.method or ""):
            does = scopes.READ if request.method in ("GET", "HEAD", "OPTIONS") else scopes.WRITE
            wanted = f"{resource}:{does}" if resource else scopes.EVERYTHING
            raise PermissionDenied(f"This token lacks the scope {wanted}.")
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        """Makes a refusal 401, not 403."""
        return "Bearer"


class PanelPasswordAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with PANEL_PASSWORD, or with a token of `POST /auth/login`, is an operator; without that setting,
    nobody is.

    The operator it stands for has no row: nothing can be owned by, or written in the name of, a password.
    """

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """None for any other token: another authentication may know it."""
        text = _bearer(request)
        if not text or not panel.is_configured():
            return None
        check_guesses(request)
        if panel.is_password(text) or panel.is_token(text):
            return _panel_operator(), None
        # Some routes take the key of a call the same way, and read it themselves.
        if not text.startswith(keys.PREFIX):
            count_guess(request)
        return None

    def authenticate_header(self, request: Request) -> str:
        """Makes a refusal 401, not 403."""
        return "Bearer"


def _bearer(request: Request) -> str:
    scheme, _, token = get_authorization_header(request).partition(b" ")
    if scheme.lower() != b"bearer":
        return ""
    return token.strip().decode("utf-8", errors="replace")


def _resource(request: Request) -> str:
    view = (request.parser_context or {}).get("view")
    return str(getattr(view, "scope", "") or "")


def _panel_operator() -> User:
    return User(
        username="panel-password", role=User.Role.OPERATOR, is_staff=True, is_superuser=True
    )


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema names it."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `POST /api/tokens`, as far as its scopes go.",
        }


class PanelPasswordScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = PanelPasswordAuthentication
    name = "panelPassword"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "PANEL_PASSWORD, or the token of `POST /auth/login` that stands for it.",
        }
