"""What can be lent at /auth. A provider that brings a new kind adds it here, with a partial of its own fields."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from msgspec import Struct


def _always() -> bool:
    return True


def _has_oauth_client() -> bool:
    return bool(settings.GOOGLE_OAUTH_CLIENT_ID)


class Kind(Struct, frozen=True):
    """`id` as in `Flow.Kind`. `fields`: the template of what else is asked for; "" for nothing."""

    id: str
    title: str
    about: str
    fields: str = ""
    is_ready: Callable[[], bool] = _always
    missing: str = ""


KINDS = {
    "google": Kind(
        id="google",
        title="Google account",
        about="You say yes on Google’s own page. This site never sees your password.",
        is_ready=_has_oauth_client,
        missing="Not possible here yet: whoever runs this site has to set GOOGLE_OAUTH_CLIENT_ID first.",
    ),
    "api_key": Kind(
        id="api_key",
        title="Gemini API key",
        about="A key from Google AI Studio, or up to 50 of them.",
        fields="credentials/_lend_api_key.html",
    ),
}
