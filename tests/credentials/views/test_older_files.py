"""The routes of older gateways for files of credentials, with their shapes."""

import io
import json
import zipfile

import pytest
from cryptography.fernet import Fernet
from django.test import Client

from credentials.models import Credential
from credentials.services import Event, set_state
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import (
    REFRESH_TOKEN,
    api_key,
    as_bytes,
    gcli2api,
    store_key,
    store_login,
    zipped,
)
from tests.credentials.uploading import client_of, file

pytestmark = pytest.mark.django_db

BEARER = {"HTTP_AUTHORIZATION": "Bearer panel"}


@pytest.fixture
def script(settings):
    """As scripts call: no session, the panel's password."""
    settings.PANEL_PASSWORD = "panel"
    return Client(enforce_csrf_checks=True, **BEARER)


def test_upload_answers_in_the_older_shape(script):
    files = [
        file("a.json", as_bytes(gcli2api())),
        file("b.zip", zipped({"x/b.json": as_bytes(gcli2api(refresh_token="1//b"))})),
        file("sa.json", as_bytes({"type": "service_account"})),
        file("broken.json", b'{"client_id": '),
    ]
    answer = script.post("/auth/upload", {"files": files})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["uploaded_count"], told["total_count"]) == (2, 4)
    assert {one["filename"]: one["status"] for one in told["results"]} == {
        "a.json": "success",
        "b.json": "success",
        "sa.json": "error",
        "broken.json": "error",
    }
    assert all(set(one) == {"filename", "status", "message"} for one in told["results"])
    (refused,) = [one for one in told["results"] if one["filename"] == "sa.json"]
    assert "service account" in refused["message"]
    assert set(Credential.objects.values_list("name", flat=True)) == {"a.json", "b.json"}
    assert AuditEntry.objects.get().action == "credentials.import"
    again = script.post("/auth/upload", {"files": file("a.json", as_bytes(gcli2api()))})
    assert again.json()["results"][0]["message"] == "already here"


def test_nothing_usable_is_a_400_with_detail(script):
    answer = script.post("/auth/upload", {"files": file("sa.json", b'{"type": "service_account"}')})
    assert answer.status_code == 400
    assert "service account" in str(answer.json()["detail"])
    assert script.post("/auth/upload", {}).status_code == 400


def test_too_much_is_a_413(script, settings):
    settings.UPLOAD_MAX_BYTES = 1024 * 1024
    big = file("a.json", b"x" * (3 * 1024 * 1024))
    assert script.post("/auth/upload", {"files": big}).status_code == 413


def test_a_bomb_and_traversal_names_harm_nothing(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = zipped(
        {
            "bomb.json": b"0" * (30 * 1024 * 1024),
            "../../evil.json": as_bytes(gcli2api()),
        }
    )
    told = script.post("/auth/upload", {"files": file("b.zip", bundle)}).json()
    assert (told["uploaded_count"], told["total_count"]) == (1, 2)
    assert Credential.objects.get().name == "evil.json"
    assert not list(tmp_path.iterdir())


def test_one_file_is_downloaded_and_written_down(script):
    store_login(project="made-up-project")
    name = Credential.objects.get().name
    answer = script.get(f"/creds/download/{name}")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert json.loads(answer.content)["refresh_token"] == REFRESH_TOKEN
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("panel-password", "credentials.export")


def test_all_files_are_downloaded(script):
    store_login(project="made-up-project")
    store_key(1)
    answer = script.get("/creds/download-all")
    assert answer["Content-Disposition"] == 'attachment; filename="credentials.zip"'
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        jsons = [name for name in archive.namelist() if name.endswith(".json")]
        assert len(jsons) == 1
        assert "left_out" in archive.read("manifest.txt").decode()


def test_what_is_not_there_or_was_taken_back_is_a_404(script):
    assert script.get("/creds/download-all").status_code == 404
    assert script.get("/creds/download/nothing.json").status_code == 404
    gone = store_login()
    set_state(credential_id=gone.pk, event=Event.WITHDRAWN)
    gone.refresh_from_db()
    assert script.get(f"/creds/download/{gone.name}").status_code == 404


@pytest.mark.parametrize("address", ["/creds/download-all", "/creds/download/a.json"])
def test_a_steward_reads_no_secret(address):
    store_login()
    Credential.objects.update(name="a.json")
    answer = client_of("steward").get(address)
    assert answer.status_code == 403
    assert not AuditEntry.objects.exists()
    assert Client().get(address).status_code == 401


def test_a_session_needs_its_token_and_an_operator_who_is_no_more_one_is_refused():
    client = client_of("operator", enforce_csrf_checks=True)
    upload = {"files": file("a.json", as_bytes(gcli2api()))}
    assert client.post("/auth/upload", upload).status_code == 403
    store_login()
    Credential.objects.update(name="a.json")
    assert client.get("/creds/download/a.json").status_code == 200
    from accounts.models import User

    User.objects.update(role="member", is_staff=False, is_superuser=False)
    assert client.get("/creds/download/a.json").status_code == 403


def test_the_environment_is_told_loaded_and_forgotten(script, settings):
    settings.ENV_CREDENTIALS = {
        "GCLI_CREDS_1": json.dumps(gcli2api()),
        "GCLI_CREDS_BAD": "{}",
    }
    status = script.get("/auth/env-creds-status").json()
    assert status == {
        "available_env_vars": {"GCLI_CREDS_1": "***", "GCLI_CREDS_BAD": "***"},
        "auto_load_enabled": False,
        "existing_env_files_count": 0,
        "existing_env_files": [],
    }
    loaded = script.post("/auth/load-env-creds").json()
    assert (loaded["loaded_count"], loaded["total_count"]) == (1, 2)
    assert [one["env_var"] for one in loaded["results"]] == ["GCLI_CREDS_1", "GCLI_CREDS_BAD"]
    names = script.get("/auth/env-creds-status").json()["existing_env_files"]
    assert len(names) == 1
    store_key(1)
    forgotten = script.delete("/auth/env-creds").json()
    assert (forgotten["deleted_count"], forgotten["deleted_files"]) == (1, names)
    assert Credential.objects.filter(state="active").count() == 1


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("post", "/auth/upload"),
        ("post", "/auth/load-env-creds"),
        ("delete", "/auth/env-creds"),
        ("get", "/auth/env-creds-status"),
        ("get", "/creds/download-all"),
    ],
)
def test_strangers_are_turned_away(method, address):
    answer = getattr(Client(), method)(address)
    assert answer.status_code == 401
    assert answer.json()["detail"]


def test_no_error_shows_what_was_sent(script):
    sent = json.dumps(gcli2api(client_secret=None)) + api_key()[:20]
    answer = script.post("/auth/upload", {"files": file("a.json", sent.encode())})
    assert REFRESH_TOKEN not in answer.content.decode()


def test_a_download_that_cannot_be_made_says_why(script, settings):
    row = store_key(1)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    answer = script.get(f"/creds/download/{row.name}")
    assert answer.status_code == 409
    assert "ENCRYPTION_KEYS" in answer.json()["detail"]
    assert script.get("/creds/download/a%00b").status_code == 404


def test_loading_the_environment_is_written_down_where_it_changed_something(script, settings):
    settings.ENV_CREDENTIALS = {"GCLI_CREDS_1": json.dumps(gcli2api())}
    script.post("/auth/load-env-creds")
    script.post("/auth/load-env-creds")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("panel-password", "credentials.load_environment")
    assert entry.address == "127.0.0.1"
