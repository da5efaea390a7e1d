"""What clients asked to be kept for a while, and the runs of the self test."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class StoredResponse(models.Model):
    """A Responses answer that later calls of the same key may build on; gone when it is past `expires_at`."""

    response_id = models.CharField(max_length=64, primary_key=True)
    # A plain number: unlimited callers (API_PASSWORD) share key 0.
    key_id = models.BigIntegerField()
    sealed = models.BinaryField(help_text="Input items and response, encrypted.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.response_id


class StoredImage(models.Model):
    """A picture in the site's storage that an answer linked; the file goes with the row."""

    name = models.CharField(max_length=200, unique=True, help_text="In the storage.")
    mime_type = models.CharField(max_length=60)
    size_bytes = models.BigIntegerField()
    request_id = models.CharField(max_length=40, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.name


class IdempotentCall(models.Model):
    """A call made with an `Idempotency-Key`: repeated within 24 hours it is answered from here, and never charged again."""

    class State(models.TextChoices):
        RUNNING = "running"
        ANSWERED = "answered"

    # A plain number: unlimited callers (API_PASSWORD) share key 0.
    key_id = models.BigIntegerField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the client's Idempotency-Key.")
    body_digest = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    request_id = models.CharField(max_length=40)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    holder_id = models.CharField(max_length=32)
    content_type = models.CharField(max_length=100, blank=True)
    sealed = models.BinaryField(
        null=True, help_text="The answer, encrypted; none where it was too long to keep."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key_id", "digest"], name="idempotent_call_identity")
        ]

    def __str__(self) -> str:
        return self.request_id


class SelfTest(models.Model):
    """One run of `selftest`: what the dialects made of their cases."""

    at = models.DateTimeField(auto_now_add=True)
    version = models.CharField(max_length=40)
    duration_ms = models.IntegerField()
    results = models.JSONField(
        default=list, help_text='[{"dialect", "case", "passed", "detail", "ms"}]'
    )

    class Meta:
        ordering: ClassVar = ["-at"]
        get_latest_by = "at"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"

    @property
    def duration_s(self) -> float:
        return self.duration_ms / 1000
