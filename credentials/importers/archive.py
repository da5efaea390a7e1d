"""The files in a ZIP, within bounds. Nothing is written to disk, so the names in it can do no harm."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator

from credentials.importers.found import Unusable, shown_name

MAX_FILES = 5_000
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_RATIO = 200
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_RATIO_FREE_BYTES = 64 * 1024
"""Below this size a file may be as repetitive as it likes."""

_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def is_archive(name: str, data: bytes) -> bool:
    return data.startswith(_SIGNATURES) or name.lower().endswith(".zip")


def files(name: str, data: bytes) -> Iterator[tuple[str, bytes] | Unusable]:
    """(shown name, content) of each file; Unusable for what is too big, nested, encrypted or damaged."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (*_UNREADABLE, ValueError):
        yield Unusable(name, "not a readable ZIP")
        return
    with archive:
        entries = [info for info in archive.infolist() if not _is_noise(info)]
        if len(entries) > MAX_FILES:
            yield Unusable(name, f"a ZIP may hold {MAX_FILES} files, this holds {len(entries)}")
            return
        total = 0
        for info in entries:
            shown = shown_name(f"{name}/{info.filename}")
            content = _content(archive, info, shown)
            if isinstance(content, Unusable):
                yield content
                continue
            total += len(content)
            if total > MAX_TOTAL_BYTES:
                yield Unusable(name, f"more than {MAX_TOTAL_BYTES} bytes unpacked; rest left out")
                return
            yield shown, content


def _is_noise(info: zipfile.ZipInfo) -> bool:
    return info.is_dir() or info.filename.startswith("__MACOSX/")


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, shown: str) -> bytes | Unusable:
    """Read at most one byte more than allowed: the sizes in the ZIP's own lists may lie."""
    try:
        with archive.open(info) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except _UNREADABLE:
        return Unusable(shown, "encrypted or damaged")
    if len(content) > MAX_FILE_BYTES:
        return Unusable(shown, f"more than {MAX_FILE_BYTES} bytes")
    packed = max(info.compress_size, 1)
    if len(content) > _RATIO_FREE_BYTES and len(content) > packed * MAX_RATIO:
        return Unusable(
            shown, f"packed more than {MAX_RATIO} times: no credential file is like that"
        )
    if is_archive(info.filename, content):
        return Unusable(shown, "a ZIP inside a ZIP: unpack it and import the inner one")
    return content
