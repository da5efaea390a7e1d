"""Uploads as they come: thousands of files, files that are something else, and files that mean harm."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.e2e import mixed
from tests.e2e.crawl import sign_in
from tests.e2e.dialects import OPENAI, ask, only_postgres, only_sqlite
from tests.e2e.processes import eventually

ENDED = ("done", "failed", "cancelled")


@pytest.fixture
def operator(gateway):
    gateway.lend()
    with gateway.operator() as client:
        yield client


def upload(client, *files, **fields):
    """The preview, or the refusal."""
    sent = [("files", (name, content)) for name, content in files]
    return client.post("/api/imports", files=sent or None, data=fields)


def confirmed(client, preview, **options):
    """The import, once its job has ended."""
    told = client.post(f"/api/imports/{preview['id']}/confirm", json=options)
    assert told.status_code == 202, told.text

    def over():
        job = client.get(f"/api/jobs/{told.json()['job']}").json()
        return job if job["state"] in ENDED else None

    job = eventually(over, "the import's job ends", 60)
    return client.get(f"/api/imports/{preview['id']}").json(), job


def items(client, preview, **query):
    return client.get(f"/api/imports/{preview['id']}/items", params=query).json()["results"]


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_whole_house_moves_in(gateway, operator):
    """Two hundred files of every kind: what the preview says is what comes to be, and nothing is stored before."""
    expected = mixed.expected(200)
    answer = upload(operator, ("house.zip", mixed.zipped(mixed.files(200))), tags="moved")
    assert answer.status_code == 201, answer.text
    preview = answer.json()
    assert {name: preview["counts"][name] for name in expected} == expected
    assert gateway.hand("pool_counts").get("active", 0) == 0
    done, job = confirmed(operator, preview)
    assert (done["state"], job["state"]) == ("done", "done")
    assert (job["done"], job["total"], job["failed"]) == (expected["new"], expected["new"], 0)
    assert gateway.hand("pool_counts")["active"] == expected["new"]
    # Again: everything is known by now, and nothing comes in twice.
    again = upload(operator, ("house.zip", mixed.zipped(mixed.files(200)))).json()
    assert (again["counts"]["new"], again["counts"]["updated"]) == (0, 0)
    assert (
        operator.get("/api/credentials", params={"tag": "moved"}).json()["count"] == expected["new"]
    )


@only_sqlite
def test_five_thousand_keys_with_a_hundred_twice(gateway, operator):
    keys = [mixed.api_key(900_000 + number) for number in range(4900)]
    text = "\n".join([*keys, *keys[:100]])
    preview = upload(operator, text=text).json()
    assert (preview["counts"]["new"], preview["counts"]["duplicate"]) == (4900, 100)
    cancelled = operator.post(f"/api/imports/{preview['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert gateway.hand("pool_counts").get("active", 0) == 0
    assert operator.post(f"/api/imports/{preview['id']}/confirm", json={}).status_code == 409


@only_sqlite
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("robot.json", json.dumps(mixed.service_account(1)).encode(), "service account"),
        ("broken.json", b'{"refresh_token": ', ""),
        ("photo.png", b"\x89PNG\r\n\x1a\n" + bytes(200), ""),
        ("empty.json", b"", ""),
        ("broken.zip", b"PK\x03\x04 not a zip", ""),
    ],
)
def test_what_is_no_credential_is_refused_in_words(gateway, operator, name, content, words):
    answer = upload(operator, (name, content))
    if answer.status_code == 201:
        [item] = items(operator, answer.json())
        assert item["outcome"] == "unusable"
        said = item["reason"]
    else:
        assert answer.status_code == 400
        said = answer.text
    assert len(said) > 10
    assert words in said


@only_sqlite
def test_a_zip_that_means_harm_writes_nothing_and_is_refused_in_words(gateway, operator, tmp_path):
    login = json.dumps({"AIza": mixed.api_key(777_001)})
    wicked = zipped(
        **{
            "../../etc/keys.txt": login,
            "/etc/passwd": login,
            "C:\\keys.txt": mixed.api_key(777_002),
        }
    )
    before = {path for path in gateway.data_dir.parent.rglob("*") if "broker" not in path.parts}
    told = upload(operator, ("wicked.zip", wicked)).json()
    assert told["counts"]["new"] == 2
    new = {
        path for path in gateway.data_dir.parent.rglob("*") if "broker" not in path.parts
    } - before
    assert not [path for path in new if path.suffix in (".txt", ".zip") or path.name == "passwd"]
    bomb = zipped(**{f"{number}.txt": b"0" * 60_000_000 for number in range(4)})
    assert len(bomb) < 1_000_000
    answer = upload(operator, ("bomb.zip", bomb))
    said = answer.text if answer.status_code != 201 else items(operator, answer.json())[0]["reason"]
    assert answer.status_code in (201, 400, 413)
    assert gateway.hand("pool_counts").get("active", 0) == 0
    assert len(said) > 10


@only_sqlite
def test_fifty_megabytes_are_too_many(gateway, operator):
    answer = upload(operator, ("big.json", b" " * 50_000_000))
    assert answer.status_code == 413
    assert "32 MiB" in answer.text


def test_a_steward_brings_in_and_never_takes_out(gateway, google):
    gateway.lend()
    with sign_in(gateway.url, *gateway.person("steward")) as steward:
        token = {"x-csrftoken": steward.cookies["csrftoken"], "referer": gateway.url}
        key = gateway.api_key()
        preview = steward.post("/api/imports", json={"text": key}, headers=token)
        assert preview.status_code == 201, preview.text
        assert key not in preview.text
        for path in ("/credentials/export", "/creds/download-all", "/creds/download/x.json"):
            assert steward.get(path).status_code == 403, path
        told = steward.post(
            "/api/credentials/export", json={"format": "keys", "filter": {}}, headers=token
        )
        assert told.status_code == 403
    with sign_in(gateway.url, *gateway.person("member")) as member:
        for path in ("/api/imports", "/api/credentials", "/api/jobs", "/credentials", "/jobs"):
            assert member.get(path).status_code == 403, path


def test_what_goes_out_comes_in_again(gateway, google, http, operator):
    """Everything lent, as a locked ZIP, into the same place and the same states after it was taken from there."""
    gateway.lend("gemini_api", "code_assist", "code_assist")
    password = gateway.plant("a long password for the ZIP")
    answer = operator.post(
        "/api/credentials/export",
        json={"format": "wellspring", "password": password, "filter": {}},
    )
    assert answer.status_code == 200, answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert gateway.lend() == []
    wrong = upload(operator, ("backup.zip", answer.content), password="not this one")
    assert wrong.status_code != 201 or wrong.json()["counts"]["new"] == 0
    preview = upload(operator, ("backup.zip", answer.content), password=password).json()
    told, job = confirmed(operator, preview)
    assert job["state"] == "done"
    assert told["counts"]["new"] + told["counts"]["updated"] == 3, told
    key = gateway.key()
    eventually(lambda: ask(http, OPENAI, key).status_code == 200, "what came back serves")


@only_postgres
def test_a_change_of_thousands_is_counted_first_and_can_be_watched(gateway, operator):
    preview = upload(
        operator, text="\n".join(mixed.api_key(800_000 + n) for n in range(600))
    ).json()
    confirmed(operator, preview)
    asked = {"action": "disable", "filter": {"provider": "gemini_api", "state": "active"}}
    counted = operator.post("/api/credentials/bulk", json={**asked, "dry_run": True}).json()
    assert counted["count"] == 600
    stale = operator.post("/api/credentials/bulk", json={**asked, "expected": 599})
    assert stale.status_code == 409
    begun = operator.post("/api/credentials/bulk", json={**asked, "expected": 600})
    assert begun.status_code == 202, begun.text
    job_id = (
        begun.json()["job"]["id"] if isinstance(begun.json()["job"], dict) else begun.json()["job"]
    )
    job = eventually(
        lambda: (found := operator.get(f"/api/jobs/{job_id}").json())["state"] in ENDED and found,
        "the bulk change ends",
        60,
    )
    assert (job["state"], job["done"], job["failed"]) == ("done", 600, 0)
    assert gateway.hand("pool_counts") | {"withdrawn": 0} == {"disabled": 600, "withdrawn": 0}
