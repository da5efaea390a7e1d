"""What upkeep has to see to, and how much of it an hour may have."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from credentials.models.credential import Credential


class Chore(models.Model):
    """When upkeep sees to something of a credential next; without a row, at its next round. After a failure that is later and
    later.
    """

    class Kind(models.TextChoices):
        REFRESH = "refresh", "new access token"
        EMAIL = "email", "e-mail look-up"
        PROJECT = "project", "project discovery"
        QUOTA = "quota", "quota look-up"

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="chores")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    due_at = models.DateTimeField()
    failures = models.PositiveSmallIntegerField(default=0, help_text="In a row.")
    words = models.CharField(max_length=300, blank=True, help_text="Why it failed last.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "kind"], name="chore_identity")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of credential {self.credential_id}"


class Budget(models.Model):
    """How many of something were done in an hour, by all workers together."""

    name = models.CharField(max_length=20)
    hour = models.DateTimeField()
    spent = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "hour"], name="budget_identity")
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.spent}"
