import io
import json
import time
import zipfile

import pytest
import pyzipper
from cryptography.fernet import Fernet

from credentials.importers import Found, parse
from credentials.models import Contributor, Credential, ModelState
from credentials.services import (
    Event,
    StateMove,
    apply_verdicts,
    exporting,
    import_items,
    set_state,
)
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import Conflict, InvalidRequest, RateLimited
from tests.credentials.samples import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    oauth_secret,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def ids() -> list[int]:
    return list(Credential.objects.values_list("pk", flat=True))


def build(format="wellspring", password=PASSWORD, **options) -> bytes:
    return exporting.build(
        credential_ids=ids(), format=format, actor="olga", password=password, **options
    )


def pool():
    later = time.time() + 5000
    login = store_login(email="alice@example.org", project="project-one", label="Alice")
    Credential.objects.filter(pk=login.pk).update(
        name="alice.json", tier="standard-tier", preview=True, weight=3, tags=["march"]
    )
    store_login(
        oauth_secret(client_id="", client_secret="", refresh_token="1//second"),
        project="project-two",
    )
    store_key(1, label="a key")
    off = store_key(2)
    set_state(credential_id=off.pk, event=Event.DISABLED, reason="for the summer")
    broken = store_key(3)
    apply_verdicts(
        [
            StateMove(login.pk, Event.QUOTA, model="gemini-2.5-pro", until=later, reason="daily"),
            StateMove(
                broken.pk,
                Event.ATTENTION,
                reason="key_suspended",
                help_url="https://example.org/help",
                whole=True,
            ),
        ]
    )
    resting = store_key(4)
    apply_verdicts([StateMove(resting.pk, Event.RATE, until=later, whole=True, reason="rate")])


def everything():
    return {
        row.name: (
            row.provider,
            row.secret.open(),
            row.project_id,
            row.email,
            row.label,
            row.tier,
            row.preview,
            row.weight,
            row.tags,
            row.state,
            row.state_reason,
            row.state_until,
            row.help_url,
            [(state.model, state.state, state.until) for state in row.model_states.all()],
        )
        for row in Credential.objects.all()
    }


def test_a_backup_comes_back_with_equal_secrets_names_and_states(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "site-client"
    pool()
    before, data = everything(), build()
    assert len(before) == 6
    Credential.objects.all().delete()
    items = parse("backup.zip", data, PASSWORD)
    results = import_items(items=items)
    assert [result.outcome.value for result in results] == ["new"] * 6
    assert everything() == before
    assert ModelState.objects.count() == 1


def test_a_backup_opens_with_its_password_only_and_names_no_secret_outside(settings):
    pool()
    data = build()
    for secret in (REFRESH_TOKEN, api_key(1), CLIENT_SECRET, PASSWORD):
        assert secret.encode() not in data
    for password in ("", "another password"):
        assert not any(isinstance(item, Found) for item in parse("backup.zip", data, password))


def test_the_backup_lists_what_is_left_out(settings):
    bob = Contributor.objects.create(name="Bob")
    gone = store_key(1, contributor_id=bob.pk)
    set_state(credential_id=gone.pk, event=Event.WITHDRAWN)
    lost = store_key(2)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    store_key(3)
    with pyzipper.AESZipFile(io.BytesIO(build())) as archive:
        archive.setpassword(PASSWORD.encode())
        manifest = json.loads(archive.read(exporting.MANIFEST))
        assert len(archive.namelist()) == 2
    reasons = {entry["name"]: entry["reason"] for entry in manifest["left_out"]}
    assert "taken back" in reasons[f"withdrawn-{gone.pk}.json"]
    assert "ENCRYPTION_KEYS" in reasons[Credential.objects.get(pk=lost.pk).name]


@pytest.mark.parametrize("format", ["gcli2api", "cliproxyapi", "gemini_cli"])
def test_logins_come_back_from_every_format(format, settings):
    settings.GOOGLE_OAUTH_CLIENT_ID, settings.GOOGLE_OAUTH_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
    login = store_login(email="alice@example.org", project="project-one")
    store_key(1)
    data = build(format, password="")
    (item,) = [found for found in parse("x.zip", data) if isinstance(found, Found)]
    secret = login.secret.open()
    assert item.name == Credential.objects.get(pk=login.pk).name
    for field in ("refresh_token", "access_token", "expires_at"):
        assert item.secret[field] == secret[field]
    if format != "gemini_cli":
        assert (item.secret["client_id"], item.project) == (CLIENT_ID, "project-one")
    assert item.email == "alice@example.org"


def test_a_plain_file_names_the_sites_client_where_the_login_names_none(settings):
    settings.GOOGLE_OAUTH_CLIENT_ID, settings.GOOGLE_OAUTH_CLIENT_SECRET = "site", "its-secret"
    store_login(oauth_secret(client_id="", client_secret=""))
    with zipfile.ZipFile(io.BytesIO(build("gcli2api", password=""))) as archive:
        file = json.loads(archive.read(Credential.objects.get().name))
    assert (file["client_id"], file["client_secret"]) == ("site", "its-secret")
    assert file["token_uri"]


def test_keys_are_a_list_or_a_locked_one():
    store_key(1)
    store_key(2)
    store_login()
    assert build("keys", password="").decode().split() == [api_key(1), api_key(2)]
    items = parse("keys.zip", build("keys"), PASSWORD)
    found = [item for item in items if isinstance(item, Found)]
    assert [item.secret["api_key"] for item in found] == [api_key(1), api_key(2)]


def test_one_alone_is_its_bare_file():
    login = store_login(project="project-one")
    made = exporting.export(credential_ids=[login.pk], format="gcli2api", actor="olga", alone=True)
    assert made.file_name == Credential.objects.get().name
    assert json.loads(b"".join(made.chunks))["refresh_token"] == REFRESH_TOKEN


def test_who_took_what_is_written_down_without_secrets():
    store_key(1)
    exporting.build(credential_ids=ids(), format="keys", actor="olga")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("olga", "credentials.export")
    assert entry.detail == {"format": "keys", "locked": False, "ids": ids(), "count": 1}


def test_a_weak_password_an_unknown_format_and_nothing_to_give_are_refused():
    store_key(1)
    with pytest.raises(InvalidRequest, match="password"):
        build(password="")
    with pytest.raises(InvalidRequest, match="12"):
        build(password="short")
    with pytest.raises(InvalidRequest, match="gcli2api"):
        build("tarball")
    with pytest.raises(Conflict):
        build("gcli2api", password="")
    assert not AuditEntry.objects.exists()


def test_nobody_exports_without_end(monkeypatch):
    monkeypatch.setattr(exporting, "PER_HOUR", 2)
    store_key(1)
    build()
    build()
    with pytest.raises(RateLimited):
        build()
    exporting.build(credential_ids=ids(), format="keys", actor="another")


def test_passwords_that_are_made_are_long_and_different():
    made = {exporting.new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(password) == 24 for password in made)


def test_many_are_sent_while_they_are_read(django_assert_max_num_queries):
    for number in range(450):
        store_key(number)
    with django_assert_max_num_queries(20):
        made = exporting.export(
            credential_ids=ids(), format="wellspring", actor="olga", password=PASSWORD
        )
        chunks = list(made.chunks)
    assert len(chunks) > 400
    assert made.count == 450
