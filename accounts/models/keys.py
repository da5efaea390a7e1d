"""The `sk-` keys that are handed out, what new ones are made after, and the links by which they are fetched."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from accounts import keys
from accounts.models.people import Group
from gateway.lib.models import Revisioned

MAX_DAYS = 36_500
_DAYS = (MinValueValidator(1), MaxValueValidator(MAX_DAYS))


class ApiKey(Revisioned):
    """A key that was handed out. The key itself is not kept: `digest` recognises it."""

    TOPIC: ClassVar[str] = "keys"

    public_id = models.CharField(max_length=keys.PUBLIC_ID_LENGTH, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    previous_digest = models.CharField(
        max_length=64,
        blank=True,
        help_text="Of the secret before the last rotation, which works until `previous_until`.",
    )
    previous_until = models.DateTimeField(null=True, blank=True)
    description = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True)
    # Protected: a person with keys is deactivated, not deleted, so that no key goes on without its owner.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="keys",
    )
    group = models.ForeignKey(
        Group,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="keys",
        help_text="Empty: its owner's.",
    )
    balance = models.OneToOneField("quotas.Balance", on_delete=models.PROTECT, related_name="key")
    limits = models.OneToOneField(
        "quotas.Limits", null=True, blank=True, on_delete=models.SET_NULL, related_name="key"
    )
    is_active = models.BooleanField(default=True)
    held_by_operator = models.BooleanField(
        default=False, help_text="Switched off by an operator: its owner cannot switch it on again."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    lifetime_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=_DAYS,
        help_text="Expires so many days after its first use.",
    )
    first_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="Gone from the lists; what it used is kept."
    )
    share_version = models.PositiveIntegerField(
        default=1, help_text="Raised to end the links to its balance page."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(Revisioned.Meta):
        abstract = False
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="revoked_keys_are_inactive",
                condition=Q(revoked_at__isnull=True) | Q(is_active=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.masked} {self.description}".rstrip()

    @property
    def masked(self) -> str:
        return keys.masked(self.public_id)

    def state_at(self, now: datetime) -> str:
        """One of: active, paused, expired, revoked, deleted."""
        if self.deleted_at is not None:
            return "deleted"
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.is_active else "paused"


class KeyTemplate(models.Model):
    """What keys of one sort have in common when they are issued; changing it changes no key."""

    name = models.CharField(max_length=60, unique=True)
    description = models.CharField(max_length=200, blank=True)
    quota_micros = models.BigIntegerField(null=True, blank=True, help_text="Empty: no total limit.")
    expires_days = models.PositiveIntegerField(
        null=True, blank=True, validators=_DAYS, help_text="Days after the key is issued."
    )
    lifetime_days = models.PositiveIntegerField(
        null=True, blank=True, validators=_DAYS, help_text="Days after the first use."
    )
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.PROTECT, related_name="templates"
    )
    limits = models.OneToOneField(
        "quotas.Limits", null=True, blank=True, on_delete=models.SET_NULL, related_name="template"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class KeyClaim(models.Model):
    """A link by which somebody fetches a key that was issued for them. The secret is made when it is fetched, so that until
    then nobody has it; the link works once."""

    key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, related_name="claim")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"claim of {self.key_id}"
