"""What an `sk-` key looks like, how it is made and how it is recognised. Pure.

A key is `sk-`, 12 characters of public id and 36 of secret, all base62: 71 bits to find the row by and 214 bits to
know. With that much chance in it a plain SHA-256 is a safe digest, and one that costs a call next to nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string

from msgspec import Struct

PREFIX = "sk-"
PUBLIC_ID_LENGTH = 12
SECRET_LENGTH = 36

_ALPHABET = string.digits + string.ascii_letters
_PUBLIC_ID = slice(len(PREFIX), len(PREFIX) + PUBLIC_ID_LENGTH)
_KEY_LENGTH = len(PREFIX) + PUBLIC_ID_LENGTH + SECRET_LENGTH


class MintedKey(Struct, frozen=True):
    """`key` is for its owner alone; only the other two are stored."""

    key: str
    public_id: str
    digest: str

    def __repr__(self) -> str:
        return f"MintedKey(public_id={self.public_id!r})"


def mint(public_id: str = "") -> MintedKey:
    """`public_id`: of the key that gets a new secret; a new one's own is drawn."""
    public_id = public_id or _draw(PUBLIC_ID_LENGTH)
    key = f"{PREFIX}{public_id}{_draw(SECRET_LENGTH)}"
    return MintedKey(key=key, public_id=public_id, digest=digest_of(key))


def public_id_of(key: str) -> str | None:
    """None when no key of ours looks like that: such a text needs no look at the database."""
    if len(key) != _KEY_LENGTH or not key.startswith(PREFIX):
        return None
    rest = key[len(PREFIX) :]
    if not (rest.isascii() and rest.isalnum()):
        return None
    return key[_PUBLIC_ID]


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def matches(key: str, digest: str) -> bool:
    """Takes the same time wherever the two differ."""
    return hmac.compare_digest(digest_of(key), digest)


def masked(public_id: str) -> str:
    """All that is ever shown of a key once it has been handed out."""
    return f"{PREFIX}{public_id}…"


def _draw(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
