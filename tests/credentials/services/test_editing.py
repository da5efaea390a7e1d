import httpx
import pytest

from credentials import services
from credentials.client import GoogleClient
from credentials.models import Contributor, Credential, StateChange
from gateway.lib.errors import Conflict, UpstreamFailed
from tests.credentials.samples import ACCESS_TOKEN, oauth_secret, store_key, store_login

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


LENT = {
    "calls_a_day": 100,
    "model_calls_a_day": {"gemini-2.5-pro*": 9},
    "hours_from": 8,
    "hours_to": 18,
    "hours_zone": "Europe/Berlin",
    "allowed_models": ["gemini-2.5-*"],
    "stop_below_percent": 20,
}


@pytest.fixture
def lent():
    """With limits that its contributor set."""
    row = store_key(contributor_id=Contributor.objects.create().pk)
    return services.set_limits(credential_id=row.pk, limits=LENT)


def limits_of(row):
    row = Credential.objects.get(pk=row.pk)
    return {name: getattr(row, name) for name in LENT}


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"calls_a_day": 101}, "allows 100 calls a day: only they"),
        ({"calls_a_day": None}, "100 calls a day"),
        ({"model_calls_a_day": {}}, "9 of gemini-2.5-pro*"),
        ({"hours_from": None, "hours_to": None}, "from 08:00 to 18:00 (Europe/Berlin)"),
        ({"hours_zone": "Asia/Tokyo"}, "Europe/Berlin"),
        ({"allowed_models": []}, "only these models: gemini-2.5-*"),
        ({"stop_below_percent": None}, "20%"),
    ],
)
# "contributor" may be somebody's user name.
@pytest.mark.parametrize("by", ["stella", "contributor"])
def test_nobody_else_widens_what_a_contributor_allows(lent, limits, words, by):
    with pytest.raises(Conflict) as refused:
        services.edit(credential_id=lent.pk, changes={"caps": limits, "weight": 9}, by=by)
    assert words in refused.value.message
    assert "private page" in refused.value.message
    assert limits_of(lent) == LENT
    assert Credential.objects.get().weight == 1


def test_a_contributor_that_is_taken_away_is_still_heard(lent):
    changes = {"contributor": None, "caps": {"calls_a_day": 500}}
    with pytest.raises(Conflict):
        services.edit(credential_id=lent.pk, changes=changes, by="stella")
    assert limits_of(lent) == LENT


def test_others_tighten_and_contributors_widen(lent):
    tighter = {"calls_a_day": 50, "hours_to": 12, "allowed_models": ["gemini-2.5-pro"]}
    changed = services.edit(
        credential_id=lent.pk, changes={"caps": tighter, "weight": 2}, by="stella"
    )
    assert limits_of(lent) == LENT | tighter
    assert (changed.calls_a_day, changed.weight) == (50, 2)
    services.set_limits(credential_id=lent.pk, limits={"calls_a_day": None})
    assert limits_of(lent)["calls_a_day"] is None
    said = list(StateChange.objects.values_list("by", flat=True).order_by("pk"))
    assert said[-2:] == ["stella", "contributor"]


def test_limits_are_the_sites_where_nobody_lends():
    row = store_key()
    for calls in (5, 500):
        services.edit(credential_id=row.pk, changes={"caps": {"calls_a_day": calls}}, by="stella")
    assert Credential.objects.get().calls_a_day == 500
