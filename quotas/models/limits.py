"""How much a key, a person or a group may ask for in a while, and the shared memory of who asked."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models

_CREDITS = "Micro-credits; empty: no limit."


class Limits(models.Model):
    """What is empty does not limit. Whoever owns the row (a key, a person, a group …) tells the processes of its changes.

    Credits are counted by day, week (from Monday) and month in `time_zone`, from midnight to midnight; requests and tokens a minute in a
    window that slides; requests a day from midnight to midnight.
    """

    day_micros = models.BigIntegerField(null=True, blank=True, help_text=_CREDITS)
    week_micros = models.BigIntegerField(null=True, blank=True, help_text=_CREDITS)
    month_micros = models.BigIntegerField(null=True, blank=True, help_text=_CREDITS)
    rpm = models.PositiveIntegerField(null=True, blank=True, help_text="Requests a minute.")
    rpd = models.PositiveIntegerField(null=True, blank=True, help_text="Requests a day.")
    tpm = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tokens a minute, of requests and answers together."
    )
    concurrency = models.PositiveIntegerField(
        null=True, blank=True, help_text="Calls that run at the same time."
    )
    allowed_models = models.JSONField(
        default=list, blank=True, help_text="Names or globs; empty: every model."
    )
    allowed_dialects = models.JSONField(
        default=list, blank=True, help_text="openai, anthropic, gemini, simple; empty: all."
    )
    allowed_networks = models.JSONField(
        default=list, blank=True, help_text="Addresses or CIDR ranges; empty: from anywhere."
    )
    time_zone = models.CharField(
        max_length=64, blank=True, help_text="Such as Asia/Shanghai; empty: the site's."
    )

    class Meta:
        verbose_name_plural = "limits"

    def __str__(self) -> str:
        return f"limits {self.pk}"

    def clean(self) -> None:
        """Lists hold names, and a name is never empty: the proxy reads them for every call."""
        for field in ("allowed_models", "allowed_dialects", "allowed_networks"):
            names = getattr(self, field)
            if not isinstance(names, list) or not all(
                isinstance(name, str) and name.strip() for name in names
            ):
                raise ValidationError({field: "Give a list of names."})


class Gate(models.Model):
    """One line through which all calls of a scope pass when their windows are looked at: its row lock makes the look exact
    across processes. `scope`: k, u or g for a key, a person or a group, and the id: "k17". `day` and `calls` count the requests a day.
    """

    scope = models.CharField(max_length=24, primary_key=True)
    day = models.IntegerField(default=0, help_text="Ordinal of the local date.")
    calls = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.scope


class Passage(models.Model):
    """A call that passed a gate within the last minute or that still runs. Deleted when it is neither."""

    scope = models.CharField(max_length=24)
    request_id = models.CharField(max_length=40)
    at = models.FloatField(help_text="Epoch seconds, by the database's clock where it has one.")
    tokens = models.BigIntegerField(default=0, help_text="The estimate while the call runs.")
    lease_until = models.FloatField(
        help_text="While later than now the call counts as running; its process renews it. 0: it is over."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request_id", "scope"], name="passage_identity")
        ]
        indexes: ClassVar = [models.Index(fields=["scope", "at"])]

    def __str__(self) -> str:
        return f"{self.scope} {self.request_id}"
