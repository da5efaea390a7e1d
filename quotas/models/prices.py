"""What a call costs, since when and until when."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from gateway.lib.models import Revisioned

# One that was called off is in nobody's way.
_COUNTS = Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from"))


class Price(Revisioned):
    """What a call of the models that match `pattern` costs, from `valid_from` on until it is followed by another of the same
    pattern and tariff, or until `valid_until`. Rows are added and ended, never changed: the past keeps its prices.
    """

    TOPIC: ClassVar[str] = "prices"

    tariff = models.CharField(
        max_length=60,
        blank=True,
        help_text="Groups may have a price list of their own; empty: everybody's.",
    )
    pattern = models.CharField(max_length=200, help_text="A model name or a glob such as *flash*.")
    valid_from = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    per_call_micros = models.BigIntegerField(default=0)
    input_micros_per_million = models.BigIntegerField(default=0)
    cached_micros_per_million = models.BigIntegerField(
        default=0, help_text="For the cached part of the input, instead of the input price."
    )
    output_micros_per_million = models.BigIntegerField(default=0)
    thinking_micros_per_million = models.BigIntegerField(default=0)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["tariff", "pattern", "-valid_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tariff", "pattern", "valid_from"],
                condition=_COUNTS,
                name="price_identity",
            ),
            models.CheckConstraint(
                name="price_ends_after_it_begins",
                condition=Q(valid_until__isnull=True) | Q(valid_until__gte=F("valid_from")),
            ),
            models.CheckConstraint(
                name="price_not_negative",
                condition=Q(
                    per_call_micros__gte=0,
                    input_micros_per_million__gte=0,
                    cached_micros_per_million__gte=0,
                    output_micros_per_million__gte=0,
                    thinking_micros_per_million__gte=0,
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.pattern


class Multiplier(Revisioned):
    """What a variant of a model, a tool or the size of a picture costs more, whatever the model: anti_truncation ×2. With a
    history, like prices."""

    TOPIC: ClassVar[str] = "prices"

    feature = models.CharField(
        max_length=40,
        help_text="anti_truncation, fake_stream, search, image_2k, image_4k, thinking_high and the like.",
    )
    factor = models.DecimalField(max_digits=8, decimal_places=3, default=1)
    valid_from = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True, blank=True)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["feature", "-valid_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["feature", "valid_from"], condition=_COUNTS, name="multiplier_identity"
            ),
            models.CheckConstraint(name="multiplier_not_negative", condition=Q(factor__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.feature} ×{self.factor.normalize():f}"
