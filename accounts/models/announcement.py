"""What the operator has to say to everybody."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class Announcement(models.Model):
    """Shown on the pages from `starts_at` to `ends_at`; the text is plain, its lines are paragraphs."""

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"

    class Audience(models.TextChoices):
        EVERYBODY = "everybody"
        MEMBERS = "members", "whoever is signed in"

    title = models.CharField(max_length=120)
    text = models.TextField(blank=True, max_length=4000)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    audience = models.CharField(max_length=10, choices=Audience.choices, default=Audience.EVERYBODY)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-starts_at", "-pk"]

    def __str__(self) -> str:
        return self.title
