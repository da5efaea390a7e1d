from __future__ import annotations

import pytest

from apiproxy.wire import codec


@pytest.mark.parametrize(
    "text", ["\u2028", "\u2029", "\u0085", "a\u2028b\u0085", "\u2030", "Ã\u0085"]
)
def test_no_character_that_ends_a_line_leaves_raw(text):
    data = codec.dumps({"text": text})
    assert len(data.decode().splitlines()) == 1
    assert codec.loads(data) == {"text": text}


def test_what_the_fast_library_refuses_is_written_all_the_same():
    assert codec.dumps({"n": 2**80}) == b'{"n":' + str(2**80).encode() + b"}"
    assert codec.dumps("\ud83d") == b'"?"'


@pytest.mark.parametrize(
    "data", [b"NaN", b'"\\ud800"', b"{", b"", b'"\xff"', b"[" * 5000 + b"]" * 5000]
)
def test_strict_reading_refuses(data):
    with pytest.raises(codec.DecodeError):
        codec.loads(data)


@pytest.mark.parametrize(("data", "value"), [(b'"\xffa"', "\ufffda"), (b'"\\ud83da"', "?a")])
def test_lenient_reading_shows_what_can_be_shown(data, value):
    assert codec.loads_lenient(data) == value


def test_lenient_reading_still_needs_json():
    with pytest.raises(ValueError, match="Expecting"):
        codec.loads_lenient(b"<html>")
