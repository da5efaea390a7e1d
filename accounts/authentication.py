"""How scripts sign in to the management API."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts.models import User
from gateway.lib import panel


class PanelPasswordAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with PANEL_PASSWORD, or with a token of `POST /auth/login`, is an operator; without that setting,
    nobody is.

    The operator it stands for has no row: nothing can be owned by, or written in the name of, a password.
    """

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """None for any other token: another authentication may know it."""
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        text = token.strip().decode("utf-8", errors="replace")
        if not panel.is_password(text) and not panel.is_token(text):
            return None
        return _panel_operator(), None

    def authenticate_header(self, request: Request) -> str:
        """Makes a refusal 401, not 403."""
        return "Bearer"


def _panel_operator() -> User:
    return User(
        username="panel-password", role=User.Role.OPERATOR, is_staff=True, is_superuser=True
    )


class PanelPasswordScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema names it."""

    target_class = PanelPasswordAuthentication
    name = "panelPassword"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
