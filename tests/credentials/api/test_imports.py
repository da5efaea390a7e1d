import json

import pytest
from django.test import Client

from credentials.models import Contributor, Credential, Import
from gateway.lib import jobs
from tests.credentials.samples import REFRESH_TOKEN, adc, api_key, as_bytes, gcli2api, zipped
from tests.credentials.uploading import client_of, file

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nudges(monkeypatch):
    monkeypatch.setattr(jobs, "_nudge", lambda job: None)


@pytest.fixture
def steward():
    return client_of("steward")


def paste(client, text, **fields):
    body = json.dumps({"text": text, **fields})
    return client.post("/api/imports", body, content_type="application/json")


def test_a_paste_is_previewed_confirmed_and_told(steward):
    answer = paste(steward, f"{api_key(1)}\n{api_key(2)}\nsk-not-one-of-ours\n", tags="march")
    assert answer.status_code == 201
    batch = answer.json()
    assert batch["counts"] == {"new": 2, "updated": 0, "duplicate": 0, "unusable": 1}
    assert (batch["state"], batch["tags"], batch["actor"]) == ("preview", ["march"], "steward")
    items = steward.get(f"/api/imports/{batch['id']}/items").json()
    assert [item["outcome"] for item in items["results"]] == ["new", "new", "unusable"]
    only = steward.get(f"/api/imports/{batch['id']}/items?outcome=unusable").json()
    assert only["count"] == 1

    answer = steward.post(f"/api/imports/{batch['id']}/confirm")
    assert answer.status_code == 202
    jobs.run(answer.json()["job"])
    done = steward.get(f"/api/imports/{batch['id']}").json()
    assert (done["state"], done["counts"]["new"]) == ("done", 2)
    assert Credential.objects.count() == 2
    listed = steward.get("/api/imports").json()
    assert [one["id"] for one in listed["results"]] == [batch["id"]]


def test_many_files_and_a_locked_zip_come_in_one_upload(steward):
    answer = steward.post(
        "/api/imports",
        {
            "files": [
                file("a.json", as_bytes(gcli2api())),
                file("b.zip", zipped({"../../c.json": as_bytes(adc(refresh_token="1//c"))})),
            ],
            "tags": "x",
        },
    )
    assert answer.status_code == 201
    assert answer.json()["counts"]["new"] == 2
    assert answer.json()["source"] == "a.json, b.zip"


def test_no_answer_holds_a_secret(steward):
    batch = paste(steward, json.dumps(gcli2api())).json()
    pages = [
        steward.get(address).content.decode()
        for address in (
            "/api/imports",
            f"/api/imports/{batch['id']}",
            f"/api/imports/{batch['id']}/items",
            f"/credentials/import/{batch['id']}",
        )
    ]
    assert all(pages)
    assert not [page for page in pages if REFRESH_TOKEN in page]


def test_a_cancelled_one_cannot_be_confirmed(steward):
    batch = paste(steward, api_key(1)).json()
    assert steward.post(f"/api/imports/{batch['id']}/cancel").json()["state"] == "cancelled"
    answer = steward.post(f"/api/imports/{batch['id']}/confirm")
    assert answer.status_code == 409
    assert "upload again" in answer.json()["detail"]


def test_it_may_be_in_a_contributors_name(steward):
    bob = Contributor.objects.create(name="Bob")
    assert paste(steward, api_key(1), contributor=bob.pk).json()["contributor"] == bob.pk
    answer = paste(steward, api_key(1), contributor=bob.pk + 1)
    assert (answer.status_code, answer.json()["param"]) == (400, "contributor")


@pytest.mark.parametrize("role", ["member", None])
def test_others_may_not(role):
    client = client_of(role) if role else Client()
    assert paste(client, api_key(1)).status_code in (401, 403)
    assert client.get("/api/imports").status_code in (401, 403)
    assert not Import.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [("{}", "nothing in it"), ("[]", "JSON object"), ('{"text": " "}', "nothing in it")],
)
def test_nothing_is_refused_in_words(steward, body, words):
    answer = steward.post("/api/imports", body, content_type="application/json")
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_broken_json_and_an_unknown_id(steward):
    answer = steward.post("/api/imports", "{", content_type="application/json")
    assert answer.status_code == 400
    unknown = "/api/imports/00000000-0000-0000-0000-000000000000"
    assert steward.get(unknown).status_code == 404
    assert steward.post(f"{unknown}/confirm").status_code == 404


def test_fifty_megabytes_are_refused_in_words(steward):
    answer = steward.post("/api/imports", {"files": file("big.txt", b"x" * (50 * 1024 * 1024))})
    assert answer.status_code == 413
    assert "32 MiB" in answer.json()["detail"]
    assert not Import.objects.exists()


def test_an_upload_that_hides_its_size_is_ended_while_it_comes(settings, rf):
    """Without Content-Length, as with chunked bodies, only counting helps."""
    from credentials.uploads import InMemory
    from gateway.lib.errors import BodyTooLarge

    settings.UPLOAD_MAX_BYTES = 1000
    handler = InMemory(rf.post("/"))
    for _ in range(2):
        handler.new_file("files", "a.txt", "text/plain", None, None, None)
        handler.receive_data_chunk(b"x" * 500, 0)
        handler.file_complete(500)
    handler.new_file("files", "b.txt", "text/plain", None, None, None)
    with pytest.raises(BodyTooLarge):
        handler.receive_data_chunk(b"x", 0)


def test_files_stay_in_memory(steward, monkeypatch):
    """Not in a temporary file, where Django puts what is bigger than 2.5 MB."""
    import tempfile

    def refuse(*args, **kwargs):
        raise AssertionError("a plain secret would lie on disk")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    data = b"\n".join(api_key(number).encode() for number in range(10)) + b"\n# " + b"x" * 4_000_000
    answer = steward.post("/api/imports", {"files": file("big.txt", data)})
    assert answer.status_code == 201
    assert answer.json()["counts"]["new"] == 10


def test_lists_cost_the_same_however_many(steward, django_assert_max_num_queries):
    batch = paste(steward, "\n".join(map(api_key, range(300)))).json()
    with django_assert_max_num_queries(6):
        page = steward.get(f"/api/imports/{batch['id']}/items?page_size=300").json()
    assert len(page["results"]) == 300
    with django_assert_max_num_queries(6):
        steward.get("/api/imports")
