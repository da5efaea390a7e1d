import httpx
import pytest

from credentials import services
from credentials.client import GoogleClient
from credentials.models import Credential
from gateway.lib.errors import UpstreamFailed
from tests.credentials.samples import ACCESS_TOKEN, oauth_secret, store_login

pytestmark = pytest.mark.django_db


def google(email: str | None) -> GoogleClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "ya29.new", "expires_in": 3599})
        if email is None:
            return httpx.Response(401, json={"error": {"code": 401}})
        assert request.headers["authorization"] in (f"Bearer {ACCESS_TOKEN}", "Bearer ya29.new")
        return httpx.Response(200, json={"email": email, "verified_email": True})

    return GoogleClient(transport=httpx.MockTransport(answer))


def test_a_discovered_project_is_stored_and_reaches_the_feed():
    credential = store_login()
    services.set_project(credential_id=credential.pk, project="found-out", tier="standard-tier")
    before = credential.revision
    credential.refresh_from_db()
    assert (credential.project_id, credential.tier) == ("found-out", "standard-tier")
    assert credential.revision > before
    assert credential.secret.open() == oauth_secret()


def test_a_tier_that_is_not_told_stays():
    credential = store_login()
    services.set_project(credential_id=credential.pk, project="found-out", tier="free-tier")
    services.set_project(credential_id=credential.pk, project="found-out")
    credential.refresh_from_db()
    assert credential.tier == "free-tier"


def test_a_login_that_turns_out_to_serve_a_known_project_is_taken_out():
    store_login(project="project-one")
    twin = store_login(project="project-two")
    services.set_project(credential_id=twin.pk, project="project-one")
    twin.refresh_from_db()
    assert (twin.state, twin.state_reason) == ("disabled", "duplicate")


def test_the_address_is_looked_up_with_the_token_at_hand():
    credential = store_login()
    services.look_up_email(credential_id=credential.pk, client=google("alice@example.org"))
    before = credential.revision
    credential.refresh_from_db()
    assert credential.email == "alice@example.org"
    assert credential.revision > before


def test_a_token_that_has_ended_is_refreshed_for_the_look_up():
    credential = store_login(oauth_secret(access_token="", expires_at=0.0))
    services.look_up_email(credential_id=credential.pk, client=google("alice@example.org"))
    credential.refresh_from_db()
    assert credential.email == "alice@example.org"
    assert credential.secret.open()["access_token"] == "ya29.new"


def test_a_failed_look_up_forgets_nothing():
    credential = store_login(email="alice@example.org")
    with pytest.raises(UpstreamFailed):
        services.look_up_email(credential_id=credential.pk, client=google(None))
    assert Credential.objects.get().email == "alice@example.org"
