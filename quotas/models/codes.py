"""Credits that are given away: campaigns, their codes, who redeemed them, and credits that expire."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from quotas.models.ledger import Balance, Entry


class Campaign(models.Model):
    """What each redemption of its codes gives, and for how long those credits are good."""

    name = models.CharField(max_length=100, unique=True)
    note = models.CharField(max_length=200, blank=True)
    amount_micros = models.BigIntegerField()
    credit_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Unspent credits expire after so many days; empty: never."
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    once_each = models.BooleanField(
        default=True,
        help_text="Each person takes part once, through whichever key; so does a key without an owner.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(name="campaign_gives", condition=Q(amount_micros__gt=0))
        ]

    def __str__(self) -> str:
        return self.name


class Code(models.Model):
    """A code of a campaign; only its digest is kept, and its first characters to tell it by."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="codes")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    max_uses = models.PositiveIntegerField(default=1)
    uses = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(name="code_uses_in_bounds", condition=Q(uses__lte=F("max_uses")))
        ]

    def __str__(self) -> str:
        return f"{self.hint}…"


class Redemption(models.Model):
    """One use of a code."""

    code = models.ForeignKey(Code, on_delete=models.PROTECT, related_name="redemptions")
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="redemptions")
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="redemptions")
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, related_name="redemption")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="redemptions",
    )
    # Who took part, where a campaign lets each do so once: u and the id of a person, through whichever of their keys, or b and that of
    # a balance that is nobody's.
    party = models.CharField(max_length=24, null=True, editable=False)  # noqa: DJ001 - NULLs are not unique
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "party"], name="redemption_once_each")
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.created_at:%Y-%m-%d}"


class Lot(models.Model):
    """Credits that expire. What is used is taken from the lot that expires first (quotas/services/lots.py)."""

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="lots")
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, related_name="lot")
    left_micros = models.BigIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar = ["expires_at", "pk"]

    def __str__(self) -> str:
        return f"{self.left_micros} until {self.expires_at:%Y-%m-%d}"
