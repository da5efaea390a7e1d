"""How much a credential was used, and what was found out about its quota."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from credentials.models.credential import Credential


class DailyUse(models.Model):
    """Attempts of a day, by model and status. `day` is the upstream's (credentials/caps.py). Status 200 is a call that
    was served, 0 one that got no answer; tokens are those of served calls. Written behind, so a kill may lose a moment.
    """

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="uses")
    day = models.DateField()
    model = models.CharField(max_length=150)
    status = models.IntegerField()
    calls = models.IntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0, help_text="Thinking included.")
    # The counters are written in plain SQL, which does not know this one.
    rewarded = models.IntegerField(
        default=0, db_default=0, help_text="How many of the calls were rewarded."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["credential", "day", "model", "status"], name="daily_use_identity"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.day} {self.model} {self.status}: {self.calls}"


class Allowance(models.Model):
    """How much of a capped credential's day is taken. Taken before a call by one conditional update, given back when the
    call was not served; so all processes together never exceed a cap. `scope`: "" or the glob of a cap by model.
    """

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="allowances")
    day = models.DateField()
    scope = models.CharField(max_length=150, blank=True)
    taken = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["credential", "day", "scope"], name="allowance_identity"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.scope or 'all'}: {self.taken}"


class ProbeClaim(models.Model):
    """Which process tries a credential that comes back from a rest: one call at a time, of all processes. `model` is ""
    where the whole credential rested."""

    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="probe_claims"
    )
    model = models.CharField(max_length=150, blank=True)
    until = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "model"], name="probe_claim_identity")
        ]

    def __str__(self) -> str:
        return f"{self.credential_id} {self.model}"


class Draining(models.Model):
    """Calls that still run, in one process, with a credential that was withdrawn. The row goes with the last of them."""

    holder_id = models.CharField(max_length=32)
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="draining")
    calls = models.IntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["holder_id", "credential"], name="draining_identity")
        ]

    def __str__(self) -> str:
        return f"{self.credential_id}: {self.calls}"


class QuotaReading(models.Model):
    """What the upstream said is left of a credential's quota for a model, when it was asked last (reference 2.9)."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="readings")
    model = models.CharField(max_length=150)
    remaining_fraction = models.FloatField(help_text="0 to 1")
    remaining_calls = models.BigIntegerField(null=True, blank=True)
    resets_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "model"], name="quota_reading_identity")
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.remaining_fraction:.0%}"
