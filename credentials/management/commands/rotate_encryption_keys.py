"""Bring every secret at rest under the newest key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import models

from gateway.lib.crypto import SecretUnreadable, reencrypt
from gateway.lib.fields import EncryptedJSONField

_FACTOR_SECRETS = {"secret", "seed"}


class Command(BaseCommand):
    help = (
        "Re-encrypt every secret under the first of ENCRYPTION_KEYS. Put the new key first and keep the old one behind "
        "it, restart every process, run this, then take the old key away. It may be repeated at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable: list[str] = []
        rotated = 0
        for model, field in _encrypted_fields():
            filled = model._default_manager.exclude(**{field: {}}).order_by("pk")
            for pk in filled.values_list("pk", flat=True):
                if _rotate(model, field, pk):
                    rotated += 1
                else:
                    unreadable.append(f"{model._meta.label} {pk}")
        for factor in Authenticator.objects.order_by("pk"):
            # A secret of an authenticator app, or the seed of recovery codes: allauth keeps them in its own field.
            if _rotate_factor(factor):
                rotated += 1
            else:
                unreadable.append(f"{factor._meta.label} {factor.pk}")
        if options["json"]:
            self.stdout.write(json.dumps({"rotated": rotated, "unreadable": unreadable}))
        else:
            self.stdout.write(f"{rotated} secrets are under the newest key.")
        if unreadable:
            raise CommandError(
                f"{len(unreadable)} secrets fit none of ENCRYPTION_KEYS and stay as they are: "
                + ", ".join(unreadable[:20])
            )


def _encrypted_fields() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedJSONField):
                yield model, field.name


def _rotate_factor(factor: Authenticator) -> bool:
    """False when no key fits."""
    kept = dict(factor.data)
    try:
        for name in _FACTOR_SECRETS & kept.keys():
            kept[name] = reencrypt(kept[name], settings.ENCRYPTION_KEYS)
        # Recovery codes that were brought from elsewhere, each by itself.
        if "migrated_codes" in kept:
            kept["migrated_codes"] = [
                reencrypt(code, settings.ENCRYPTION_KEYS) for code in kept["migrated_codes"]
            ]
    except SecretUnreadable:
        return False
    # One that was changed meanwhile is under the newest key already.
    Authenticator.objects.filter(pk=factor.pk, data=factor.data).update(data=kept)
    return True


def _rotate(model: type[models.Model], field: str, pk: Any) -> bool:
    """False when no key fits. A secret that changes meanwhile is read again, so no new login is overwritten."""
    rows = model._default_manager.filter(pk=pk)
    while (sealed := rows.values_list(field, flat=True).first()) is not None:
        try:
            renewed = sealed.renewed()
        except SecretUnreadable:
            return False
        if rows.filter(**{field: sealed}).update(**{field: renewed}):
            break
    return True
