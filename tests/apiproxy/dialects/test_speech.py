import base64
import io
import wave

import pytest

from apiproxy.dialects import speech
from gateway.lib.errors import InvalidRequest, UpstreamFailed

SAMPLES = "audio/L16;codec=pcm;rate=16000"


def blob(data, mime_type=SAMPLES):
    return {"mimeType": mime_type, "data": base64.b64encode(data).decode()}


def test_samples_get_a_header_that_players_read():
    data = base64.b64decode(speech.data_of([blob(b"\x01\x00"), blob(b"\x02\x00")], "wav"))
    with wave.open(io.BytesIO(data)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
        assert sound.readframes(9) == b"\x01\x00\x02\x00"


def test_the_usual_rate_where_none_is_said():
    data = base64.b64decode(speech.data_of([blob(b"\x01\x00", "audio/pcm")], "wav"))
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getframerate() == 24_000


def test_samples_stay_bare_where_they_are_asked_for():
    assert speech.data_of([blob(b"\x01"), blob(b"\x02")], "pcm16") == "AQI="


def test_what_is_a_file_already_stays_one():
    assert speech.data_of([blob(b"RIFF", "audio/wav")], "wav") == base64.b64encode(b"RIFF").decode()


def test_a_sound_that_is_no_base64_is_the_upstreams_failure():
    with pytest.raises(UpstreamFailed):
        speech.data_of([{"mimeType": SAMPLES, "data": "A"}], "wav")


@pytest.mark.parametrize(
    ("audio", "stream", "given", "noted"),
    [
        (None, False, "wav", 0),
        ({}, False, "wav", 0),
        ({"format": "wav"}, False, "wav", 0),
        ({"format": "pcm16"}, False, "pcm16", 0),
        ({"format": "mp3"}, False, "wav", 1),
        ({"format": "pcm16"}, True, "pcm16", 0),
        ({"format": "wav"}, True, "pcm16", 1),
    ],
)
def test_the_format_given(audio, stream, given, noted):
    dropped = []
    assert speech.read_format(audio, stream=stream, dropped=dropped) == given
    assert len(dropped) == noted


@pytest.mark.parametrize("audio", ["wav", {"format": 1}, []])
def test_a_malformed_format_is_refused(audio):
    with pytest.raises(InvalidRequest):
        speech.read_format(audio, stream=False, dropped=[])
