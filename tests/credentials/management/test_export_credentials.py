import io
import json
import re
import stat

import pytest
from django.core.management import CommandError, call_command

from credentials.importers import Found, parse
from credentials.models import Credential
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import api_key, store_key, store_login

pytestmark = pytest.mark.django_db


def run(*args):
    told = io.StringIO()
    call_command("export_credentials", *map(str, args), stdout=io.StringIO(), stderr=told)
    return told.getvalue()


def test_a_backup_is_locked_with_a_password_that_is_shown_once(tmp_path):
    store_login()
    store_key(1)
    told = run("--output", tmp_path / "b.zip")
    password = re.search(r"shown this once: (\S+)", told)[1]
    items = parse("b.zip", (tmp_path / "b.zip").read_bytes(), password)
    assert sum(isinstance(item, Found) for item in items) == 2
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600
    assert AuditEntry.objects.get().actor == "command"


def test_some_of_them_by_number_or_tag(tmp_path):
    store_key(1)
    second = store_key(2)
    Credential.objects.filter(pk=second.pk).update(tags=["march"])
    run("--format", "keys", "--output", tmp_path / "one", second.pk)
    run("--format", "keys", "--output", tmp_path / "two", "--tag", "march")
    for name in ("one", "two"):
        assert (tmp_path / name).read_text() == f"{api_key(2)}\n"


def test_nothing_is_overwritten_and_nothing_to_give_is_told(tmp_path):
    with pytest.raises(CommandError, match="None of these"):
        run("--output", tmp_path / "b.zip")
    store_key(1)
    (tmp_path / "b.zip").write_text("dear")
    with pytest.raises(CommandError, match="written"):
        run("--output", tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_text() == "dear"


def test_one_json_object_tells_what_was_done_and_never_mixes_with_the_file(tmp_path, capfdbinary):
    store_key(1)
    out, beside = io.StringIO(), io.StringIO()
    path = tmp_path / "b.zip"
    call_command("export_credentials", "--output", str(path), "--json", stdout=out, stderr=beside)
    told = json.loads(out.getvalue())
    assert (told["exported"], told["format"], told["file"]) == (1, "wellspring", str(path))
    assert parse("b.zip", path.read_bytes(), told["password"])
    assert not beside.getvalue()
    call_command(
        "export_credentials", "--format=keys", "--output=-", "--json", stdout=out, stderr=beside
    )
    assert json.loads(beside.getvalue())["exported"] == 1
    assert capfdbinary.readouterr().out.decode() == f"{api_key(1)}\n"
