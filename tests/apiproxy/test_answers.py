"""What the credentials app asks of Google, through the proxy's own means, against the strict fake."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet

from apiproxy import answers
from credentials import services, upstream
from credentials.models import Credential, ModelState, StateChange
from gateway.lib.errors import GatewayError, PermissionDenied, UpstreamFailed
from tests.fakes.google import FakeGoogle

# Not transactional: all of it reads and writes the database in the caller's thread.
pytestmark = pytest.mark.django_db

CLIENT = ("answers-client.apps.googleusercontent.com", "GOCSPX-answersClientSecret0000001")
ACCESS, REFRESH = "ya29.answersAccessToken0000000001", "1//answersRefreshToken0000000001"


@pytest.fixture
def google(settings):
    with FakeGoogle.running() as fake:
        for name in ("OAUTH_PROXY_URL", "GOOGLEAPIS_PROXY_URL", "CODE_ASSIST_ENDPOINT"):
            setattr(settings, name, fake.url)
        for name in ("RESOURCE_MANAGER", "SERVICE_USAGE", "CLOUD_AI_COMPANION", "GEMINI"):
            setattr(settings, f"{name}_API_URL", fake.url)
        yield fake


@pytest.fixture
def lend(google):
    def lend(*, expires_in=3600.0, project="", **account):
        google.add_account(
            access_token=ACCESS,
            refresh_token=REFRESH,
            client_id=CLIENT[0],
            client_secret=CLIENT[1],
            email="bob@example.com",
            **account,
        )
        secret = {
            "client_id": CLIENT[0],
            "client_secret": CLIENT[1],
            "refresh_token": REFRESH,
            "access_token": ACCESS,
            "expires_at": time.time() + expires_in,
        }
        row = services.store(provider="code_assist", secret=secret, label="bob", project=project)
        return row.pk

    return lend


@pytest.fixture
def ask():
    return upstream.current()


@pytest.fixture
def an_api_key(google):
    key = "AIza" + "K" * 35
    google.add_api_key(key)
    return services.store(provider="gemini_api", secret={"api_key": key}, label="a key").pk


def row(pk):
    return Credential.objects.get(pk=pk)


class TestCheck:
    def test_a_stale_login_is_refreshed_first(self, google, lend, ask):
        pk = lend(expires_in=-5, project="fake-project")
        google.expire(ACCESS)
        [finding] = ask.check([pk])
        assert (finding.verdict, finding.usable) == ("works", True)
        assert row(pk).secret.open()["access_token"] != ACCESS

    def test_what_is_revoked_says_what_to_do(self, google, lend, ask):
        pk = lend(expires_in=-5)
        google.script("invalid_grant")
        [finding] = ask.check([pk])
        assert (finding.verdict, finding.usable) == ("revoked", False)
        assert "again" in finding.detail
        assert row(pk).state == "expired"

    def test_a_refused_client_is_the_operators_business(self, google, lend, ask):
        google.script("invalid_client")
        [finding] = ask.check([lend(expires_in=-5)])
        assert finding.verdict == "misconfigured"
        assert "GOOGLE_OAUTH_CLIENT_ID" in finding.detail

    def test_a_token_service_that_is_away_costs_nothing(self, google, lend, ask):
        pk = lend(expires_in=-5)
        google.script("oauth_html")
        [finding] = ask.check([pk])
        assert finding.verdict == "unreachable"
        assert row(pk).state == "active"

    def test_google_that_keeps_silent_is_not_waited_for_long(self, google, lend, ask, monkeypatch):
        monkeypatch.setattr(answers, "_READ_TIMEOUT_S", 0.5)
        google.script("silence_headers")
        started = time.monotonic()
        [finding] = ask.check([lend(project="fake-project")])
        assert finding.verdict == "unreachable"
        assert time.monotonic() - started < 15  # the silence lasts 20 s

    def test_an_unreadable_secret_is_said_and_left(self, lend, ask, settings):
        pk = lend()
        sealed = row(pk).secret.token
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        [finding] = ask.check([pk])
        assert finding.verdict == "unreadable"
        assert "ENCRYPTION_KEYS" in finding.detail
        assert row(pk).secret.token == sealed

    @pytest.mark.parametrize(
        ("error", "verdict", "todo"),
        [
            ("ca_licence", "needs licence", "licence"),
            ("ca_validation", "needs verification", "verify"),
            ("ca_quota_daily", "rate-limited", "by itself at 20"),
            ("ca_tos", "banned by Google", "appeal"),
        ],
    )
    def test_a_verdict_and_what_to_do(self, google, lend, ask, error, verdict, todo):
        google.script("error", error=error)
        [finding] = ask.check([lend(project="fake-project")])
        assert finding.verdict == verdict
        assert todo in finding.detail
        assert ACCESS not in json.dumps([finding.detail, finding.help_url])

    def test_the_order_is_that_of_the_question_and_the_gone_are_left_out(
        self, lend, ask, an_api_key
    ):
        ids = [an_api_key, 999_999, lend(project="fake-project")]
        assert [finding.credential_id for finding in ask.check(ids)] == [ids[0], ids[2]]

    def test_a_success_brings_it_back(self, google, lend, ask):
        pk = lend(project="fake-project")
        google.script("error", error="ca_licence", times=1)
        ask.check([pk])
        assert row(pk).state == "needs_attention"
        ask.check([pk])
        assert row(pk).state == "active"
        assert StateChange.objects.filter(credential=pk).first().event == "probed"


class TestProjects:
    def test_the_one_to_suggest_comes_first(self, lend, ask):
        pk = lend(projects=["project-a", "my-default-project", "project-c"])
        assert ask.projects(pk) == ["my-default-project", "project-a", "project-c"]

    def test_none(self, lend, ask):
        assert ask.projects(lend(project="", projects=[])) == []

    def test_what_may_not_be_listed_is_said(self, google, lend, ask):
        google.script("projects_forbidden")
        with pytest.raises(PermissionDenied, match="project"):
            ask.projects(lend())

    def test_keys_have_none(self, ask, an_api_key):
        with pytest.raises(PermissionDenied, match="API key"):
            ask.projects(an_api_key)


class TestSetUp:
    def test_the_project_and_tier_are_stored_and_services_enabled(self, google, lend, ask):
        pk = lend(services={"cloudaicompanion.googleapis.com": "DISABLED"})
        found = ask.set_up(pk)
        assert (found.project, found.tier, found.words) == ("fake-project", "standard-tier", "")
        assert (row(pk).project_id, row(pk).tier) == ("fake-project", "standard-tier")
        account = google.directory.accounts["bob@example.com"]
        assert account.services["cloudaicompanion.googleapis.com"] == "ENABLED"

    def test_the_chosen_project(self, google, lend, ask):
        google.script("load_not_onboarded", times=1)
        pk = lend(project="", projects=["project-a", "project-b"], state="not_onboarded")
        account = google.directory.accounts["bob@example.com"]
        account.project = None
        assert ask.set_up(pk, "project-b").project == "project-b"
        assert row(pk).project_id == "project-b"

    def test_what_google_retired_is_said_with_the_way_out(self, lend, ask):
        pk = lend(state="unsupported_client")
        found = ask.set_up(pk)
        assert found.project == ""
        assert "API key" in found.words
        assert "licence" in found.words
        assert row(pk).state_reason == "retired_by_google"

    def test_a_verification_names_its_page(self, lend, ask):
        found = ask.set_up(lend(state="validation_required"))
        assert found.help_url.startswith("https://accounts.google.com/")

    def test_google_away_is_an_error(self, google, lend, ask):
        google.script("html_503", on="load")
        with pytest.raises(GatewayError):
            ask.set_up(lend())


class TestQuota:
    def test_what_is_left_by_model(self, google, lend, ask):
        pk = lend(
            project="fake-project",
            quota=[
                {
                    "modelId": "gemini-3-flash",
                    "tokenType": "REQUESTS",
                    "remainingFraction": 0.5,
                    "remainingAmount": "500",
                    "resetTime": "2030-01-01T08:00:00Z",
                },
                {"modelId": "gemini-3-pro-preview", "resetTime": "1970-01-01T00:00:00Z"},
                {"modelId": "gemini-2.5-pro", "tokenType": "TOKENS", "remainingFraction": 0.1},
            ],
        )
        found = {bucket.model: bucket for bucket in ask.quota(pk)}
        # gemini-3.5-flash is what the catalogue calls it.
        assert set(found) == {"gemini-3-flash", "gemini-3.5-flash", "gemini-3-pro-preview"}
        flash = found["gemini-3.5-flash"]
        assert (flash.remaining_fraction, flash.remaining_calls) == (0.5, 500)
        assert flash.resets_at == datetime(2030, 1, 1, 8, tzinfo=UTC)
        barred = found["gemini-3-pro-preview"]
        assert (barred.barred, barred.resets_at, barred.remaining_calls) == (True, None, None)

    def test_keys_have_no_such_look_up(self, ask, an_api_key):
        assert ask.quota(an_api_key) == []

    def test_a_refusal_is_recorded_and_raised_in_words(self, google, lend, ask):
        pk = lend(project="fake-project")
        google.script("error", error="ca_licence", on="quota")
        with pytest.raises(PermissionDenied, match="licence"):
            ask.quota(pk)
        assert row(pk).state == "needs_attention"

    @pytest.mark.parametrize("error", ["ca_rate_short", "ca_model_missing"])
    def test_a_look_up_that_is_refused_rests_no_model(self, google, lend, ask, error):
        pk = lend(project="fake-project")
        google.script("error", error=error, on="quota")
        with pytest.raises(GatewayError):
            ask.quota(pk)
        assert row(pk).state == "active"
        assert not ModelState.objects.exists()


class TestPreview:
    def test_joins(self, google, lend, ask):
        pk = lend(project="fake-project", preview=False)
        assert ask.enable_preview(pk) == ""
        assert row(pk).preview is True
        assert google.directory.accounts["bob@example.com"].preview

    def test_where_a_setting_stands_already_it_is_bound(self, google, lend, ask):
        pk = lend(project="fake-project", preview=False)
        base = "projects/fake-project/locations/global/releaseChannelSettings"
        google.channels[f"{base}/theirs"] = {"name": f"{base}/theirs"}
        assert ask.enable_preview(pk) == ""
        bindings = [name for name in google.channels if "settingBindings" in name]
        assert bindings[0].startswith(f"{base}/theirs/settingBindings/")

    def test_twice_is_as_good_as_once(self, lend, ask):
        pk = lend(project="fake-project", preview=False)
        assert [ask.enable_preview(pk), ask.enable_preview(pk)] == ["", ""]

    def test_a_refusal_says_why(self, lend, ask):
        pk = lend(project="fake-project", preview=False)
        Credential.objects.filter(pk=pk).update(project_id="somebody-elses")
        assert "project" in ask.enable_preview(pk)
        assert row(pk).preview is None

    def test_without_a_project_that_comes_first(self, lend, ask):
        assert "no project" in ask.enable_preview(lend())

    def test_google_away_is_an_error(self, google, lend, ask):
        pk = lend(project="fake-project")
        google.script("html_503", on="channel")
        with pytest.raises(UpstreamFailed):
            ask.enable_preview(pk)
