import httpx
import pytest
from django.conf import settings as django_settings
from django.test import Client

from accounts.models import User
from credentials.models import Contributor, Credential, Flow
from credentials.services import flows
from credentials.views import older_login
from gateway.lib import panel
from gateway.lib.audit import AuditEntry
from tests.credentials.google import google_behind, person, say_yes

pytestmark = pytest.mark.django_db
PASSWORD = "panel-password-of-the-tests"
JSON = "application/json"


@pytest.fixture(autouse=True)
def quick(settings, monkeypatch):
    settings.PANEL_PASSWORD = PASSWORD
    monkeypatch.setattr(older_login, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(older_login, "_ANSWER_WITHIN_S", 0.05)


@pytest.fixture
def fake(settings):
    with google_behind(settings) as fake:
        yield fake


@pytest.fixture
def panel_client():
    return Client(headers={"authorization": f"Bearer {PASSWORD}"}, enforce_csrf_checks=True)


def post(client, path, **body):
    return client.post(path, body, content_type=JSON)


def login(**body):
    return post(Client(enforce_csrf_checks=True), "/auth/login", **body)


def steward_client() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("sam", role=User.Role.STEWARD))
    return client


# ------------------------------------------------------------------ login


def test_the_password_gives_a_token_that_an_operator_has():
    response = login(password=PASSWORD)
    assert response.status_code == 200
    answer = response.json()
    assert {"token", "message"} <= set(answer)
    assert PASSWORD not in answer["token"]
    bearer = Client(headers={"authorization": f"Bearer {answer['token']}"})
    assert bearer.get("/auth/status/nothing").json() == {"status": "not_found"}


def test_a_wrong_password_is_refused_and_counted(settings):
    settings.LENDING_ATTEMPTS_PER_HOUR = 2
    for _ in range(2):
        response = login(password="wrong")
        assert response.status_code == 401
        assert "detail" in response.json()
    response = login(password=PASSWORD)
    assert response.status_code == 429
    assert "Retry-After" in response


@pytest.mark.parametrize("body", [{}, {"password": ""}, {"password": 7.5}, {"password": "\ud800"}])
def test_a_body_without_the_password_is_no_login(body):
    assert login(**body).status_code in (400, 401)


def test_without_a_panel_password_nobody_signs_in_this_way(settings):
    token = login(password=PASSWORD).json()["token"]
    settings.PANEL_PASSWORD = ""
    response = login(password="")
    assert response.status_code == 400
    response = login(password="x")
    assert response.status_code == 403
    assert "PANEL_PASSWORD" in response.json()["detail"]
    assert (
        Client(headers={"authorization": f"Bearer {token}"}).get("/auth/status/x").status_code
        == 401
    )


def test_a_token_ends_with_the_day_and_with_the_password(settings, monkeypatch):
    token = panel.make_token()
    assert panel.is_token(token)
    assert not panel.is_token(f"{token}x")
    assert not panel.is_token("")
    monkeypatch.setattr(panel, "TOKEN_AGE_S", -1)
    assert not panel.is_token(token)
    monkeypatch.undo()
    settings.PANEL_PASSWORD = "another"
    assert not panel.is_token(token)


@pytest.mark.parametrize("path", ["/auth/start", "/auth/callback", "/auth/callback-url"])
def test_strangers_and_members_are_refused(path):
    assert post(Client(), path).status_code == 401
    member = Client()
    member.force_login(User.objects.create_user("bob", role=User.Role.MEMBER))
    assert post(member, path).status_code == 403


# ------------------------------------------------------------------ OAuth


def start(client, **body) -> dict:
    response = post(client, "/auth/start", **body)
    assert response.status_code == 200, response.content
    return response.json()


def test_start_gives_the_consent_page(panel_client, fake):
    answer = start(panel_client)
    assert set(answer) == {"auth_url", "state", "auto_project_detection", "detected_project_id"}
    assert httpx.URL(answer["auth_url"]).params["state"] == answer["state"]
    assert httpx.URL(answer["auth_url"]).params["code_challenge_method"] == "S256"
    assert (answer["auto_project_detection"], answer["detected_project_id"]) == (True, None)
    assert start(panel_client, project_id="p")["auto_project_detection"] is False


def test_without_an_oauth_client_start_says_so(panel_client, settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = ""
    response = post(panel_client, "/auth/start")
    assert response.status_code == 503
    assert "GOOGLE_OAUTH_CLIENT_ID" in response.json()["detail"]


def test_the_callback_url_gives_the_credential_in_the_older_shape(panel_client, fake):
    person(fake)
    address = say_yes(start(panel_client)["auth_url"])
    response = post(panel_client, "/auth/callback-url", callback_url=address)
    assert response.status_code == 200, response.content
    answer = response.json()
    assert set(answer) == {"credentials", "file_path", "message", "auto_detected_project"}
    row = Credential.objects.get()
    secret = row.secret.open()
    file = answer["credentials"]
    assert file["refresh_token"] == secret["refresh_token"]
    assert file["token"] == secret["access_token"]
    assert file["client_id"] == django_settings.GOOGLE_OAUTH_CLIENT_ID
    assert file["project_id"] == "alice-project"
    assert file["expiry"].endswith("+00:00")
    assert answer["file_path"] == row.name
    assert answer["auto_detected_project"] is True
    assert response["Cache-Control"] == "no-store"
    assert AuditEntry.objects.filter(action="credentials.read_secret").count() == 1


def test_a_steward_gets_it_without_the_secrets(fake):
    person(fake)
    steward = steward_client()
    address = say_yes(start(steward)["auth_url"])
    response = post(steward, "/auth/callback-url", callback_url=address)
    secret = Credential.objects.get().secret.open()
    for name in ("refresh_token", "access_token", "client_secret"):
        assert secret[name] not in response.content.decode()
    answer = response.json()
    assert set(answer["credentials"]) == {"project_id", "token_uri", "type"}
    assert "left out" in answer["message"]
    assert not AuditEntry.objects.filter(action="credentials.read_secret").exists()
    assert not Contributor.objects.exists()


def test_a_choice_of_projects_is_asked_for_as_the_older_did(panel_client, fake):
    person(fake, projects=["one", "two"])
    address = say_yes(start(panel_client)["auth_url"])
    response = post(panel_client, "/auth/callback-url", callback_url=address)
    assert response.status_code == 400
    answer = response.json()
    assert answer["requires_project_selection"] is True
    assert [project["project_id"] for project in answer["available_projects"]] == ["one", "two"]
    assert {"error", "available_projects"} <= set(answer)
    response = post(panel_client, "/auth/callback-url", callback_url=address, project_id="two")
    assert response.status_code == 200
    assert Credential.objects.count() == 1


def test_a_missing_project_is_asked_for_as_the_older_did(panel_client, fake):
    person(fake, state="unsupported_client", project=None)
    address = say_yes(start(panel_client)["auth_url"])
    answer = post(panel_client, "/auth/callback-url", callback_url=address).json()
    assert answer["requires_manual_project_id"] is True
    assert "API key" in answer["error"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org/", "no code"),
        ("http://localhost/?error=access_denied", "not allowed"),
        ("http://localhost/?state=abcdefghijklmnop&code=4/0abcdefgh", "no attempt"),
    ],
)
def test_what_is_wrong_with_the_address_is_said(panel_client, url, said):
    response = post(panel_client, "/auth/callback-url", callback_url=url)
    assert response.status_code == 400
    assert said in response.json()["detail"]


def test_a_contributors_own_attempt_is_not_finished_by_others(panel_client, fake):
    person(fake)
    flow = flows.begin_google(browser="hers", redirect_uri="http://localhost:7861/auth/callback")
    address = say_yes(flows.consent_url(flow))
    response = post(panel_client, "/auth/callback-url", callback_url=address)
    assert response.status_code == 400
    flow.refresh_from_db()
    assert flow.state == Flow.State.PENDING


def test_a_used_code_is_said(panel_client, fake):
    person(fake)
    address = say_yes(start(panel_client)["auth_url"])
    next(iter(fake.directory.codes.values())).used = True
    response = post(panel_client, "/auth/callback-url", callback_url=address)
    assert response.status_code == 400
    assert "works once" in response.json()["detail"]


def test_callback_waits_for_the_loopback(panel_client, fake):
    person(fake)
    local = Client(headers={"host": "localhost:7861", "authorization": f"Bearer {PASSWORD}"})
    answer = start(local)
    response = post(panel_client, "/auth/callback")
    assert response.status_code == 400
    assert "has not arrived" in response.json()["detail"]
    arrival = say_yes(answer["auth_url"]).removeprefix("http://localhost:7861")
    page = Client(headers={"host": "localhost:7861"}).get(arrival)
    assert "Go back to the program" in page.content.decode()
    response = post(panel_client, "/auth/callback")
    assert response.status_code == 200
    assert response.json()["credentials"]["project_id"] == "alice-project"


def test_callback_without_an_attempt(panel_client):
    assert post(panel_client, "/auth/callback").status_code == 400


def test_a_project_that_no_database_takes_is_refused(panel_client):
    assert panel_client.get("/auth/status/%00").status_code == 400


def test_status_tells_of_a_project(panel_client, fake):
    person(fake)
    answer = start(panel_client, project_id="alice-project")
    told = panel_client.get("/auth/status/alice-project").json()
    assert (told["status"], told["state"]) == ("pending", answer["state"])
    assert isinstance(told["created_at"], float)
    post(panel_client, "/auth/callback-url", callback_url=say_yes(answer["auth_url"]))
    assert panel_client.get("/auth/status/alice-project").json()["status"] == "completed"
