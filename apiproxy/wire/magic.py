"""What kind of file some bytes are, by how they begin. Pure."""

from __future__ import annotations

import base64
import binascii

_MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"heic", 8, "image/heic"),
    (b"heix", 8, "image/heic"),
    (b"mif1", 8, "image/heif"),
    (b"%PDF-", 0, "application/pdf"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"fLaC", 0, "audio/flac"),
    (b"ftypmp4", 4, "video/mp4"),
    (b"ftypisom", 4, "video/mp4"),
)
# As base64 the longest beginning of the table, and whole groups of four characters.
_HEAD_CHARACTERS = 24


def mime_type_of(data: bytes) -> str:
    """Empty for what is none of those that a model takes."""
    for magic, offset, mime_type in _MAGIC:
        if data.startswith(magic, offset):
            return mime_type
    return ""


def mime_type_of_base64(text: str) -> str:
    """The same for a file in base64 of either alphabet; "" also where the text is none."""
    try:
        head = base64.b64decode(text.lstrip()[:_HEAD_CHARACTERS], altchars=b"-_")
    except (binascii.Error, ValueError):
        return ""
    return mime_type_of(head)
