"""Drawing through the edge: OpenAI's image routes, the simple ones, links, and what each of them costs."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

import msgspec
import pytest
from asgiref.sync import sync_to_async
from django.core.files.storage import storages
from django.test import Client

from apiproxy.models import StoredImage
from tests.e2e.media import DATA_URL, PNG, PNG_BASE64

MODEL = "gemini-2.5-flash-image"
THIRD = "gemini-3-pro-image"
ONE_CALL = 2_000_000


@pytest.fixture
def media(settings, tmp_path):
    """An empty folder for stored pictures."""
    chosen = settings.STORAGES["media"]
    options = {**chosen["OPTIONS"], "location": tmp_path}
    settings.STORAGES = {**settings.STORAGES, "media": {**chosen, "OPTIONS": options}}
    return tmp_path


@pytest.fixture
def configure(edge, monkeypatch):
    """Other settings for the running process."""

    def change(**fields):
        config = msgspec.structs.replace(edge.runtime.config, **fields)
        monkeypatch.setattr(edge.runtime, "config", config)

    return change


async def draw(edge, key, path="/v1/images/generations", headers=None, **fields):
    body = {"prompt": "a cat", **fields}
    return await edge.post(path, body, key=key.text, headers=headers)


def config_sent(fake):
    return fake.calls()[-1].body["generationConfig"]


def parts_sent(fake):
    return fake.calls()[-1].body["contents"][0]["parts"]


async def test_a_picture_in_base64(edge, fake, lent, key):
    answer = await draw(edge, key, size="1536x1024", background="transparent")
    assert answer.status == 200
    assert answer.json.keys() == {"created", "data", "output_format", "usage"}
    [image] = answer.json["data"]
    assert image == {"b64_json": PNG_BASE64, "revised_prompt": "Here is the picture."}
    assert answer.json["output_format"] == "png"
    usage = answer.json["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert fake.calls()[0].model == MODEL
    assert config_sent(fake) == {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {"aspectRatio": "3:2"},
    }
    log = await edge.log(answer)
    assert log.dropped == ["background"]
    assert (await edge.receipt(answer)).settled_micros == ONE_CALL


async def test_the_default_model_is_a_setting(edge, fake, lent, key, configure):
    configure(default_image_model=THIRD)
    assert (await draw(edge, key, quality="high")).status == 200
    assert fake.calls()[0].model == THIRD
    assert config_sent(fake)["imageConfig"] == {"imageSize": "4K"}


async def test_without_a_credential_a_model_must_be_named(edge, key):
    answer = await draw(edge, key)
    assert (answer.status, answer.json["error"]["param"]) == (400, "model")
    assert (await draw(edge, key, model="sandbox-image")).status == 200


async def test_each_picture_is_a_call_of_its_own_and_has_its_price(edge, fake, lent, key):
    answer = await draw(edge, key, n=3)
    assert [image["b64_json"] for image in answer.json["data"]] == [PNG_BASE64] * 3
    assert len(fake.calls()) == 3
    receipt = await edge.receipt(answer)
    assert (receipt.reserved_micros, receipt.settled_micros) == (3 * ONE_CALL, 3 * ONE_CALL)
    one = (await draw(edge, key)).json["usage"]
    assert answer.json["usage"]["total_tokens"] == 3 * one["total_tokens"]
    assert len((await edge.log(answer)).attempts) == 3


async def test_what_came_is_delivered_and_only_that_is_charged(edge, fake, lent, key):
    fake.script("error", error="bad_request", times=1)
    fake.script("text", text="I would rather not.", times=1)
    answer = await draw(edge, key, n=4)
    assert len(answer.json["data"]) == 2
    receipt = await edge.receipt(answer)
    assert (receipt.reserved_micros, receipt.settled_micros) == (4 * ONE_CALL, 2 * ONE_CALL)
    assert await edge.proves()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"scenario": "text", "text": "I would rather not."}, "it said: I would rather not."),
        ({"scenario": "no_content", "finish_reason": "NO_IMAGE"}, "drew nothing"),
        ({"scenario": "no_content", "finish_reason": "IMAGE_SAFETY"}, "withheld"),
        ({"scenario": "blocked_prompt"}, "The prompt was blocked"),
    ],
    ids=["text", "no image", "safety", "blocked"],
)
@pytest.mark.parametrize("n", [1, 2])
async def test_no_picture_is_an_error_in_words_and_costs_nothing(
    edge, fake, lent, key, script, words, n
):
    fake.script(**script)
    answer = await draw(edge, key, n=n)
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
    assert (await edge.receipt(answer)).settled_micros == 0


async def test_sketches_among_the_thoughts_are_no_results(edge, fake, lent, key):
    fake.script("image", thought_image=True)
    assert len((await draw(edge, key)).json["data"]) == 1


async def test_the_size_in_a_models_name(edge, fake, lent, key):
    assert (await draw(edge, key, model=f"{THIRD}-2k")).status == 200
    assert config_sent(fake)["imageConfig"] == {"imageSize": "2K"}


# ---------------------------------------------------------------------------- links


async def fetch(url):
    parts = urlsplit(url)
    return await sync_to_async(Client().get)(f"{parts.path}?{parts.query}")


async def test_a_picture_by_link(edge, lent, key, media):
    headers = {"host": "gateway.example:8443"}
    answer = await draw(edge, key, response_format="url", headers=headers)
    [image] = answer.json["data"]
    assert image.keys() == {"url", "revised_prompt"}
    assert image["url"].startswith("http://gateway.example:8443/media/")
    shown = await fetch(image["url"])
    assert b"".join(shown.streaming_content) == PNG
    assert shown["Content-Type"] == "image/png"
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown["Content-Security-Policy"]
    row = await sync_to_async(StoredImage.objects.get)()
    assert (row.request_id, row.size_bytes) == (answer.headers["x-request-id"], len(PNG))
    [file] = [path for path in media.rglob("*") if path.is_file()]
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_public_address_goes_before_the_requests(edge, lent, key, media, configure):
    configure(public_url="https://pictures.example/g")
    answer = await draw(edge, key, response_format="url")
    assert answer.json["data"][0]["url"].startswith("https://pictures.example/g/media/")


async def test_without_a_host_there_is_no_link_and_nobody_is_asked_to_draw(edge, fake, lent, key):
    answer = await draw(edge, key, response_format="url")
    assert answer.status == 400
    assert "Host header" in answer.json["error"]["message"]
    assert fake.calls() == []


async def test_a_storage_that_fails_costs_nothing_and_is_no_riddle(
    edge, lent, key, media, monkeypatch, caplog
):
    monkeypatch.setattr(storages["media"], "_save", _full)
    answer = await draw(edge, key, response_format="url", n=2, headers={"host": "a"})
    assert answer.status == 503
    assert "base64" in answer.json["error"]["message"]
    assert "No space left" not in answer.body.decode()
    assert "No space left" in caplog.text
    assert (await edge.receipt(answer)).settled_micros == 0
    assert await sync_to_async(StoredImage.objects.count)() == 0


def _full(name, content):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [False, True])
async def test_chats_link_pictures_where_the_site_says_so(
    edge, lent, key, media, configure, stream
):
    configure(chat_image_delivery="url")
    answer = await edge.exchange(
        "POST",
        "/v1/chat/completions",
        key=key.text,
        body={
            "model": MODEL,
            "messages": [{"role": "user", "content": "a cat"}],
            "stream": stream,
        },
        headers={"host": "gateway.example"},
    ).run()
    text = answer.body.decode()
    link = text.partition("![image](")[2].partition(")")[0]
    assert link.startswith("http://gateway.example/media/")
    assert PNG_BASE64 not in text
    assert b"".join((await fetch(link)).streaming_content) == PNG


# ---------------------------------------------------------------------------- edits


def form(files, **fields):
    boundary = "a-boundary"
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    ]
    for name, data in files:
        head = f'content-disposition: form-data; name="{name}"; filename="x.bin"\r\n'
        head += "content-type: application/octet-stream\r\n\r\n"
        parts.append(f"--{boundary}\r\n{head}".encode() + data + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/images/edit"])
async def test_a_form_with_two_pictures(edge, fake, lent, key, path):
    body, headers = form([("image[]", PNG), ("image[]", PNG)], prompt="both", n="2", stream="false")
    answer = await edge.post(path, body, key=key.text, headers=headers)
    assert len(answer.json["data"]) == 2
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}
    assert parts_sent(fake) == [picture, picture, {"text": "both"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"image": DATA_URL},
        {"image": PNG_BASE64},
        {"image": [PNG_BASE64]},
        {"images": [{"image_url": DATA_URL}]},
        {"image": {"url": DATA_URL}},
        {"image": {"b64_json": PNG_BASE64}},
    ],
    ids=["data url", "base64", "list", "images", "object", "b64"],
)
async def test_a_picture_in_json(edge, fake, lent, key, fields):
    answer = await draw(edge, key, "/v1/images/edits", **fields)
    assert answer.status == 200
    assert parts_sent(fake)[0]["inlineData"] == {"mimeType": "image/png", "data": PNG_BASE64}


async def test_a_picture_by_address_is_fetched(edge, fake, lent, key):
    answer = await draw(edge, key, "/v1/images/edits", image="http://127.0.0.1:9/x.png")
    assert answer.status == 400
    assert "not public" in answer.json["error"]["message"]
    assert fake.calls() == []


BAD_FORMS = [
    (form([("image", b"no picture")], prompt="x"), "image"),
    (form([], prompt="x"), "image"),
    (form([("image", PNG)]), "prompt"),
    (form([("image", PNG), ("mask", PNG)], prompt="x"), "mask"),
    (form([("image", PNG)] * 17, prompt="x"), "image"),
    (form([("image", PNG)] * 150, prompt="x"), None),
    (form([("image", PNG)], prompt="x", n="11"), "n"),
    (form([("image", PNG)], prompt="x", stream="true"), "stream"),
    ((b"{}", {"content-type": "multipart/form-data"}), None),
    ((b"--b\r\nrubbish", {"content-type": "multipart/form-data; boundary=b"}), "image"),
]


@pytest.mark.parametrize(("sent", "param"), BAD_FORMS, ids=range(len(BAD_FORMS)))
async def test_a_bad_form_is_refused_in_words(edge, fake, lent, key, sent, param):
    body, headers = sent
    answer = await edge.post("/v1/images/edits", body, key=key.text, headers=headers)
    assert answer.status == 400, answer.body
    assert answer.json["error"]["param"] == param
    assert fake.calls() == []


async def test_a_form_with_a_picture_among_its_texts_is_told_where_pictures_go(edge, key):
    body, headers = form([], prompt="x", image="data:image/png;base64," + "A" * 3_000_000)
    answer = await edge.post("/v1/images/edits", body, key=key.text, headers=headers)
    assert answer.status == 400
    assert "as files" in answer.json["error"]["message"]


async def test_variations_are_explained(edge, key):
    answer = await edge.post("/v1/images/variations", b"", key=key.text)
    assert answer.status == 400
    assert "/v1/images/edits" in answer.json["error"]["message"]


# ---------------------------------------------------------------------------- simple


async def test_simple_text(edge, fake, lent, key):
    body = {"prompt": "hello", "system": "Be brief.", "temperature": 0.5}
    answer = await edge.post("/v1/generate", body, key=key.text)
    assert answer.json.keys() == {"text", "model", "usage"}
    assert answer.json["text"] == "You said: hello"
    assert answer.json["model"] == "gemini-2.5-flash"
    [call] = fake.calls()
    assert call.body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert call.body["generationConfig"]["temperature"] == 0.5


async def test_simple_pictures(edge, fake, lent, key, media):
    answer = await draw(edge, key, "/v1/generate-images", count=2)
    assert answer.json["images"] == [DATA_URL] * 2
    assert answer.json["model"] == MODEL
    answer = await draw(
        edge, key, "/v1/generate-images", response_type="url", image=DATA_URL, headers={"host": "a"}
    )
    assert answer.json["images"][0].startswith("http://a/media/")
    assert "inlineData" in parts_sent(fake)[0]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/generate", {}, "prompt"),
        ("/v1/generate", {"prompt": "x", "stream": True}, "stream"),
        ("/v1/generate", {"prompt": 5}, "prompt"),
        ("/v1/generate-images", {"prompt": "x", "count": 11}, "count"),
        ("/v1/generate-images", {"prompt": "x", "response_type": "png"}, "response_type"),
        ("/v1/generate-images", {"prompt": "x", "model": "gemini-2.5-flash"}, "model"),
        ("/v1/images/generations", {"prompt": " "}, "prompt"),
        ("/v1/images/generations", {"prompt": "x", "partial_images": 2}, "partial_images"),
        ("/v1/images/generations", {"prompt": "x", "size": "huge"}, "size"),
        ("/v1/images/generations", {"prompt": "x", "n": 0}, "n"),
        ("/v1/images/edits", {"prompt": "x", "image": {"file_id": "f"}}, "image.file_id"),
        ("/v1/images/edits", {"prompt": "x", "image": "no base64"}, "image"),
    ],
)
async def test_bad_bodies_name_their_field(edge, fake, lent, key, path, body, param):
    answer = await edge.post(path, body, key=key.text)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert fake.calls() == []


async def test_a_text_is_blocked_in_words(edge, fake, lent, key):
    fake.script("blocked_prompt")
    answer = await edge.post("/v1/generate", {"prompt": "x"}, key=key.text)
    assert answer.status == 400
    assert "blocked" in json.loads(answer.body)["error"]["message"]


async def test_a_picture_of_several_megabytes_passes_in_one_line(edge, fake, lent, key):
    data = base64.b64encode(bytes(6_000_000)).decode()
    fake.script("image", image=data)
    answer = await draw(edge, key)
    assert answer.json["data"][0]["b64_json"] == data
    streamed = await edge.chat(key.text, model=MODEL, stream=True)
    assert data in streamed.body.decode()


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_chats_link_pictures_too(edge, lent, key, media, configure, stream):
    configure(chat_image_delivery="url")
    body = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "a cat"}],
        "stream": stream,
    }
    answer = await edge.post("/v1/messages", body, key=key.text, headers={"host": "a"})
    assert "](http://a/media/" in answer.body.decode()
    assert PNG_BASE64 not in answer.body.decode()


async def test_native_answers_carry_their_pictures(edge, lent, key, media, configure):
    configure(chat_image_delivery="url")
    body = {"contents": [{"parts": [{"text": "a cat"}]}]}
    answer = await edge.post(f"/v1beta/models/{MODEL}:generateContent", body, key=key.text)
    parts = answer.json["candidates"][0]["content"]["parts"]
    assert parts[-1]["inlineData"]["data"] == PNG_BASE64
