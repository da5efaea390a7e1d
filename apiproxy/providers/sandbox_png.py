"""A small picture made of nothing but the standard library."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """One colour, darker towards the bottom; 8 bits a channel, no alpha."""
    rows = b"".join(_row(width, y / max(height - 1, 1), colour) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _row(width: int, depth: float, colour: tuple[int, int, int]) -> bytes:
    shade = bytes(int(channel * (1 - depth / 2)) for channel in colour)
    return b"\x00" + shade * width


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
