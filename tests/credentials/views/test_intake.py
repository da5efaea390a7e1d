import io
import re

import pytest
import pyzipper
from django.test import Client

from credentials.importers import Found, parse
from credentials.models import Credential, Import
from gateway.lib import jobs
from gateway.lib.audit import AuditEntry
from tests.credentials.samples import api_key, as_bytes, gcli2api, store_key, store_login
from tests.credentials.uploading import client_of, file

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nudges(monkeypatch):
    monkeypatch.setattr(jobs, "_nudge", lambda job: None)


@pytest.fixture
def steward():
    return client_of("steward")


def test_from_the_files_to_the_result(steward):
    assert steward.get("/credentials/import").status_code == 200
    text = f"{api_key(1)}\nsk-other-one\nsk-other-two"
    sent = {"files": [file("a.json", as_bytes(gcli2api()))], "text": text, "tags": "march"}
    page = steward.post("/credentials/import", sent, follow=True)
    shown = page.content.decode()
    batch = Import.objects.get()
    assert page.redirect_chain == [(f"/credentials/import/{batch.pk}", 302)]
    assert "2 new" in shown
    assert "2 unusable" in shown
    assert "<strong>2</strong> this is an OpenAI-style key" in shown
    assert "Store 2" in shown
    page = steward.post(f"/credentials/import/{batch.pk}/confirm", follow=True)
    assert f'data-job="{Import.objects.get().job_id}"' in page.content.decode()
    jobs.run(str(Import.objects.get().job_id))
    shown = steward.get(f"/credentials/import/{batch.pk}").content.decode()
    assert "Done: 2 new" in shown
    assert Credential.objects.count() == 2
    assert api_key(1) not in shown


def test_a_preview_can_be_left(steward):
    steward.post("/credentials/import", {"text": api_key(1)})
    batch = Import.objects.get()
    page = steward.post(f"/credentials/import/{batch.pk}/cancel", follow=True)
    assert "destroyed" in page.content.decode()
    assert not Credential.objects.exists()


def test_what_is_wrong_is_said_on_the_form(steward, settings):
    answer = steward.post("/credentials/import", {})
    assert (answer.status_code, "choose files" in answer.content.decode()) == (400, True)
    settings.UPLOAD_MAX_BYTES = 1024 * 1024
    big = {"files": file("a.txt", b"x" * (3 * 1024 * 1024))}
    answer = steward.post("/credentials/import", big)
    assert (answer.status_code, "1 MiB" in answer.content.decode()) == (413, True)
    answer = steward.post("/credentials/import", {"text": api_key(1), "contributor": "99"})
    assert answer.status_code == 400


def test_the_token_of_the_form_is_asked_for():
    client = client_of("steward", enforce_csrf_checks=True)
    assert client.post("/credentials/import", {"text": api_key(1)}).status_code == 403
    page = client.get("/credentials/import").content.decode()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    answer = client.post("/credentials/import", {"text": api_key(1), "csrfmiddlewaretoken": token})
    assert answer.status_code == 302


@pytest.mark.parametrize("address", ["/credentials/import", "/credentials/export"])
def test_strangers_sign_in_first_and_members_are_told(address):
    assert "/login" in Client().get(address)["Location"]
    assert client_of("member").get(address).status_code == 403


def test_the_items_are_paged_and_filtered(steward, django_assert_max_num_queries):
    steward.post("/credentials/import", {"text": "\n".join(map(api_key, range(250)))})
    batch = Import.objects.get()
    with django_assert_max_num_queries(12):
        page = steward.get(f"/credentials/import/{batch.pk}?page=5").content.decode()
    assert "page 5 of 5" in page
    assert page.count("<tr>") == 51
    none = steward.get(f"/credentials/import/{batch.pk}?outcome=duplicate").content.decode()
    assert "Nothing." in none


def export(client, **fields):
    return client.post("/credentials/export", {"format": "wellspring", **fields})


def test_a_backup_with_the_password_that_was_shown():
    store_login()
    store_key(1)
    client = client_of("operator")
    page = client.get("/credentials/export").content.decode()
    password = re.search(r'name="made_password" value="([^"]+)"', page)[1]
    answer = export(client, lock="made", made_password=password)
    assert "no-store" in answer["Cache-Control"]
    data = b"".join(answer.streaming_content)
    items = parse("x.zip", data, password)
    assert sum(isinstance(item, Found) for item in items) == 2
    assert AuditEntry.objects.get().actor == "operator"


def test_of_a_filter_only_what_it_means():
    store_login()
    store_key(1)
    client = client_of("operator")
    address = "/credentials/export?provider=gemini_api"
    assert "1 of 2" in client.get(address).content.decode()
    answer = client.post(address, {"format": "keys", "lock": "none"})
    assert b"".join(answer.streaming_content).decode() == f"{api_key(1)}\n"
    assert client.get("/credentials/export?nonsense=1").status_code == 400


def test_own_passwords_are_typed_twice():
    store_key(1)
    client = client_of("operator")
    answer = export(client, lock="own", password="long enough one", password_again="another")
    assert (answer.status_code, "differ" in answer.content.decode()) == (400, True)
    answer = export(
        client, lock="own", password="long enough one", password_again="long enough one"
    )
    with pyzipper.AESZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        archive.setpassword(b"long enough one")
        assert archive.testzip() is None


def test_a_steward_does_not_export():
    store_key(1)
    assert export(client_of("steward"), lock="none").status_code == 403
    assert not AuditEntry.objects.exists()
