"""Speech in chat answers: models give bare samples, which few players take (reference 5.2)."""

from __future__ import annotations

import base64
import re
import struct
from typing import Any

from apiproxy.dialects.content import as_written
from apiproxy.dialects.fields import as_object, as_text
from apiproxy.wire.types import Json, SoundFormat
from gateway.lib.errors import UpstreamFailed

_USUAL_RATE = 24_000
_CHANNELS = 1
_SAMPLE_BYTES = 2
_PCM = 1
_RATE = re.compile(r"rate=(\d{1,6})")
_SAMPLES = ("audio/l16", "audio/pcm")


def read_format(value: Any, *, stream: bool, dropped: list[str]) -> SoundFormat:
    """What `audio.format` of a request comes to: streams carry pcm16, whole answers that or wav."""
    if value is None:
        return "wav"
    wanted = as_object(value, "audio").get("format")
    chosen = "wav" if wanted is None else as_text(wanted, "audio.format")
    given: SoundFormat = "pcm16" if stream or chosen == "pcm16" else "wav"
    if wanted is not None and chosen != given:
        dropped.append(f"audio.format: {given} is given")
    return given


def data_of(blobs: list[Json], wanted: SoundFormat) -> str:
    """The sound of a whole answer, in base64. `blobs`: values of inlineData."""
    try:
        data = b"".join(base64.b64decode(as_written(blob.get("data"))) for blob in blobs)
    except ValueError as exc:
        raise UpstreamFailed("the upstream's sound cannot be read: try again") from exc
    mime_type = as_written(blobs[0].get("mimeType")).lower()
    if wanted == "wav" and mime_type.startswith(_SAMPLES):
        data = _wav_header(len(data), mime_type) + data
    return base64.b64encode(data).decode()


def _wav_header(size_bytes: int, mime_type: str) -> bytes:
    found = _RATE.search(mime_type)
    rate = int(found[1]) if found else _USUAL_RATE
    frame_bytes = _CHANNELS * _SAMPLE_BYTES
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + size_bytes, b"WAVE")
        + struct.pack("<4sIHH", b"fmt ", 16, _PCM, _CHANNELS)
        + struct.pack("<IIHH", rate, rate * frame_bytes, frame_bytes, 8 * _SAMPLE_BYTES)
        + struct.pack("<4sI", b"data", size_bytes)
    )
