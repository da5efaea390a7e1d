"""Credentials out of whatever people paste or upload."""

from __future__ import annotations

from collections.abc import Iterable

from credentials.importers import archive
from credentials.importers.found import Found, Item, Known, Unusable, file_name, shown_name
from credentials.importers.reading import Reading

__all__ = [
    "MAX_BYTES",
    "Found",
    "Item",
    "Known",
    "Unusable",
    "file_name",
    "is_beside_the_point",
    "parse",
    "parse_all",
]

MAX_BYTES = 64 * 1024 * 1024


def parse(name: str, data: bytes, password: str = "") -> list[Item]:
    """Every credential in a file or paste, and every piece of it that cannot be used, with the reason. Never raises."""
    return parse_all([(name, data)], password)


def parse_all(files: Iterable[tuple[str, bytes]], password: str = "") -> list[Item]:
    """The same for several files that belong together, as those of a folder: what one tells of a credential in another
    (gcli2api's states, a database's log) is joined. `password` opens ZIPs."""
    reading = Reading()
    for name, data in files:
        source = shown_name(name)
        if len(data) > MAX_BYTES:
            reading.refuse(source, f"more than {MAX_BYTES} bytes")
        elif not archive.is_archive(name, data):
            reading.take(source, data)
        else:
            _unpack(reading, source, data, password)
    return reading.items()


def _unpack(reading: Reading, source: str, data: bytes, password: str) -> None:
    empty = True
    for member in archive.files(source, data, password):
        empty = False
        if isinstance(member, Unusable):
            reading.refuse(member.source, member.reason)
        elif not is_beside_the_point(member[0]):
            reading.take(*member)
    if empty:
        reading.refuse(source, "an empty ZIP")


# Programs and pictures: in a whole deployment they are many, and long words in them are no keys.
_NO_DATA = (
    ".py",
    ".pyc",
    ".js",
    ".mjs",
    ".css",
    ".html",
    ".sh",
    ".ps1",
    ".bat",
    ".lock",
    ".png",
    ".jpg",
    ".svg",
    ".ico",
    ".db-shm",
    ".sqlite-shm",
    ".sqlite3-shm",
    ".log",
    ".yml",
    ".yaml",
)
_NO_DATA_FOLDERS = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".github"})


def is_beside_the_point(path: str) -> bool:
    """A file of a folder or ZIP that is passed over without a word."""
    parts = path.replace("\\", "/").split("/")
    return parts[-1].lower().endswith(_NO_DATA) or not _NO_DATA_FOLDERS.isdisjoint(parts)
