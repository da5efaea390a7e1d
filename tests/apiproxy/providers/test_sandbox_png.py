import struct
import zlib

import pytest

from apiproxy.providers.sandbox_png import png


def chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        yield kind, body
        at += 12 + length


@pytest.mark.parametrize(("width", "height"), [(1, 1), (8, 5)])
def test_a_valid_picture_of_the_colour(width, height):
    parts = dict(chunks(png(width, height, (200, 100, 50))))
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", parts[b"IHDR"]) == (width, height, 8, 2, 0, 0, 0)
    rows = zlib.decompress(parts[b"IDAT"])
    assert len(rows) == height * (1 + 3 * width)
    assert rows[:4] == b"\x00\xc8\x64\x32"
