"""Which of the formats a JSON value is in (rules of reference 1.6), at any depth of lists and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from credentials.importers import adc, api_keys, cliproxyapi, gcli2api, gemini_cli
from credentials.importers.found import Found, Item, Json, NotACredential, Unusable, shown_name

_MAX_DEPTH = 5
_OAUTH_FIELDS = frozenset({"refresh_token", "access_token", "client_id", "token", "expiry_date"})
_REFUSED_TYPES = {
    "service_account": "a service account is no user login; the Code Assist channel takes users only",
    "external_account": "a federated account is no user login; the Code Assist channel takes users only",
}
_CLIENT_FIELDS = ("installed", "web")


def read(value: Any, *, source: str) -> Iterator[Item]:
    """Credentials may stand alone, in lists, and in maps from a name to a credential or a key."""
    return _walk(value, source, depth=0, keys_expected=isinstance(value, list))


def _walk(value: Any, source: str, *, depth: int, keys_expected: bool) -> Iterator[Item]:
    if isinstance(value, dict) and (refusal := _refusal(value)):
        yield Unusable(source, refusal)
    elif isinstance(value, dict) and _OAUTH_FIELDS & value.keys():
        yield from _credential(value, source)
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        for name, member in value.items():
            shown, is_key = shown_name(f"{source}#{name}"), api_keys.is_key_name(name)
            yield from _walk(member, shown, depth=depth + 1, keys_expected=is_key)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for number, member in enumerate(value, start=1):
            shown = f"{source}#{number}"
            yield from _walk(member, shown, depth=depth + 1, keys_expected=keys_expected)
    elif isinstance(value, str):
        read_keys = api_keys.read if keys_expected else api_keys.read_certain
        yield from read_keys(value, source=source)


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
