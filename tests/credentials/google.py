"""The strict fake Google where the settings point to, and a person who says yes there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from credentials.models import Flow
from credentials.services import flows
from tests.fakes.google import FakeGoogle

CLIENT = ("site-client.apps.googleusercontent.com", "GOCSPX-siteClientSecretOfTheTests01")


@contextmanager
def google_behind(settings: Any) -> Iterator[FakeGoogle]:
    with FakeGoogle.running() as fake:
        fake.add_client(*CLIENT)
        for name in (
            "GEMINI_API_URL",
            "CODE_ASSIST_ENDPOINT",
            "OAUTH_PROXY_URL",
            "GOOGLEAPIS_PROXY_URL",
            "RESOURCE_MANAGER_API_URL",
            "SERVICE_USAGE_API_URL",
        ):
            setattr(settings, name, fake.url)
        settings.GOOGLE_AUTH_URL = f"{fake.url}/o/oauth2/v2/auth"
        settings.GOOGLE_OAUTH_CLIENT_ID, settings.GOOGLE_OAUTH_CLIENT_SECRET = CLIENT
        yield fake


def person(fake: FakeGoogle, email: str = "alice@example.org", **facts: Any) -> Any:
    return fake.add_account(
        email=email, client_id=CLIENT[0], **({"project": "alice-project"} | facts)
    )


def say_yes(url: str, fake: FakeGoogle | None = None, email: str = "") -> str:
    """The address that the consent page sends the browser to."""
    if fake is not None and email:
        fake.consent_as = email
    answer = httpx.get(url, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


def answer_of(flow: Flow, fake: FakeGoogle | None = None, email: str = "") -> str:
    return say_yes(flows.consent_url(flow), fake, email)


def code_in(address: str) -> str:
    return httpx.URL(address).params["code"]
