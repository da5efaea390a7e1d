"""Words to a contributor about a credential."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from credentials.models.credential import Credential


class Notice(models.Model):
    """`kind`: why (credentials/notices.py). One is open for a credential and kind at a time; it is closed when what it
    tells of is over, so the same trouble may be told of again the next time.
    """

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=30)
    words = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    channels = models.CharField(max_length=40, blank=True, help_text="email, webhook")
    attempts = models.PositiveSmallIntegerField(default=0)
    try_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=300, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["credential", "kind"],
                condition=models.Q(closed_at=None),
                name="notice_one_open_of_a_kind",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: credential {self.credential_id}"
