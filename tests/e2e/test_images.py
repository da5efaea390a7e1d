"""Pictures through the SDKs of OpenAI and Google, and their links over a socket of their own."""

from __future__ import annotations

import base64

import httpx
import openai
import pytest
from google.genai import types

from tests.e2e.dialects import only_sqlite
from tests.e2e.media import PNG, PNG_BASE64

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

MODEL = "gemini-2.5-flash-image"
THIRD_GENERATION = "gemini-3.1-flash-image"


def config_sent(google):
    return google.calls()[-1].body["generationConfig"]


def test_generate_in_base64(gateway, chat, google):
    gateway.lend("gemini_api")
    answer = chat.images.generate(model=MODEL, prompt="a cat", n=2, size="1536x1024")
    assert [image.b64_json for image in answer.data] == [PNG_BASE64] * 2
    assert answer.usage.total_tokens > 0
    assert config_sent(google)["imageConfig"] == {"aspectRatio": "3:2"}
    assert len(google.calls()) == 2
    # Two calls of a flash model.
    assert gateway.balance(chat.api_key)["used"] == 4


def test_generate_by_link(gateway, chat):
    gateway.lend("gemini_api")
    answer = chat.images.generate(model=MODEL, prompt="a cat", response_format="url")
    [image] = answer.data
    assert image.url.startswith(f"{gateway.url}/media/")
    shown = httpx.get(image.url, trust_env=False)
    assert (shown.status_code, shown.content) == (200, PNG)
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["x-content-type-options"] == "nosniff"
    forged = httpx.get(image.url[:-1] + "~", trust_env=False)
    assert forged.status_code == 403


def test_the_link_knows_the_proxy_in_front(gateway, http):
    gateway.lend("gemini_api")
    headers = {
        "authorization": f"Bearer {gateway.key()}",
        "host": "gateway.example",
        "x-forwarded-proto": "https",
    }
    body = {"model": MODEL, "prompt": "a cat", "response_format": "url"}
    answer = http.post("/v1/images/generations", json=body, headers=headers).json()
    assert answer["data"][0]["url"].startswith("https://gateway.example/media/")


def test_edit_two_pictures(gateway, chat, google):
    gateway.lend("gemini_api")
    files = [("one.png", PNG, "image/png"), ("two.png", PNG)]
    answer = chat.images.edit(model=MODEL, image=files, prompt="both in one", n=1)
    assert answer.data[0].b64_json == PNG_BASE64
    sent = google.calls()[-1].body["contents"][0]["parts"]
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}
    assert sent == [picture, picture, {"text": "both in one"}]


def test_edit_one_picture_from_an_address(gateway, chat, google, image_hosts, http):
    gateway.lend("gemini_api")
    body = {"model": MODEL, "prompt": "bluer", "image": f"http://{image_hosts[0]}/picture"}
    headers = {"authorization": f"Bearer {chat.api_key}"}
    assert http.post("/v1/images/edits", json=body, headers=headers).status_code == 200
    sent = google.calls()[-1].body["contents"][0]["parts"]
    assert sent[0] == {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}


def test_mistakes_are_the_sdks_own_exceptions(gateway, chat, google):
    gateway.lend("gemini_api")
    with pytest.raises(openai.BadRequestError, match="does not draw"):
        chat.images.generate(model="gemini-2.5-flash", prompt="a cat")
    with pytest.raises(openai.BadRequestError, match="mask"):
        chat.images.edit(model=MODEL, image=PNG, mask=PNG, prompt="a cat")
    assert google.calls() == []
    google.script("no_content", finish_reason="IMAGE_SAFETY")
    with pytest.raises(openai.BadRequestError, match="withheld"):
        chat.images.generate(model=MODEL, prompt="a cat")
    assert gateway.balance(chat.api_key)["used"] == 0


@only_sqlite
def test_a_client_that_leaves_ends_every_upstream_call(gateway, google):
    gateway.lend("gemini_api")
    google.script("silence", silence_s=20)
    body = {"model": MODEL, "prompt": "a cat", "n": 3}
    headers = {"authorization": f"Bearer {gateway.key()}"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{gateway.url}/v1/images/generations",
            json=body,
            headers=headers,
            timeout=httpx.Timeout(10, read=1),
            trust_env=False,
        )
    for call in google.wait_for_calls(3):
        google.wait_disconnected(call)


async def test_googles_sdk_draws_in_the_shape_it_names(gateway, gemini, google):
    gateway.lend("gemini_api")
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K"),
    )
    answer = await gemini.aio.models.generate_content(
        model=THIRD_GENERATION, contents="a cat", config=config
    )
    blobs = [part.inline_data for part in answer.candidates[0].content.parts if part.inline_data]
    assert [blob.data for blob in blobs] == [PNG]
    assert config_sent(google)["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "2K"}


@only_sqlite
@pytest.mark.parametrize("stream", [False, True])
async def test_a_picture_of_several_megabytes(gateway, gemini, google, stream):
    gateway.lend("gemini_api")
    data = bytes(range(256)) * 24_000
    google.script("image", image=base64.b64encode(data).decode())
    models = gemini.aio.models
    if stream:
        chunks = await models.generate_content_stream(model=MODEL, contents="a cat")
        parts = [part async for chunk in chunks for part in chunk.candidates[0].content.parts or []]
    else:
        answer = await models.generate_content(model=MODEL, contents="a cat")
        parts = answer.candidates[0].content.parts
    assert [part.inline_data.data for part in parts if part.inline_data] == [data]


@only_sqlite
def test_speech_is_a_file_that_players_read(gateway, chat):
    gateway.lend("gemini_api")
    answer = chat.chat.completions.create(
        model="gemini-2.5-flash-preview-tts",
        messages=[{"role": "user", "content": "Say hi"}],
        modalities=["text", "audio"],
        audio={"voice": "Kore", "format": "wav"},
    )
    sound = base64.b64decode(answer.choices[0].message.audio.data)
    assert (sound[:4], sound[8:12]) == (b"RIFF", b"WAVE")
    assert sound[44:] == bytes(4) + b"\x01\x00" + bytes(2)
