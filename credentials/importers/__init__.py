"""Credentials out of whatever people paste or upload."""

from __future__ import annotations

import json
from typing import Any

from credentials.importers import api_keys, archive, detect
from credentials.importers.found import Found, Item, Unusable, shown_name

__all__ = ["MAX_BYTES", "Found", "Item", "Unusable", "parse"]

MAX_BYTES = 64 * 1024 * 1024


def parse(name: str, data: bytes) -> list[Item]:
    """Every credential in a file or paste, and every piece of it that cannot be used, with the reason. Never raises."""
    source = shown_name(name)
    if len(data) > MAX_BYTES:
        return [Unusable(source, f"more than {MAX_BYTES} bytes")]
    if not archive.is_archive(name, data):
        return _parse_file(source, data)
    items: list[Item] = []
    for member in archive.files(source, data):
        items += [member] if isinstance(member, Unusable) else _parse_file(*member)
    return items or [Unusable(source, "an empty ZIP")]


def _parse_file(source: str, data: bytes) -> list[Item]:
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return [Unusable(source, "neither UTF-8 text nor a ZIP")]
    if not text:
        return [Unusable(source, "an empty file")]
    items = _items(text, source)
    return items or [Unusable(source, "no API key and no credential of a known format in it")]


def _items(text: str, source: str) -> list[Item]:
    if text[0] not in "{[":
        return api_keys.read(text, source=source)
    if (values := _json_values(text)) is not None:
        return [item for value in values for item in detect.read(value, source=source)]
    # Long words of a broken file are as likely a client's secret as a key.
    return api_keys.read_certain(text, source=source) or [Unusable(source, "broken JSON")]


def _json_values(text: str) -> list[Any] | None:
    """The value of a JSON text, or of each of several that follow one another; None when it is broken."""
    decoder, values, at = json.JSONDecoder(), [], 0
    try:
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
    except (ValueError, RecursionError):
        return None
    return values
