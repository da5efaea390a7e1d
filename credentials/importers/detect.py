"""Which of the formats a JSON value is in (rules of reference 1.6), at any depth of lists and maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from credentials.importers import adc, api_keys, cliproxyapi, gcli2api, gemini_cli
from credentials.importers.found import (
    Found,
    Item,
    Json,
    Known,
    NotACredential,
    Unusable,
    file_name,
    shown_name,
)
from credentials.importers.standings import FIELDS, known_of, with_known

OUR_KEY_TYPE = "gemini_api_key"
OUR_MANIFEST = "wellspring_export"

_MAX_DEPTH = 5
_OAUTH_FIELDS = frozenset({"refresh_token", "access_token", "client_id", "token", "expiry_date"})
_REFUSED_TYPES = {
    "service_account": "a service account is no user login; the Code Assist channel takes users only",
    "external_account": "a federated account is no user login; the Code Assist channel takes users only",
}
_CLIENT_FIELDS = ("installed", "web")


class Aside(Struct, frozen=True):
    """What a file tells of a credential that stands in another file of that name."""

    name: str
    known: Known


Piece = Item | Aside


def read(value: Any, *, source: str) -> Iterator[Piece]:
    """Credentials may stand alone, in lists, and in maps from a name to a credential or a key."""
    return _walk(value, source, depth=0, keys_expected=isinstance(value, list))


def _walk(
    value: Any, source: str, *, depth: int, keys_expected: bool, name: str = ""
) -> Iterator[Piece]:
    if isinstance(value, dict):
        yield from _mapping(value, source, depth=depth, name=name)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for number, member in enumerate(value, start=1):
            shown = f"{source}#{number}"
            yield from _walk(member, shown, depth=depth + 1, keys_expected=keys_expected)
    elif isinstance(value, str) and len(value) >= api_keys.SHORTEST:
        read_keys = api_keys.read if keys_expected else api_keys.read_certain
        yield from read_keys(value, source=source)


def _mapping(value: Json, source: str, *, depth: int, name: str) -> Iterator[Piece]:
    if refusal := _refusal(value):
        yield Unusable(source, refusal)
    elif OUR_MANIFEST in value and isinstance(value.get("credentials"), dict):
        yield from _asides(value["credentials"])
    elif "credential_data" in value:
        yield from row(value, source=source)
    elif isinstance(value.get("credential"), dict) and isinstance(value.get("state"), dict):
        known = known_of(value["state"])
        yield from _named(_credential(value["credential"], source), known, name)
    elif value.get("type") == OUR_KEY_TYPE:
        keys = api_keys.read(str(value.get("api_key", "")), source=source)
        yield from _named(keys, known_of(value), name)
    elif _OAUTH_FIELDS & value.keys():
        yield from _named(_credential(value, source), _told_in(value), name)
    elif name and FIELDS & value.keys():
        yield Aside(name, known_of(value))
    elif depth < _MAX_DEPTH:
        for key, member in value.items():
            shown, is_key = shown_name(f"{source}#{key}"), api_keys.is_key_name(key)
            file = file_name(key) if key.endswith(".json") else ""
            yield from _walk(member, shown, depth=depth + 1, keys_expected=is_key, name=file)


def row(value: Json, *, source: str) -> Iterator[Item]:
    """A row or document of gcli2api's `credentials`: the file as JSON beside its name and state."""
    content = value["credential_data"]
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            content = None
    if not isinstance(content, dict):
        yield Unusable(source, "its credential_data is no JSON object")
        return
    if refusal := _refusal(content):
        yield Unusable(source, refusal)
        return
    name = value.get("filename")
    known = known_of(value)
    yield from _named(
        _credential(content, source), known, file_name(name) if isinstance(name, str) else ""
    )


def _told_in(value: Json) -> Known:
    """A file may hold its state itself: gcli2api's creds.toml does."""
    return known_of(value) if FIELDS & value.keys() else Known()


def _named(items: Iterator[Item], known: Known, name: str) -> Iterator[Item]:
    for item in items:
        yield with_known(item, known, name) if isinstance(item, Found) else item


def _asides(states: Json) -> Iterator[Aside]:
    for name, fields in states.items():
        if isinstance(fields, dict) and (file := file_name(name)):
            yield Aside(file, known_of(fields))


def _refusal(value: Json) -> str:
    for field in _CLIENT_FIELDS:
        inner = value.get(field)
        if isinstance(inner, dict) and "client_secret" in inner:
            return (
                "an OAuth client, not a login: its id and secret belong into "
                "GOOGLE_OAUTH_CLIENT_ID and GOOGLE_OAUTH_CLIENT_SECRET"
            )
    kind = value.get("type")
    return _REFUSED_TYPES.get(kind, "") if isinstance(kind, str) else ""


def _credential(value: Json, source: str) -> Iterator[Item]:
    try:
        yield from _reader(value)(value, source=source)
    except NotACredential as exc:
        yield Unusable(source, str(exc))


def _reader(value: Json) -> Callable[..., list[Found]]:
    if isinstance(value.get("token"), dict):
        return cliproxyapi.read
    if "expiry_date" in value and not isinstance(value.get("token"), str):
        return gemini_cli.read
    if value.get("type") == "authorized_user" and not (
        value.get("token") or value.get("access_token")
    ):
        return adc.read
    return gcli2api.read
