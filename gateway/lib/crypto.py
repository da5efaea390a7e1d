"""Encryption at rest: MultiFernet over `ENCRYPTION_KEYS`, newest first; old keys still decrypt."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class SecretUnreadable(Exception):
    """A stored secret fits none of the keys in use."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str, keys: list[str]) -> str:
    return _fernet(tuple(keys)).encrypt(text.encode()).decode()


def decrypt(token: str, keys: list[str]) -> str:
    """Raises SecretUnreadable; nothing is overwritten, so giving the right key back mends it."""
    try:
        return _fernet(tuple(keys)).decrypt(token.encode()).decode()
    except InvalidToken as exc:
        raise SecretUnreadable(
            "a stored secret fits none of ENCRYPTION_KEYS: give the key back that encrypted it"
        ) from exc


def seal(data: bytes, keys: list[str]) -> bytes:
    return _fernet(tuple(keys)).encrypt(data)


def unseal(token: bytes, keys: list[str]) -> bytes:
    """Raises SecretUnreadable."""
    try:
        return _fernet(tuple(keys)).decrypt(token)
    except InvalidToken as exc:
        raise SecretUnreadable("what was sealed fits none of ENCRYPTION_KEYS") from exc


def reencrypt(token: str, keys: list[str]) -> str:
    """The same text under the newest key."""
    try:
        return _fernet(tuple(keys)).rotate(token.encode()).decode()
    except InvalidToken as exc:
        raise SecretUnreadable("a stored secret fits none of ENCRYPTION_KEYS") from exc
