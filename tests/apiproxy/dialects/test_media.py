import base64

import pytest

from apiproxy.dialects import media
from gateway.lib.errors import InvalidRequest

ODD = base64.b64encode(b"\xfb\xff\xfe~").decode()
"""Holds both characters in which the alphabets differ."""


@pytest.mark.parametrize(
    "written",
    [ODD, ODD.rstrip("="), ODD.replace("+", "-").replace("/", "_"), f" {ODD[:3]}\r\n{ODD[3:]}\n"],
)
def test_base64_is_brought_to_the_standard_form(written):
    part = media.inline("image/png", written, "at")
    assert part == {"inlineData": {"mimeType": "image/png", "data": ODD}}


@pytest.mark.parametrize("written", ["", "A", "AA=A", "A A%A", "ÄÄÄÄ", "===="])
def test_what_is_no_base64_is_refused(written):
    with pytest.raises(InvalidRequest) as caught:
        media.inline("image/png", written, "at")
    assert caught.value.param == "at"


@pytest.mark.parametrize(
    ("url", "mime", "data"),
    [
        ("data:image/jpg;base64,AAAA", "image/jpeg", "AAAA"),
        ("DATA:Image/PNG;name=a.png;BASE64,AAAA", "image/png", "AAAA"),
        ("data:;base64,AAAA", "text/plain", "AAAA"),
        ("data:text/plain,a%20b", "text/plain", "YSBi"),
    ],
)
def test_data_urls(url, mime, data):
    part = media.from_url(url, "at", [])
    assert part == {"inlineData": {"mimeType": mime, "data": data}}


def test_web_addresses_wait_to_be_fetched():
    remote = []
    part = media.from_url("HTTPS://pictures.example/a.png", "at", remote)
    assert part == {"fileData": {"fileUri": "HTTPS://pictures.example/a.png"}}
    assert remote[0] is part


@pytest.mark.parametrize("host", ["youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"])
def test_youtube_is_watched_by_the_model(host):
    remote = []
    media.from_url(f"https://{host}/watch?v=1", "at", remote)
    assert remote == []


def test_a_host_that_only_looks_like_youtube_is_fetched():
    remote = []
    media.from_url("https://youtube.com.example/watch", "at", remote)
    assert len(remote) == 1


@pytest.mark.parametrize(
    ("given", "mime"),
    [
        ("wav", "audio/wav"),
        ("MP3", "audio/mpeg"),
        ("ogg", "audio/ogg"),
        ("opus", "audio/ogg"),
        ("flac", "audio/flac"),
        ("aac", "audio/aac"),
        ("webm", "audio/webm"),
        ("aiff", "audio/aiff"),
        ("m4a", "audio/mp4"),
        ("pcm16", "audio/pcm"),
        ("g711", "audio/basic"),
        ("g711_ulaw", "audio/basic"),
        ("g711_alaw", "audio/basic"),
    ],
)
def test_audio_formats(given, mime):
    part = media.from_audio({"format": given, "data": "AAAA"}, "at")
    assert part["inlineData"]["mimeType"] == mime


def test_audio_in_a_data_url():
    part = media.from_audio({"format": "wav", "data": "data:audio/mp3;base64,AAAA"}, "at")
    assert part["inlineData"] == {"mimeType": "audio/mpeg", "data": "AAAA"}


def test_a_file_may_be_a_web_address():
    remote = []
    file = {"file_data": "https://papers.example/a.pdf", "filename": "a.pdf"}
    assert media.from_file(file, "at", remote) is remote[0]


def test_echoed_pictures_leave_the_text():
    text = (
        "a ![x](data:image/png;base64,AAAA+/=) b ![y](https://kept.example/a.png) [l](data:image/x)"
    )
    assert media.without_echoed_images(text) == (
        "a [image] b ![y](https://kept.example/a.png) [l](data:image/x)"
    )
