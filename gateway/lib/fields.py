"""A model field whose value rests encrypted in the database and is opened only where it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from gateway.lib import crypto

if TYPE_CHECKING:
    _Text = models.TextField["Sealed | Mapping[str, Any]", "Sealed"]
else:
    _Text = models.TextField


class SecretDict(dict[str, Any]):
    """An opened secret. Its repr is silent, as reprs end in logs and on error pages."""

    def __repr__(self) -> str:
        return "<secret>"


class Sealed:
    """An encrypted JSON object; the empty one is stored as empty text, and is false. Loading and saving a row never opens it, so an unreadable one harms no other row."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Sealed:
        if not value:
            return cls("")
        return cls(crypto.encrypt(json.dumps(dict(value)), settings.ENCRYPTION_KEYS))

    def open(self) -> SecretDict:
        """Raises crypto.SecretUnreadable when no key in use fits."""
        if not self.token:
            return SecretDict()
        return SecretDict(json.loads(crypto.decrypt(self.token, settings.ENCRYPTION_KEYS)))

    def renewed(self) -> Sealed:
        """The same secret under the newest key. Raises crypto.SecretUnreadable."""
        if not self.token:
            return self
        return Sealed(crypto.reencrypt(self.token, settings.ENCRYPTION_KEYS))

    def __bool__(self) -> bool:
        return bool(self.token)

    def __repr__(self) -> str:
        return "<sealed>"


class _SealOnAssignment(DeferredAttribute):
    def __set__(self, instance: models.Model, value: Sealed | Mapping[str, Any]) -> None:
        instance.__dict__[self.field.attname] = _sealed(value)


class EncryptedJSONField(_Text):
    """Takes a mapping, stores ciphertext, gives a `Sealed`. It has no useful lookup but equality of ciphertexts."""

    descriptor_class = _SealOnAssignment

    def from_db_value(self, value: str | None, *_: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def get_prep_value(self, value: Any) -> Any:
        return value.token if isinstance(value := _sealed(value), Sealed) else value

    def value_to_string(self, obj: models.Model) -> str:
        token: str = self.value_from_object(obj).token
        return token


def _sealed(value: Any) -> Any:
    """Expressions of a query and None pass through; text is ciphertext (a fixture's)."""
    if isinstance(value, Mapping):
        return Sealed.of(value)
    return Sealed(value) if isinstance(value, str) else value
