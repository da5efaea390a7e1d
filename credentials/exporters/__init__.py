"""Credentials as the files other programs read. A format is a module here and a line in FORMATS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from credentials.exporters import cliproxyapi, gcli2api, gemini_cli, keys, wellspring
from credentials.exporters.leaving import Leaving

__all__ = ["FORMATS", "Format", "Leaving"]


class Format(Protocol):
    """`LOCKED`: only ever as a ZIP with a password. `LIST`: one text with a line each, instead of a file each."""

    TITLE: str
    PROVIDERS: frozenset[str]
    LOCKED: bool
    LIST: bool

    def render(self, leaving: Leaving) -> bytes: ...


FORMATS: Mapping[str, Format] = {
    "wellspring": wellspring,
    "gcli2api": gcli2api,
    "cliproxyapi": cliproxyapi,
    "gemini_cli": gemini_cli,
    "keys": keys,
}
