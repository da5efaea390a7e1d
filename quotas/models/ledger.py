"""Balances, the entries they are the sum of, and what is reserved for calls that run now."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models import F, Q


class Balance(models.Model):
    """The account of a key, a person or a group. `used + reserved + remaining = total` holds in every committed state.

    An open-ended one is never used up: `total` is what was granted, as everywhere, and `remaining` goes below zero.
    """

    label = models.CharField(max_length=200, blank=True)
    open_ended = models.BooleanField(default=False)
    total_micros = models.BigIntegerField()
    used_micros = models.BigIntegerField(default=0)
    reserved_micros = models.BigIntegerField(default=0)
    remaining_micros = models.BigIntegerField()
    # Used and reserved since the day, week and month began; kept for those that have such a limit. The week and the month
    # follow from the day: 1 + days since 0001-01-01, in the limit's time zone, of the last reservation.
    day = models.IntegerField(default=0)
    day_micros = models.BigIntegerField(default=0)
    week_micros = models.BigIntegerField(default=0)
    month_micros = models.BigIntegerField(default=0)
    # `used_micros` when it was last taken from the lots that expire (models/codes.py).
    shared_out_micros = models.BigIntegerField(default=0)
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
                condition=Q(used_micros__gte=0, reserved_micros__gte=0)
                & (Q(open_ended=True) | Q(remaining_micros__gte=0)),
            ),
        ]

    def __str__(self) -> str:
        return self.label or f"balance {self.pk}"


class Entry(models.Model):
    """A movement of credits; written once, never changed: triggers in the database see to it.

    GRANT, REDEEM, REWARD, ADJUST and EXPIRE change the total by `amount_micros` (signed). SETTLE closes a hold of
    `reserved_micros` and uses `amount_micros` of it; the rest went back. REFUND closes a hold and uses nothing. A reservation
    that is open is a Hold; a row of its own for its beginning would double what a call writes, and tell nothing that the
    row of its end does not.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        ADJUST = "adjust"
        REDEEM = "redeem"
        REWARD = "reward"
        EXPIRE = "expire"
        SETTLE = "settle"
        REFUND = "refund"

    balance = models.ForeignKey(
        Balance, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    amount_micros = models.BigIntegerField()
    reserved_micros = models.BigIntegerField(default=0)
    request_id = models.CharField(max_length=40, null=True)  # noqa: DJ001 - NULLs are not unique
    reason = models.CharField(max_length=200, blank=True)
    actor = models.CharField(
        max_length=150, blank=True, help_text="Who did it, where a person did."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "entries"
        constraints: ClassVar = [
            # One request is settled once and refunded once at the most, whatever is retried.
            models.UniqueConstraint(
                fields=["request_id", "kind", "balance"], name="entry_once_a_request"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["balance", "id"])]

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
    """Credits of one balance reserved for a call that runs now; the row goes when the call is settled or refunded."""

    pk = models.CompositePrimaryKey("request_id", "balance_id")
    request_id = models.CharField(max_length=40)
    # No index but the primary key: only calls that run now have rows, and they are written for every request.
    balance = models.ForeignKey(
        Balance, on_delete=models.PROTECT, related_name="holds", db_index=False
    )
    amount_micros = models.BigIntegerField()
    day = models.IntegerField(
        default=0, help_text="The balance's day that it was counted in; 0: it has no such limits."
    )
    # No foreign key: a hold outlives the row of the process that made it.
    holder_id = models.CharField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.request_id} {self.amount_micros}"
