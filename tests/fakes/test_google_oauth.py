"""OAuth, Code Assist set-up, projects and services."""

import base64
import hashlib
import threading
import time
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.fakes.conftest import REFRESH, TOKEN
from tests.fakes.google_accounts import DEFAULT_CLIENT, SCOPES

SECRET = "GOCSPX-fake"
REDIRECT = "http://localhost:11451"
VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
BEARER = {"authorization": f"Bearer {TOKEN}"}


def consent(http, **changes):
    query = {
        "client_id": DEFAULT_CLIENT,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": SCOPES,
        "access_type": "offline",
        "prompt": "consent",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    given = {name: value for name, value in query.items() if value is not None}
    return http.get("/o/oauth2/v2/auth", params=given)


def code_of(response):
    assert response.status_code == 302, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))["code"]


def exchange(http, code, **changes):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": DEFAULT_CLIENT,
        "client_secret": SECRET,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }
    return http.post("/token", data={name: value for name, value in form.items() if value})


def refresh(http, token=REFRESH, **changes):
    form = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": DEFAULT_CLIENT,
        "client_secret": SECRET,
        **changes,
    }
    return http.post("/token", data=form)


def userinfo(http, token):
    return http.get("/oauth2/v2/userinfo", headers={"authorization": f"Bearer {token}"})


# ---------------------------------------------------------------------------- consent and exchange


def test_the_whole_flow(fake, http):
    sent_back = consent(http)
    where = urlsplit(sent_back.headers["location"])
    assert f"{where.scheme}://{where.netloc}" == REDIRECT
    assert dict(parse_qsl(where.query))["state"] == "s1"
    answer = exchange(http, code_of(sent_back)).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599
    assert "openid" in answer["scope"].split()
    assert userinfo(http, answer["access_token"]).json()["email"] == "alice@example.com"
    assert refresh(http, answer["refresh_token"]).status_code == 200


def test_refresh_tokens_come_only_with_a_shown_consent(fake, http):
    again = exchange(http, code_of(consent(http, prompt=None))).json()
    assert "refresh_token" not in again
    online = exchange(http, code_of(consent(http, access_type=None))).json()
    assert "refresh_token" not in online
    fake.add_account(email="bob@example.com")
    first = consent(http, prompt=None, login_hint="bob@example.com")
    assert "refresh_token" in exchange(http, code_of(first)).json()
    fake.script("no_refresh_token")
    assert "refresh_token" not in exchange(http, code_of(consent(http))).json()


def test_a_code_works_once(fake, http):
    code = code_of(consent(http))
    assert exchange(http, code).status_code == 200
    assert exchange(http, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": "4/unknown"}, "invalid_grant"),
        ({"redirect_uri": REDIRECT + "/"}, "redirect_uri_mismatch"),
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
    ],
)
def test_exchanges_google_refuses(fake, http, changes, error):
    form = {"code": code_of(consent(http)), **changes}
    response = exchange(http, **form)
    assert response.json()["error"] == error
    assert response.status_code == (401 if error == "invalid_client" else 400)


def test_tokens_are_asked_for_with_a_form(fake, http):
    response = http.post("/token", json={"grant_type": "refresh_token"})
    assert response.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_id": "unknown"}, 401),
        ({"redirect_uri": "https://gateway.example/callback"}, 400),
        ({"response_type": "token"}, 400),
        ({"scope": None}, 400),
        ({"code_challenge": "short"}, 400),
        ({"code_challenge": None}, 400),
        ({"code_challenge_method": "S512"}, 400),
        ({"login_hint": "nobody@example.com"}, 400),
        ({"redirect_uri": "http://127.0.0.1:5/oauth2callback"}, 302),
        ({"redirect_uri": "https://codeassist.google.com/authcode"}, 302),
    ],
)
def test_consent_pages(fake, http, changes, status):
    assert consent(http, **changes).status_code == status


def test_the_person_may_say_no(fake, http):
    fake.script("consent_denied")
    query = dict(parse_qsl(urlsplit(consent(http).headers["location"]).query))
    assert query == {"error": "access_denied", "state": "s1"}


# ---------------------------------------------------------------------------- refresh


def test_refresh_keeps_the_refresh_token_to_itself(fake, http):
    answer = refresh(http).json()
    assert "refresh_token" not in answer
    assert answer["access_token"] != TOKEN
    assert userinfo(http, answer["access_token"]).status_code == 200
    assert fake.access_tokens("alice@example.com") == [TOKEN, answer["access_token"]]


def test_refresh_may_rotate(fake, http):
    fake.script("refresh_rotating", times=1)
    rotated = refresh(http).json()["refresh_token"]
    assert rotated != REFRESH
    assert refresh(http).json()["error"] == "invalid_grant"
    assert refresh(http, rotated).status_code == 200


@pytest.mark.parametrize(
    ("scenario", "status", "error"),
    [
        ("invalid_grant", 400, "invalid_grant"),
        ("invalid_rapt", 400, "invalid_grant"),
        ("invalid_client", 401, "invalid_client"),
        ("unauthorized_client", 401, "unauthorized_client"),
        ("oauth_429", 429, "rate_limit_exceeded"),
    ],
)
def test_scripted_refusals(fake, http, scenario, status, error):
    fake.script(scenario, credential="alice@example.com", times=1)
    response = refresh(http)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert (response.json().get("error_subtype") == "invalid_rapt") == (scenario == "invalid_rapt")
    assert refresh(http).status_code == 200


def test_the_token_endpoint_may_be_down(fake, http):
    fake.script("oauth_html")
    response = refresh(http)
    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")


def test_a_refresh_token_belongs_to_its_client(fake, http):
    fake.add_client("other", "secret")
    response = refresh(http, client_id="other", client_secret="secret")
    assert response.json()["error"] == "unauthorized_client"
    assert refresh(http, "1//unknown").json()["error"] == "invalid_grant"


def test_slow_refreshes_are_counted_while_they_run(fake, http):
    fake.script("slow_refresh", seconds=0.2)
    threads = [threading.Thread(target=refresh, args=(http,)) for _ in range(3)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    fake.wait_until(lambda: len(fake.refreshes(REFRESH)) == 3)
    assert time.monotonic() - started < 0.2
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 0.2


def test_expiry_revocation_and_token_info(fake, http):
    assert (
        http.get("/tokeninfo", params={"access_token": TOKEN}).json()["email"]
        == "alice@example.com"
    )
    fake.expire(TOKEN)
    assert userinfo(http, TOKEN).status_code == 401
    assert http.get("/tokeninfo", params={"access_token": TOKEN}).status_code == 400
    fresh = refresh(http).json()["access_token"]
    assert http.post("/revoke", data={"token": fresh}).status_code == 200
    assert userinfo(http, fresh).status_code == 401
    assert refresh(http).json()["error"] == "invalid_grant"
    assert http.post("/revoke", data={"token": fresh}).status_code == 400


def test_a_short_lifetime_can_be_asked_for(fake, http):
    fake.script("refresh_ok", expires_in=0)
    answer = refresh(http).json()
    assert answer["expires_in"] == 0
    assert userinfo(http, answer["access_token"]).status_code == 401


# ---------------------------------------------------------------------------- Code Assist set-up


def assist(http, method, **body):
    return http.post(f"/v1internal:{method}", json=body, headers=BEARER)


def load(http, **body):
    return assist(http, "loadCodeAssist", **body).json()


def test_load_for_an_onboarded_account(fake, http):
    metadata = {
        "ideType": "IDE_UNSPECIFIED",
        "platform": "PLATFORM_UNSPECIFIED",
        "pluginType": "GEMINI",
    }
    answer = load(http, metadata=metadata)
    assert answer["currentTier"]["id"] == "standard-tier"
    assert answer["cloudaicompanionProject"] == "alpha"
    assert [tier["id"] for tier in answer["allowedTiers"] if tier.get("isDefault")] == [
        "standard-tier"
    ]
    assert assist(http, "loadCodeAssist", metadata={"ideType": "EMACS"}).status_code == 400
    assert http.post("/v1internal:loadCodeAssist", json={}).status_code == 401
    fake.script("load_free", project_form="object")
    assert load(http)["currentTier"]["id"] == "free-tier"
    assert load(http)["cloudaicompanionProject"] == {"id": "alpha"}


@pytest.mark.parametrize("reason", ["unsupported_client", "validation_required"])
def test_load_for_an_ineligible_account(fake, http, reason):
    fake.script(f"load_{reason}")
    answer = load(http)
    assert "currentTier" not in answer
    (entry,) = answer["ineligibleTiers"]
    assert entry["reasonCode"] == reason.upper()
    assert ("validationUrl" in entry) == (reason == "validation_required")


def test_load_behind_a_perimeter(fake, http):
    fake.script("load_security_policy")
    response = assist(http, "loadCodeAssist")
    assert response.status_code == 403
    assert response.json()["error"]["details"][0]["reason"] == "SECURITY_POLICY_VIOLATED"


@pytest.fixture
def newcomer(fake):
    account = fake.directory.accounts["alice@example.com"]
    account.state, account.tier, account.project = "not_onboarded", "free-tier", None
    return account


def test_onboarding_at_once(fake, http, newcomer):
    answer = load(http)
    assert "currentTier" not in answer
    assert [t["id"] for t in answer["allowedTiers"] if t.get("isDefault")] == ["free-tier"]
    done = assist(http, "onboardUser", tierId="free-tier").json()
    assert done["done"] is True
    project = done["response"]["cloudaicompanionProject"]["id"]
    assert load(http)["cloudaicompanionProject"] == project


@pytest.mark.parametrize("poll", ["post", "get"])
def test_onboarding_on_the_third_poll(fake, http, newcomer, poll):
    fake.script("onboard_third_poll")
    answers = [assist(http, "onboardUser", tierId="free-tier").json()]
    for _ in range(2):
        if poll == "post":
            answers.append(assist(http, "onboardUser", tierId="free-tier").json())
        else:
            answers.append(http.get(f"/v1internal/{answers[0]['name']}", headers=BEARER).json())
    assert [answer["done"] for answer in answers] == [False, False, True]
    assert len({answer["name"] for answer in answers}) == 1
    assert newcomer.state == "onboarded"


def test_onboarding_with_an_empty_response(fake, http, newcomer):
    fake.script("onboard_empty")
    done = assist(http, "onboardUser", tierId="free-tier").json()
    assert (done["done"], done["response"]) == (True, {})


def test_onboarding_preconditions(fake, http, newcomer):
    named = {"cloudaicompanionProject": "alpha"}
    refused = assist(http, "onboardUser", tierId="free-tier", **named)
    assert refused.json()["error"]["status"] == "FAILED_PRECONDITION"
    assert assist(http, "onboardUser", tierId="standard-tier").status_code == 400
    assert assist(http, "onboardUser", tierId="gold").status_code == 400
    assert assist(http, "onboardUser", tierId="standard-tier", **named).json()["done"] is True


def test_quota(fake, http):
    buckets = assist(http, "retrieveUserQuota", project="alpha").json()["buckets"]
    assert {"modelId", "tokenType", "remainingFraction", "resetTime"} <= buckets[0].keys()
    fake.directory.accounts["alice@example.com"].preview = False
    buckets = assist(http, "retrieveUserQuota", project="alpha").json()["buckets"]
    assert any(bucket["resetTime"].startswith("1970") for bucket in buckets)
    fake.directory.accounts["alice@example.com"].quota = [{"modelId": "m"}]
    assert assist(http, "retrieveUserQuota", project="alpha").json()["buckets"] == [
        {"modelId": "m"}
    ]
    assert assist(http, "retrieveUserQuota").status_code == 400


# ---------------------------------------------------------------------------- projects and services


def test_projects(fake, http):
    account = fake.add_account(email="alice@example.com", projects=["one", "my-default", "three"])
    account.projects[2]["lifecycleState"] = "DELETE_REQUESTED"
    answer = http.get("/v1/projects", headers=BEARER).json()
    assert [p["projectId"] for p in answer["projects"]] == ["one", "my-default", "three"]
    first = http.get("/v1/projects", params={"pageSize": 2}, headers=BEARER).json()
    rest = http.get(
        "/v1/projects", params={"pageSize": 2, "pageToken": first["nextPageToken"]}, headers=BEARER
    ).json()
    assert first["projects"] + rest["projects"] == answer["projects"]
    fake.script("projects_none", times=1)
    fake.script("projects_forbidden", times=1)
    assert http.get("/v1/projects", headers=BEARER).json() == {}
    assert http.get("/v1/projects", headers=BEARER).status_code == 403
    assert http.get("/v1/projects").status_code == 401


def test_services(fake, http):
    path = "/v1/projects/alpha/services/cloudaicompanion.googleapis.com"
    assert http.get(path, headers=BEARER).json()["state"] == "ENABLED"
    already = http.post(path + ":enable", json={}, headers=BEARER)
    assert already.status_code == 400
    assert "already enabled" in already.text
    fake.directory.accounts["alice@example.com"].services["cloudaicompanion.googleapis.com"] = (
        "DISABLED"
    )
    assert http.get(path, headers=BEARER).json()["state"] == "DISABLED"
    assert http.post(path + ":enable", json={}, headers=BEARER).json()["done"] is True
    assert http.get(path, headers=BEARER).json()["state"] == "ENABLED"
    assert http.get(path.replace("alpha", "beta"), headers=BEARER).status_code == 403


def test_the_preview_channel(fake, http):
    fake.directory.accounts["alice@example.com"].preview = False
    path = "/v1/projects/alpha/locations/global/releaseChannelSettings"
    query = {"release_channel_setting_id": "set1"}
    body = {"release_channel": "EXPERIMENTAL"}
    assert http.post(path, params=query, json=body, headers=BEARER).status_code == 200
    assert http.post(path, params=query, json=body, headers=BEARER).status_code == 409
    (setting,) = http.get(path, headers=BEARER).json()["releaseChannelSettings"]
    assert setting["name"].endswith("/set1")
    binding = {"target": "projects/alpha", "product": "GEMINI_CODE_ASSIST"}
    bound = http.post(
        f"{path}/set1/settingBindings",
        params={"setting_binding_id": "b"},
        json=binding,
        headers=BEARER,
    )
    assert bound.status_code == 200
    assert fake.directory.accounts["alice@example.com"].preview is True
