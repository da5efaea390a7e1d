"""Credentials that a site is given by its environment: GCLI_CREDS_* and GOOGLE_CREDENTIALS (reference 1.7)."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import transaction
from msgspec import Struct, structs

from credentials.importers import Found, Item, Unusable, file_name, parse
from credentials.models import Credential
from credentials.services.storing import ImportResult, Outcome, import_items
from credentials.services.withdrawal import withdraw
from credentials.states import State
from gateway.lib import audit

PREFIX = "env-"
_VARIABLE = "GCLI_CREDS_"


class Loaded(Struct, frozen=True):
    """`results`: beside each, the variable it stood in."""

    results: list[tuple[str, ImportResult]]

    @property
    def usable(self) -> int:
        return sum(result.outcome is not Outcome.UNUSABLE for _, result in self.results)


def variables() -> list[str]:
    return list(settings.ENV_CREDENTIALS)


def names() -> list[str]:
    """Of the credentials that came in this way and were not taken back."""
    rows = Credential.objects.filter(name__startswith=PREFIX).exclude(state=State.WITHDRAWN)
    return list(rows.order_by("name").values_list("name", flat=True))


@transaction.atomic
def load(*, by: str, address: str = "") -> Loaded:
    """What is known already is only brought up to date, so it may be done at every start."""
    items = [(variable, item) for variable in variables() for item in _items(variable)]
    results = import_items(items=[item for _, item in items], by=by)
    loaded = Loaded(
        [(variable, result) for (variable, _), result in zip(items, results, strict=True)]
    )
    if any(result.outcome in (Outcome.NEW, Outcome.UPDATED) for result in results):
        audit.record(
            actor=by, address=address, action="credentials.load_environment", count=loaded.usable
        )
    return loaded


def load_at_start() -> int:
    """Where AUTO_LOAD_ENV_CREDS says so; how many there are."""
    if not settings.AUTO_LOAD_ENV_CREDS:
        return 0
    return load(by="environment").usable


@transaction.atomic
def forget(*, by: str, address: str = "") -> list[str]:
    """Withdraws those that came in this way, and gives their names."""
    rows = Credential.objects.filter(name__startswith=PREFIX).exclude(state=State.WITHDRAWN)
    gone = sorted(rows.values_list("name", flat=True))
    for pk in rows.values_list("pk", flat=True):
        withdraw(credential_id=pk, by=by)
    if gone:
        audit.record(
            actor=by, address=address, action="credentials.forget_environment", names=gone[:100]
        )
    return gone


def _items(variable: str) -> Iterator[Item]:
    suffix = variable.removeprefix(_VARIABLE)
    for item in parse(variable, _plain(settings.ENV_CREDENTIALS[variable])):
        if isinstance(item, Unusable):
            yield structs.replace(item, source=variable)
        else:
            yield structs.replace(item, source=variable, name=_name(suffix, item))


def _name(suffix: str, item: Found) -> str:
    now = int(time.time())
    if suffix.isdecimal():
        return file_name(f"{PREFIX}{item.project or 'login'}-{suffix}-{now}.json")
    return file_name(f"{PREFIX}{suffix.lower()}-{now}.json")


def _plain(value: str) -> bytes:
    """JSON as it stands, or in base64: some hosts take no quotes in a variable."""
    text = value.strip()
    if not text.startswith(("{", "[")):
        try:
            decoded = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            return text.encode()
        if decoded.lstrip().startswith((b"{", b"[")):
            return decoded
    return text.encode()
