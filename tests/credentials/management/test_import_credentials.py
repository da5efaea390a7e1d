import io
import json
import sqlite3
import sys
from contextlib import closing
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from credentials.management.commands import import_credentials
from credentials.models import Credential
from credentials.services import exporting
from tests.credentials.samples import (
    CLIENT_SECRET,
    REFRESH_TOKEN,
    adc,
    api_key,
    as_bytes,
    cliproxyapi,
    gcli2api,
    gemini_cli,
    store_key,
    zipped,
)

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("import_credentials", *map(str, args), stdout=out)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path, settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "client"
    (tmp_path / "deep").mkdir()
    (tmp_path / "gcli2api.json").write_bytes(as_bytes(gcli2api()))
    (tmp_path / "deep" / "cli.json").write_bytes(
        as_bytes(gemini_cli(refresh_token="1//cli", id_token=""))
    )
    (tmp_path / "adc.json").write_bytes(as_bytes(adc(refresh_token="1//adc")))
    proxy = cliproxyapi(project="project-one,project-two", email="bob@example.org")
    proxy["token"]["refresh_token"] = "1//proxy"
    (tmp_path / "proxy.zip").write_bytes(zipped({"proxy.json": as_bytes(proxy)}))
    (tmp_path / "keys.txt").write_text(f"{api_key(1)}\n{api_key(2)}\n{api_key(1)}\n")
    (tmp_path / "notes.md").write_text("nothing here")
    (tmp_path / "link.json").symlink_to(tmp_path / "gcli2api.json")
    return tmp_path


def test_a_folder_of_everything(folder):
    out = run(folder)
    assert Credential.objects.count() == 7
    assert "7 new, 0 updated, 1 duplicate, 1 unusable" in out
    assert len(out.strip().splitlines()) == 9 + 1
    assert f"{folder.name}/notes.md" in out


def test_the_second_run_finds_only_duplicates(folder):
    run(folder)
    assert "0 new, 0 updated, 8 duplicate, 1 unusable" in run(folder)
    assert Credential.objects.count() == 7


def test_a_dry_run_stores_nothing(folder):
    assert "7 new" in run(folder, "--dry-run")
    assert not Credential.objects.exists()


def test_json_is_one_object(folder):
    told = json.loads(run(folder, "--json"))
    assert (told["new"], told["updated"], told["duplicate"], told["unusable"]) == (7, 0, 1, 1)
    assert told["dry_run"] is False
    assert len(told["items"]) == 9
    assert {item["outcome"] for item in told["items"]} == {"new", "duplicate", "unusable"}
    (unusable,) = [item for item in told["items"] if item["outcome"] == "unusable"]
    assert unusable["id"] is None
    assert unusable["reason"]


def test_several_paths_and_standard_input(folder, monkeypatch):
    stdin = SimpleNamespace(buffer=io.BytesIO(api_key(9).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert "2 new" in run("-", folder / "gcli2api.json")
    assert set(Credential.objects.values_list("source", flat=True)) == {"stdin:1", "gcli2api.json"}


def test_nothing_usable_is_a_failure_and_says_why(tmp_path):
    path = tmp_path / "sa.json"
    path.write_bytes(as_bytes({"type": "service_account"}))
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("import_credentials", str(path), "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["unusable"] == 1
    assert "service account" in told["items"][0]["reason"]


@pytest.mark.parametrize("name", ["missing.json", "empty"])
def test_a_path_that_holds_nothing(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError):
        run(tmp_path / name)


def test_a_gemini_cli_file_says_what_to_do_without_an_oauth_client(folder, settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = ""
    with pytest.raises(CommandError):
        run(folder / "deep")
    assert "set GOOGLE_OAUTH_CLIENT_ID" in run(folder)


def test_tags_and_a_locked_zip(tmp_path):
    store_key(1)
    backup = exporting.build(
        credential_ids=[Credential.objects.get().pk],
        format="wellspring",
        actor="x",
        password="correct horse battery",
    )
    Credential.objects.all().delete()
    (tmp_path / "backup.zip").write_bytes(backup)
    (tmp_path / "password").write_text("correct horse battery\n")
    with pytest.raises(CommandError):
        run(tmp_path / "backup.zip")
    run(tmp_path / "backup.zip", "--password-file", tmp_path / "password", "--tag", "a,b")
    assert Credential.objects.get().tags == ["a", "b"]
    with pytest.raises(CommandError, match="is no tag"):
        run(tmp_path / "backup.zip", "--tag", "x" * 99)


def test_a_database_that_is_named_alone_brings_its_log(tmp_path):
    path = tmp_path / "credentials.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE credentials (filename TEXT, credential_data TEXT)")
        row = ("a.json", json.dumps(gcli2api()))
        database.execute("INSERT INTO credentials VALUES (?, ?)", row)
        database.commit()
        assert "1 new" in run(path)
    assert Credential.objects.get().name == "a.json"


def test_thousands_are_stored_in_parts_and_the_progress_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(import_credentials, "_CHUNK", 2)
    (tmp_path / "keys.txt").write_text("\n".join(map(api_key, [1, 2, 3, 1, 2])))
    out, progress = io.StringIO(), io.StringIO()
    call_command("import_credentials", str(tmp_path / "keys.txt"), stdout=out, stderr=progress)
    assert "3 new, 0 updated, 2 duplicate" in out.getvalue()
    assert progress.getvalue().split("\n")[:3] == ["2 of 5", "4 of 5", "5 of 5"]


def test_no_secret_is_printed(folder):
    out = run(folder) + run(folder, "--json")
    for secret in (REFRESH_TOKEN, CLIENT_SECRET, api_key(1), "1//cli"):
        assert secret not in out
