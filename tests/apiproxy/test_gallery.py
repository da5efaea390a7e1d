"""Stored pictures: into a folder or a bucket, their links, and their end."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.core.files.storage import storages
from django.utils import timezone
from moto.server import ThreadedMotoServer

from apiproxy import tasks
from apiproxy.gallery import Gallery, delete_expired
from apiproxy.media_folder import signature_of
from apiproxy.models import StoredImage
from gateway.lib.errors import Unavailable, UpstreamFailed
from tests.e2e.media import PNG, PNG_BASE64
from tests.e2e.processes import clean_environment

BUCKET = "pictures"
PUBLIC_BUCKET = "public-pictures"


@pytest.fixture
def folder(settings, tmp_path):
    chosen = settings.STORAGES["media"]
    options = {**chosen["OPTIONS"], "location": tmp_path}
    settings.STORAGES = {**settings.STORAGES, "media": {**chosen, "OPTIONS": options}}
    return tmp_path


@pytest.fixture(scope="session")
def s3_url():
    """A server that speaks S3, with an empty bucket and one that everybody may read."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    policy = {"Statement": [everybody | {"Resource": f"arn:aws:s3:::{PUBLIC_BUCKET}/*"}]}
    with httpx.Client(base_url=url, trust_env=False) as client:
        for name in (BUCKET, PUBLIC_BUCKET):
            client.put(f"/{name}").raise_for_status()
        client.put(f"/{PUBLIC_BUCKET}?policy", json=policy).raise_for_status()
    yield url
    server.stop()


def bucket(settings, s3_url, **options):
    usual = {
        "bucket_name": BUCKET,
        "endpoint_url": s3_url,
        "region_name": "us-east-1",
        "access_key": "id",
        "secret_key": "secret",
        "querystring_expire": 3600,
    }
    backend = {"BACKEND": "apiproxy.media_bucket.MediaBucket", "OPTIONS": usual | options}
    settings.STORAGES = {**settings.STORAGES, "media": backend}


def reply(*blobs, **more):
    parts = [{"inlineData": {"mimeType": mime, "data": data}, **more} for mime, data in blobs]
    return {"candidates": [{"content": {"parts": [{"text": "Here:"}, *parts]}}]}


async def hung(*replies, retention_s=3600.0):
    """The parts of the replies after their pictures were stored."""
    await Gallery(retention_s=retention_s).hang(
        list(replies), request_id="req_1", origin="https://gateway.example"
    )
    return [part for one in replies for part in one["candidates"][0]["content"]["parts"]]


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_pictures_give_way_to_links(folder, transactional_db):
    text, png, jpeg, odd = await hung(
        reply(("image/png", PNG_BASE64), ("image/jpeg", "AAAA"), ("image/svg+xml", "AAAA"))
    )
    assert text == {"text": "Here:"}
    assert png.keys() == {"fileData"}
    assert png["fileData"]["mimeType"] == "image/png"
    link = urlsplit(png["fileData"]["fileUri"])
    assert (link.scheme, link.netloc) == ("https", "gateway.example")
    # What could be run where it is opened has no extension that says so.
    names = [urlsplit(part["fileData"]["fileUri"]).path for part in (png, jpeg, odd)]
    assert [name.rpartition(".")[2] for name in names] == ["png", "jpg", "bin"]
    assert len({len(name) for name in names}) == 1
    assert sorted(path.read_bytes() for path in files_in(folder)) == sorted(
        [PNG, bytes(3), bytes(3)]
    )


async def test_thoughts_and_sounds_stay_where_they_are(folder, transactional_db):
    sketch = reply(("image/png", PNG_BASE64), thought=True)
    sound = reply(("audio/wav", "AAAA"))
    parts = await hung(sketch, sound)
    assert not any("fileData" in part for part in parts)
    assert files_in(folder) == []


async def test_a_picture_that_is_no_base64_is_the_upstreams_failure(folder, transactional_db):
    with pytest.raises(UpstreamFailed):
        await hung(reply(("image/png", "A")))


async def test_a_row_without_a_file_is_not_left(folder, transactional_db, monkeypatch):
    def full(name, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storages["media"], "_save", full)
    with pytest.raises(Unavailable):
        await hung(reply(("image/png", PNG_BASE64)))
    assert not await sync_to_async(StoredImage.objects.exists)()


async def test_half_a_file_does_not_stay_on_a_full_disk(folder, transactional_db, monkeypatch):
    def full(fd, flags):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("django.core.files.locks.lock", full)
    with pytest.raises(Unavailable):
        await hung(reply(("image/png", PNG_BASE64)))
    assert files_in(folder) == []


async def test_what_cannot_be_taken_back_is_left_to_the_retention(
    folder, transactional_db, monkeypatch
):
    def away(*arguments):
        raise OSError("the bucket did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(storages["media"], "_save", away)
        patch.setattr(storages["media"], "delete", away)
        with pytest.raises(Unavailable):
            await hung(reply(("image/png", PNG_BASE64)), retention_s=-1.0)
    assert await sync_to_async(delete_expired)() == 1


# ---------------------------------------------------------------------------- the view


def link_to(name, *, expires=4_000_000_000, signature=None):
    text = str(expires)
    query = {"expires": text, "signature": signature or signature_of(name, text)}
    return f"/media/{name}?{urlencode(query)}"


@pytest.fixture
def picture(folder):
    (folder / "ab").mkdir()
    (folder / "ab/abc.png").write_bytes(PNG)
    (folder / "ab/abc.bin").write_bytes(b"<script>")
    return "ab/abc.png"


def test_a_signed_link_shows_the_picture(client, picture):
    shown = client.get(link_to(picture))
    assert shown.status_code == 200
    assert b"".join(shown.streaming_content) == PNG
    assert shown["Content-Type"] == "image/png"
    looked = client.head(link_to(picture))
    looked.close()
    assert (looked.status_code, looked["Content-Length"]) == (200, str(len(PNG)))
    unknown = client.get(link_to("ab/abc.bin"))
    unknown.close()
    assert unknown["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("link", "status", "words"),
    [
        (link_to("ab/abc.png", signature="x" * 43), 403, "not made by this site"),
        ("/media/ab/abc.png", 403, "not made by this site"),
        (link_to("ab/abc.png").replace("4000000000", "4000000001"), 403, "not made by this site"),
        (link_to("ab/abc.png", expires=1), 404, "expired"),
        (link_to("ab/gone.png"), 404, "deleted"),
        (f"/media/../secret?{link_to('ab/abc.png').partition('?')[2]}", 403, "not made"),
    ],
    ids=["forged", "unsigned", "prolonged", "expired", "deleted", "elsewhere"],
)
def test_any_other_link_is_refused_in_words(client, picture, link, status, words):
    refused = client.get(link)
    assert refused.status_code == status
    assert words in refused.content.decode()
    assert refused["Content-Type"].startswith("text/plain")


def test_a_storage_that_cannot_be_read_is_said_so(client, picture, settings, monkeypatch):
    def locked(name, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storages["media"], "_open", locked)
    refused = client.get(link_to(picture))
    assert refused.status_code == 503
    assert "try again later" in refused.content.decode()
    bucket(settings, "http://127.0.0.1:9")
    assert client.get(link_to(picture)).status_code == 503


def test_a_link_is_not_for_posting(client, picture):
    assert client.post(link_to(picture)).status_code == 405


# ---------------------------------------------------------------------------- the end


async def expired(count=1):
    for _ in range(count):
        await hung(reply(("image/png", PNG_BASE64)), retention_s=-1.0)


async def test_file_and_row_go_when_their_time_is_over(folder, transactional_db):
    await expired(2)
    await hung(reply(("image/png", PNG_BASE64)))
    assert await sync_to_async(tasks.delete_expired_images)() == 2
    assert len(files_in(folder)) == 1
    row = await sync_to_async(StoredImage.objects.get)()
    assert row.expires_at > timezone.now() + timedelta(minutes=59)
    assert await sync_to_async(delete_expired)() == 0


async def test_a_file_that_is_gone_already_is_no_obstacle(folder, transactional_db):
    await expired()
    files_in(folder)[0].unlink()
    assert await sync_to_async(delete_expired)() == 1


async def test_a_storage_that_fails_keeps_the_row_for_the_next_time(
    folder, transactional_db, monkeypatch
):
    await expired(7)
    asked = []

    def refuse(name):
        asked.append(name)
        raise OSError("the bucket is away")

    with monkeypatch.context() as patch:
        patch.setattr(storages["media"], "delete", refuse)
        assert await sync_to_async(delete_expired)() == 0
    assert len(asked) == 5
    assert await sync_to_async(delete_expired)() == 7
    assert files_in(folder) == []


async def test_one_run_deletes_so_many_and_leaves_the_others_to_the_next(
    folder, transactional_db, monkeypatch
):
    monkeypatch.setattr("apiproxy.gallery._MOST_AT_ONCE", 2)
    await expired(3)
    assert [await sync_to_async(delete_expired)() for _ in range(3)] == [2, 1, 0]


# ---------------------------------------------------------------------------- a bucket


def fetched(url):
    return httpx.get(url, trust_env=False)


async def test_a_bucket_gives_signed_links_and_forgets_in_time(settings, s3_url, transactional_db):
    bucket(settings, s3_url)
    _, part = await hung(reply(("image/png", PNG_BASE64)), retention_s=-1.0)
    url = part["fileData"]["fileUri"]
    assert url.startswith(f"{s3_url}/{BUCKET}/")
    assert "X-Amz-Signature=" in url
    assert "X-Amz-Expires=3600" in url
    shown = fetched(url)
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    assert await sync_to_async(delete_expired)() == 1
    assert fetched(url).status_code == 404
    assert await sync_to_async(delete_expired)() == 0


async def test_a_public_address_is_not_signed(settings, s3_url, transactional_db):
    place = f"{urlsplit(s3_url).netloc}/{PUBLIC_BUCKET}"
    bucket(settings, s3_url, bucket_name=PUBLIC_BUCKET, custom_domain=place, url_protocol="http:")
    _, part = await hung(reply(("image/webp", PNG_BASE64)))
    url = part["fileData"]["fileUri"]
    assert url.startswith(f"http://{place}/")
    assert "?" not in url
    assert fetched(url).headers["content-type"] == "image/webp"


async def test_links_to_a_public_bucket_need_no_signature(settings, s3_url, transactional_db):
    bucket(settings, s3_url, bucket_name=PUBLIC_BUCKET, querystring_auth=False)
    _, part = await hung(reply(("image/png", PNG_BASE64)))
    assert "?" not in part["fileData"]["fileUri"]
    assert fetched(part["fileData"]["fileUri"]).content == PNG


async def test_a_bucket_that_is_away_or_missing_is_said_so(
    settings, s3_url, transactional_db, caplog
):
    bucket(settings, s3_url, bucket_name="another")
    with pytest.raises(Unavailable):
        await hung(reply(("image/png", PNG_BASE64)))
    bucket(settings, "http://127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        await hung(reply(("image/png", PNG_BASE64)))
    assert "127.0.0.1" not in caught.value.message
    assert "127.0.0.1" in caplog.text


SCRIPT = """
import json, sys
import django
django.setup()
import apiproxy.runtime, apiproxy.views
from django.core.files.storage import storages
from django.core.files.base import ContentFile
before = "boto3" in sys.modules
name = storages["media"].save("ab/abc.png", ContentFile(sys.stdin.buffer.read()))
print(json.dumps([before, "boto3" in sys.modules, storages["media"].url(name)]))
"""


def in_a_process(tmp_path, **variables):
    """[boto3 loaded by the proxy, loaded by storing, link]."""
    environment = clean_environment(
        DJANGO_SETTINGS_MODULE="gateway.settings.base",
        ENV_FILE="",
        DATA_DIR=str(tmp_path),
        **variables,
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=PNG,
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_only_a_site_with_a_bucket_loads_its_library(tmp_path):
    before, after, link = in_a_process(tmp_path)
    assert (before, after) == (False, False)
    assert link.startswith("/media/ab/abc.png?expires=")
    assert (tmp_path / "media/ab/abc.png").read_bytes() == PNG


def test_the_variables_name_a_bucket(tmp_path, s3_url):
    before, after, link = in_a_process(
        tmp_path,
        S3_BUCKET=BUCKET,
        S3_ENDPOINT_URL=s3_url,
        S3_ACCESS_KEY_ID="an-id",
        S3_SECRET_ACCESS_KEY="a-secret",
        MEDIA_LINK_HOURS="2",
    )
    assert (before, after) == (False, True)
    assert "X-Amz-Expires=7200" in link
    assert "an-id" in link
    assert fetched(link).content == base64.b64decode(PNG_BASE64)
