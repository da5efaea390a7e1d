"""What a call costs and who can pay. One credit is 1,000,000 micros; every amount is whole micros."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models import F, Q

from gateway.lib.models import Revisioned


class Balance(models.Model):
    """The account of a key. `used + reserved + remaining = total` holds in every committed state."""

    label = models.CharField(max_length=200, blank=True)
    total_micros = models.BigIntegerField()
    used_micros = models.BigIntegerField(default=0)
    reserved_micros = models.BigIntegerField(default=0)
    remaining_micros = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="balance_adds_up",
                condition=Q(
                    total_micros=F("used_micros") + F("reserved_micros") + F("remaining_micros")
                ),
            ),
            models.CheckConstraint(
                name="balance_not_negative",
                condition=Q(used_micros__gte=0, reserved_micros__gte=0, remaining_micros__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return self.label or f"balance {self.pk}"


class Entry(models.Model):
    """A movement of credits; written once, never changed.

    GRANT and ADJUST change the total by `amount_micros` (signed). SETTLE closes a hold of `reserved_micros` and uses
    `amount_micros` of it; the rest went back. REFUND closes a hold and uses nothing.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        ADJUST = "adjust"
        SETTLE = "settle"
        REFUND = "refund"

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    amount_micros = models.BigIntegerField()
    reserved_micros = models.BigIntegerField(default=0)
    request_id = models.CharField(max_length=40, null=True)  # noqa: DJ001 - NULLs are not unique
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "entries"
        constraints: ClassVar = [
            # One request is settled once and refunded once at the most, whatever is retried.
            models.UniqueConstraint(fields=["request_id", "kind"], name="entry_once_a_request")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_micros}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("ledger entries are written once; book an adjustment instead")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("ledger entries are never deleted; book an adjustment instead")


class Holder(models.Model):
    """A living process that holds reservations. A beat that stops means its holds are abandoned."""

    id = models.CharField(max_length=32, primary_key=True)
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Hold(models.Model):
    """Credits reserved for a call that runs now; the row goes when the call is settled or refunded."""

    request_id = models.CharField(max_length=40, primary_key=True)
    # No index but the primary key: only calls that run now have rows, and two are written for every request.
    balance = models.ForeignKey(
        Balance, on_delete=models.PROTECT, related_name="holds", db_index=False
    )
    amount_micros = models.BigIntegerField()
    # No foreign key: a hold outlives the row of the process that made it.
    holder_id = models.CharField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.request_id} {self.amount_micros}"


class Price(Revisioned):
    """What a call of the models that match `pattern` costs."""

    TOPIC: ClassVar[str] = "prices"

    pattern = models.CharField(
        max_length=200, unique=True, help_text="A model name or a glob such as *flash*."
    )
    per_call_micros = models.BigIntegerField(default=0)
    input_micros_per_million = models.BigIntegerField(default=0)
    cached_micros_per_million = models.BigIntegerField(
        default=0, help_text="For the cached part of the input, instead of the input price."
    )
    output_micros_per_million = models.BigIntegerField(default=0)
    thinking_micros_per_million = models.BigIntegerField(default=0)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["pattern"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="price_not_negative",
                condition=Q(
                    per_call_micros__gte=0,
                    input_micros_per_million__gte=0,
                    cached_micros_per_million__gte=0,
                    output_micros_per_million__gte=0,
                    thinking_micros_per_million__gte=0,
                ),
            )
        ]

    def __str__(self) -> str:
        return self.pattern


class Multiplier(Revisioned):
    """What a variant of a model costs more, whatever the model: anti_truncation ×2."""

    TOPIC: ClassVar[str] = "prices"

    feature = models.CharField(
        max_length=40,
        unique=True,
        help_text="anti_truncation, fake_stream, search, image_2k, image_4k, thinking_high and the like.",
    )
    factor = models.DecimalField(max_digits=8, decimal_places=3, default=1)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["feature"]
        constraints: ClassVar = [
            models.CheckConstraint(name="multiplier_not_negative", condition=Q(factor__gte=0))
        ]

    def __str__(self) -> str:
        return f"{self.feature} ×{self.factor.normalize():f}"
