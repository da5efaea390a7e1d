"""Those who lend, with or without an account here."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone

from gateway.lib.fields import EncryptedJSONField


def new_public_id() -> str:
    return secrets.token_urlsafe(9)


class Contributor(models.Model):
    """Someone who lends credentials. The private page opens with a secret link (credentials/links.py), which is derived
    and not stored: raising `link_version` makes a new one and ends the old.
    """

    public_id = models.CharField(max_length=16, unique=True, default=new_public_id, editable=False)
    link_version = models.PositiveIntegerField(default=1, editable=False)
    name = models.CharField(max_length=100, blank=True, help_text="As they want to be called.")
    email = models.EmailField(blank=True, help_text="For notices; never shown to others.")
    webhook = EncryptedJSONField(
        default=dict, blank=True, editable=False, help_text='{"url": …} or {}'
    )
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="contributor",
    )
    # Rewards of those who have no account here; made with the first of them.
    balance = models.OneToOneField(
        "quotas.Balance",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="contributor",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name or f"contributor {self.public_id}"
