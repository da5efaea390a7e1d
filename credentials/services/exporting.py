"""Credentials leave: for operators only, who is written down each time. Nothing of it is laid on disk here: what is made is
sent while it is made.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pyzipper
from django.db.models import Prefetch
from django.utils import timezone
from msgspec import Struct

from credentials.exporters import FORMATS, Format, Leaving
from credentials.importers.detect import OUR_MANIFEST
from credentials.models import Credential, ModelState, Provider, epoch
from credentials.services.refreshing import oauth_client_of
from credentials.states import RESTING, State
from gateway.lib import audit
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import Conflict, InvalidRequest, RateLimited

PER_HOUR = 60
"""Exports and downloads of one person."""
MIN_PASSWORD = 12
MANIFEST = "manifest.txt"
"""JSON inside. Not called so: gcli2api takes every .json of a ZIP for a credential."""

_ACTION = "credentials.export"
_CHUNK = 200
_WORDS = "abcdefghjkmnpqrstuvwxyz23456789"


class Export(Struct, frozen=True):
    """`chunks` can be read once. `count`: how many go out; the others stand in the manifest."""

    file_name: str
    content_type: str
    chunks: Iterator[bytes]
    count: int

    def __repr__(self) -> str:
        return f"Export({self.file_name!r}, {self.count})"


def new_password() -> str:
    """Five groups of four: a hundred bits, and nothing in it looks like something else."""
    groups = ["".join(secrets.choice(_WORDS) for _ in range(4)) for _ in range(5)]
    return "-".join(groups)


def export(
    *,
    credential_ids: Sequence[int],
    format: str,
    actor: str,
    password: str = "",
    address: str = "",
    alone: bool = False,
) -> Export:
    """Recorded before the first byte. `alone`: the one credential as its bare file. Raises InvalidRequest, Conflict when
    there is nothing to give, and RateLimited.
    """
    shape = FORMATS.get(format)
    if shape is None:
        raise InvalidRequest(f"Formats are {', '.join(FORMATS)}.", param="format")
    _check_password(shape, password)
    _check_rate(actor)
    ids = sorted(set(credential_ids))
    count = _givable(ids, shape)
    if not count:
        raise Conflict(
            "None of these can leave in this format: they were taken back, or are of another kind."
        )
    audit.record(
        actor=actor,
        address=address,
        action=_ACTION,
        subject=f"{count} credentials" if count > 1 else f"credential {ids[0]}",
        format=format,
        locked=bool(password),
        ids=ids[:100],
        count=count,
    )
    if alone:
        (row,) = _rows(ids)
        content, reason = _rendered(row, shape)
        if reason:
            raise Conflict(f"It cannot leave: {reason}.")
        return Export(row.name, "application/json", iter([content]), count)
    if shape.LIST and not password:
        return Export("gemini-api-keys.txt", "text/plain; charset=utf-8", _lines(ids, shape), count)
    stamp = timezone.now().strftime("%Y%m%d-%H%M")
    chunks = _zipped(ids, shape, password)
    return Export(f"credentials-{format}-{stamp}.zip", "application/zip", chunks, count)


def build(
    *,
    credential_ids: Sequence[int],
    format: str,
    actor: str,
    password: str = "",
) -> bytes:
    """The whole file in memory."""
    made = export(credential_ids=credential_ids, format=format, actor=actor, password=password)
    return b"".join(made.chunks)


def _check_password(shape: Format, password: str) -> None:
    if password and len(password) < MIN_PASSWORD:
        raise InvalidRequest(
            f"A password of a ZIP has at least {MIN_PASSWORD} characters: whoever finds the file can try as often as they "
            "like.",
            param="password",
        )
    if shape.LOCKED and not password:
        raise InvalidRequest("A backup is always locked: give it a password.", param="password")


def _check_rate(actor: str) -> None:
    since = timezone.now() - timedelta(hours=1)
    recent = audit.AuditEntry.objects.filter(actor=actor[:150], action=_ACTION, at__gte=since)
    if recent.count() >= PER_HOUR:
        raise RateLimited(
            f"{PER_HOUR} exports an hour are enough for anybody: come back later.",
            retry_after_s=600.0,
        )


def _givable(ids: Sequence[int], shape: Format) -> int:
    """Of the unreadable ones it is found out only on the way."""
    return sum(
        Credential.objects.filter(pk__in=ids[start : start + _CHUNK], provider__in=shape.PROVIDERS)
        .exclude(state=State.WITHDRAWN)
        .count()
        for start in range(0, len(ids), _CHUNK)
    )


def _rows(ids: Sequence[int]) -> Iterator[Credential]:
    states = Prefetch("model_states", ModelState.objects.filter(state__in=RESTING))
    for start in range(0, len(ids), _CHUNK):
        some = Credential.objects.filter(pk__in=ids[start : start + _CHUNK])
        yield from some.prefetch_related(states).order_by("pk")


def _leaving(row: Credential, *, filled: bool) -> Leaving:
    """`filled`: with the site's OAuth client where the login names none; a backup keeps it as it is. Raises
    SecretUnreadable."""
    secret = row.secret.open()
    client = ("", "")
    if row.provider == Provider.CODE_ASSIST:
        own = (secret.get("client_id", ""), secret.get("client_secret", ""))
        client = oauth_client_of(secret) if filled else own
    return Leaving(
        name=row.name,
        provider=row.provider,
        secret=dict(secret),
        client=client,
        project=row.project_id,
        email=row.email,
    )


def _why_not(row: Credential, shape: Format) -> str:
    if row.state == State.WITHDRAWN:
        return "taken back by its contributor"
    if row.provider not in shape.PROVIDERS:
        return "of a kind that this format does not know"
    return ""


def _rendered(row: Credential, shape: Format) -> tuple[bytes, str]:
    """(content, why it is left out): one of them is empty."""
    if reason := _why_not(row, shape):
        return b"", reason
    try:
        return shape.render(_leaving(row, filled=not shape.LOCKED)), ""
    except SecretUnreadable:
        return b"", "sealed with a key that is missing from ENCRYPTION_KEYS"


def _lines(ids: Sequence[int], shape: Format) -> Iterator[bytes]:
    for row in _rows(ids):
        content, _ = _rendered(row, shape)
        if content:
            yield content


class _Outbox:
    """What the ZIP writes, until it is sent; it cannot be sought in."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def _zipped(ids: Sequence[int], shape: Format, password: str) -> Iterator[bytes]:
    outbox = _Outbox()
    told: dict[str, Any] = {}
    left_out: list[dict[str, Any]] = []
    lines = bytearray()
    with pyzipper.AESZipFile(
        outbox,
        "w",
        compression=pyzipper.ZIP_DEFLATED,
        encryption=pyzipper.WZ_AES if password else None,
    ) as archive:
        if password:
            archive.setpassword(password.encode())
        for row in _rows(ids):
            content, reason = _rendered(row, shape)
            if reason:
                left_out.append({"name": row.name, "label": row.label, "reason": reason})
                continue
            told[row.name] = _told(row)
            if shape.LIST:
                lines += content
                continue
            archive.writestr(row.name, content)
            yield outbox.take()
        if lines:
            archive.writestr("gemini-api-keys.txt", bytes(lines))
        archive.writestr(MANIFEST, _manifest(told, left_out))
    yield outbox.take()


def _manifest(told: dict[str, Any], left_out: list[dict[str, Any]]) -> str:
    facts = {
        OUR_MANIFEST: 1,
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "credentials": told,
        "left_out": left_out,
    }
    return json.dumps(facts, ensure_ascii=False, indent=1)


def _told(row: Credential) -> dict[str, Any]:
    """As `credentials.importers.standings.known_of` reads it."""
    return {
        "state": row.state,
        "disabled": row.state == State.DISABLED,
        "state_reason": row.state_reason,
        "state_until": epoch(row.state_until),
        "help_url": row.help_url,
        "user_email": row.email,
        "label": row.label,
        "tier": row.tier,
        "preview": row.preview,
        "weight": row.weight,
        "tags": row.tags,
        "model_cooldowns": {
            state.model: epoch(state.until) for state in row.model_states.all() if state.until
        },
    }
