"""Files and pastes on their way into the pool: parsed, shown, then stored by a job."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from credentials.models.contributor import Contributor
from credentials.models.credential import Credential
from gateway.lib.fields import EncryptedJSONField
from gateway.lib.jobs import Job


class Import(models.Model):
    """`items` wait, sealed, until somebody confirms; what nobody confirmed is deleted after an hour."""

    class State(models.TextChoices):
        PREVIEW = "preview", "waiting to be confirmed"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.CharField(
        max_length=255, blank=True, help_text="Names of the files, shortened."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.PREVIEW)
    counts = models.JSONField(
        default=dict,
        help_text='{"new", "updated", "duplicate", "unusable"}: as foreseen, then as done',
    )
    contributor = models.ForeignKey(Contributor, null=True, blank=True, on_delete=models.SET_NULL)
    tags = models.JSONField(default=list, blank=True, help_text="Given to all that is stored.")
    actor = models.CharField(max_length=150, blank=True)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.source or 'import'} ({self.state})"


class ImportItem(models.Model):
    """One credential, or one piece that cannot be used. `sealed` goes when the item is stored or given up."""

    batch = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="items")
    position = models.IntegerField()
    source = models.CharField(max_length=255)
    outcome = models.CharField(max_length=10, help_text="new, updated, duplicate or unusable")
    provider = models.CharField(max_length=20, blank=True)
    label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    credential = models.ForeignKey(Credential, null=True, blank=True, on_delete=models.SET_NULL)
    sealed = EncryptedJSONField(default=dict, blank=True)
    stored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "position"], name="import_item_position")
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.outcome}"
