import base64

import pytest

from apiproxy.wire.magic import mime_type_of, mime_type_of_base64

FILES = [
    (b"\x89PNG\r\n\x1a\n....", "image/png"),
    (b"\xff\xd8\xff\xe0....", "image/jpeg"),
    (b"GIF89a....", "image/gif"),
    (b"RIFF....WEBPVP8 ", "image/webp"),
    (b"....ftypheic....", "image/heic"),
    (b"%PDF-1.7", "application/pdf"),
    (b"RIFF....WAVEfmt ", "audio/wav"),
    (b"<html>", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("data", "mime_type"), FILES)
def test_a_file_is_what_it_begins_like(data, mime_type):
    assert mime_type_of(data) == mime_type
    padded = data + bytes(20)
    assert mime_type_of_base64(base64.b64encode(padded).decode()) == mime_type
    assert mime_type_of_base64(base64.urlsafe_b64encode(padded).decode()) == mime_type


@pytest.mark.parametrize("text", ["", "a", "é" * 30, "!!!!", "data:image/png;base64,iVBO"])
def test_what_is_no_base64_is_nothing(text):
    assert mime_type_of_base64(text) == ""
