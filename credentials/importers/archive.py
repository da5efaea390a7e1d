"""The files in a ZIP, within bounds. Nothing is written to disk, so the names in it can do no harm."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from struct import error as struct_error

import pyzipper

from credentials.importers.found import Unusable, shown_name

MAX_FILES = 5_000
MAX_ENTRIES = 50_000
"""Lines of the ZIP's own list, folders and noise too: that list is read whole before anything can be counted."""
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_DATABASE_BYTES = 48 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_RATIO = 200
DATABASES = (".db", ".db-wal", ".sqlite", ".sqlite-wal", ".sqlite3", ".sqlite3-wal", ".sql")
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_LIST_ENTRY = b"PK\x01\x02"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The others cannot be unpacked piece by piece: a kilobyte of them becomes gigabytes at once."""
_ENCRYPTED = 1
"""In the flags of a member."""
_RATIO_FREE_BYTES = 64 * 1024
"""Below this size a file may be as repetitive as it likes."""

_UNREADABLE = (
    zipfile.BadZipFile,
    pyzipper.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


def is_archive(name: str, data: bytes) -> bool:
    return data.startswith(_SIGNATURES) or name.lower().endswith(".zip")


def files(name: str, data: bytes, password: str = "") -> Iterator[tuple[str, bytes] | Unusable]:
    """(shown name, content) of each file; Unusable for what is too big, nested, locked or damaged."""
    if data.count(_LIST_ENTRY) > MAX_ENTRIES:
        yield Unusable(name, f"a ZIP may list {MAX_ENTRIES} files and folders, this lists more")
        return
    try:
        archive = pyzipper.AESZipFile(io.BytesIO(data))
    except (*_UNREADABLE, struct_error):
        yield Unusable(name, "not a readable ZIP")
        return
    with archive:
        if password:
            archive.setpassword(password.encode())
        entries = [info for info in archive.infolist() if not _is_noise(info.filename)]
        if len(entries) > MAX_FILES:
            yield Unusable(name, f"a ZIP may hold {MAX_FILES} files, this holds {len(entries)}")
            return
        total = 0
        for info in entries:
            shown = shown_name(f"{name}/{info.filename}")
            content = _content(archive, info, password)
            if isinstance(content, str):
                yield Unusable(shown, content)
                continue
            # What is refused was unpacked too: many refused files are as long a work as many good ones.
            total += len(content)
            if total > MAX_TOTAL_BYTES:
                yield Unusable(name, f"more than {MAX_TOTAL_BYTES} bytes unpacked; rest left out")
                return
            reason = _refusal(info, content)
            yield Unusable(shown, reason) if reason else (shown, content)


def is_database(name: str) -> bool:
    return name.lower().endswith(DATABASES)


def _is_noise(name: str) -> bool:
    return name.endswith("/") or name.startswith("__MACOSX/")


def _limit(info: zipfile.ZipInfo) -> int:
    return MAX_DATABASE_BYTES if is_database(info.filename) else MAX_FILE_BYTES


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, password: str) -> bytes | str:
    """At most one byte more than allowed, as the sizes in the ZIP's own list may lie; or why it cannot be read."""
    if info.compress_type not in _METHODS:
        return "packed in a way that is not read here: make the ZIP with the usual settings"
    try:
        with archive.open(info) as file:
            return file.read(_limit(info) + 1)
    except _UNREADABLE:
        return _why_locked(info, password)


def _refusal(info: zipfile.ZipInfo, content: bytes) -> str:
    if len(content) > _limit(info):
        return f"more than {_limit(info)} bytes"
    packed = max(info.compress_size, 1)
    if len(content) > _RATIO_FREE_BYTES and len(content) > packed * MAX_RATIO:
        return f"packed more than {MAX_RATIO} times: no credential file is like that"
    if is_archive(info.filename, content):
        return "a ZIP inside a ZIP: unpack it and import the inner one"
    return ""


def _why_locked(info: zipfile.ZipInfo, password: str) -> str:
    if not info.flag_bits & _ENCRYPTED:
        return "damaged"
    if not password:
        return "locked: give the password of the ZIP with it"
    return "locked with another password, or damaged"
