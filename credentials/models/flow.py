"""A contributor's way through /auth, from the choice of what to lend to the verdict."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from credentials.models.contributor import Contributor
from credentials.models.credential import Credential
from gateway.lib.fields import EncryptedJSONField


class Flow(models.Model):
    """One attempt to lend. What it needs to finish is sealed and destroyed when it is over."""

    class Kind(models.TextChoices):
        GOOGLE = "google", "Google account"
        API_KEY = "api_key", "Gemini API keys"

    class State(models.TextChoices):
        PENDING = "pending", "waiting for Google's consent"
        EXCHANGING = "exchanging"
        CHOOSING = "choosing", "waiting for the choice of a project"
        CHECKING = "checking", "being tried"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    state_digest = models.CharField(  # noqa: DJ001 - NULLs are not unique
        max_length=64, unique=True, null=True, help_text="SHA-256 of OAuth's one-time state"
    )
    browser_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the cookie of the browser it began in"
    )
    secret = EncryptedJSONField(
        default=dict,
        blank=True,
        help_text="code_verifier, client_id, client_secret; {} when it is over",
    )
    redirect_uri = models.CharField(max_length=300, blank=True)
    project = models.CharField(max_length=100, blank=True, help_text="Asked for by the person.")
    projects = models.JSONField(default=list, help_text="To choose from.")
    step = models.CharField(max_length=20, blank=True, help_text="Where it failed.")
    words = models.CharField(max_length=500, blank=True, help_text="Why it failed, for the person.")
    contributor = models.ForeignKey(Contributor, null=True, on_delete=models.CASCADE)
    credential = models.ForeignKey(
        Credential,
        null=True,
        on_delete=models.CASCADE,
        help_text="What came of it; at the beginning, what is to be reconnected in place.",
    )
    results = models.JSONField(default=list, help_text="A verdict for each credential.")
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["address", "created_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
