"""The request log, and the sums that stay when its rows go."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class RequestLog(models.Model):
    """One row a request; nothing of what was asked or answered."""

    request_id = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField(db_index=True)
    # Plain numbers instead of foreign keys: the log outlives what it names and costs no look-ups to write.
    key_id = models.BigIntegerField(null=True)
    owner_id = models.BigIntegerField(null=True)
    group_id = models.BigIntegerField(null=True)
    credential_id = models.BigIntegerField(null=True)
    dialect = models.CharField(max_length=20)
    action = models.CharField(max_length=20)
    model = models.CharField(max_length=200)
    requested_model = models.CharField(
        max_length=200, blank=True, help_text="As the client wrote it: with variants, or an alias."
    )
    features = models.CharField(
        max_length=200, blank=True, help_text="What its price may be multiplied for, with commas."
    )
    tariff = models.CharField(max_length=60, blank=True)
    answers = models.IntegerField(default=1, help_text="How many that are charged one by one.")
    broken = models.BooleanField(default=False, help_text="Only its tokens were charged.")
    provider = models.CharField(max_length=20, blank=True)
    stream = models.BooleanField()
    status = models.IntegerField(help_text="What the client got; 499: it had left.")
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=500, blank=True)
    attempts = models.JSONField(default=list)
    dropped = models.JSONField(default=list)
    input_tokens = models.IntegerField(default=0)
    cached_tokens = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)
    thinking_tokens = models.IntegerField(default=0)
    cost_micros = models.BigIntegerField(default=0)
    first_byte_ms = models.IntegerField(null=True)
    waited_ms = models.IntegerField(default=0, help_text="In the queue of a limit.")
    duration_ms = models.IntegerField()

    class Meta:
        verbose_name = "request"
        # Lists go backwards by id. Each index costs every call some 5 µs on SQLite, so there is none for what so many rows have in
        # common that going through the log finds them soon: group, dialect, stream (apiproxy/selectors/requests.py).
        indexes: ClassVar = [
            models.Index(fields=["key_id", "id"], name="request_by_key"),
            models.Index(fields=["owner_id", "id"], name="request_by_owner"),
            models.Index(fields=["credential_id", "id"], name="request_by_credential"),
            models.Index(fields=["model", "id"], name="request_by_model"),
            models.Index(
                fields=["id"], name="request_that_failed", condition=models.Q(status__gte=400)
            ),
        ]

    def __str__(self) -> str:
        return self.request_id

    @property
    def attempt_list(self) -> list[dict[str, Any]]:
        attempts: list[dict[str, Any]] = self.attempts
        return attempts


class Usage(models.Model):
    """What one subject used in one period; added up anew from the request log as long as that still grows
    (apiproxy/services/rollup.py).

    `axis`: site, key, user, group, credential or dialect. `subject`: the id or the dialect; "" for the site.
    `model` is "" in the row of all its models together. Histograms: {bucket: calls}, see apiproxy/histogram.py.
    """

    start = models.DateTimeField()
    axis = models.CharField(max_length=10)
    subject = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=200, blank=True)
    requests = models.IntegerField()
    successes = models.IntegerField()
    client_errors = models.IntegerField(help_text="Other 4xx: 400, 404, 405, 409, 413, 422.")
    auth_errors = models.IntegerField(help_text="401, 403")
    limit_errors = models.IntegerField(help_text="429")
    left = models.IntegerField(help_text="499: the client did not wait.")
    upstream_errors = models.IntegerField(help_text="502, 504")
    unavailable = models.IntegerField(help_text="503")
    internal_errors = models.IntegerField(help_text="500 and what else there is.")
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    thinking_tokens = models.BigIntegerField()
    cost_micros = models.BigIntegerField()
    duration_ms = models.JSONField(default=dict)
    first_byte_ms = models.JSONField(default=dict)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} {self.axis} {self.subject} {self.model}"


class UsageHour(Usage):
    class Meta:
        constraints: ClassVar = [
            # In this order: one subject's hours, with all their models, lie together.
            models.UniqueConstraint(
                fields=["axis", "subject", "start", "model"], name="usage_hour_identity"
            )
        ]
        # All subjects of some hours, and the oldest hours of an axis.
        indexes: ClassVar = [
            models.Index(fields=["axis", "start", "model"], name="usage_hour_by_axis")
        ]


class UsageDay(Usage):
    """Days of UTC."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["axis", "subject", "start", "model"], name="usage_day_identity"
            )
        ]
        # Thousands of subjects over many days are put in order by one of these sums; from the index alone that takes a tenth.
        indexes: ClassVar = [
            models.Index(
                fields=[
                    "axis",
                    "model",
                    "subject",
                    "start",
                    "requests",
                    "successes",
                    "cost_micros",
                    "input_tokens",
                    "output_tokens",
                ],
                name="usage_day_by_axis",
            )
        ]


class UsageMark(models.Model):
    """How far the sums have come; a mark only goes forward.

    `hours`: every hour before it was added up after it had ended. `days`: every day before it has its rows. `log`: rows of the
    request log before it may be gone, so its hours are not added up anew.
    """

    HOURS, DAYS, LOG = "hours", "days", "log"

    name = models.CharField(max_length=10, primary_key=True)
    until = models.DateTimeField()
    updated_at = models.DateTimeField(help_text="When that work was last done to its end.")
    not_before = models.DateTimeField(
        null=True,
        help_text="It took long, so it rests until then: it may take a twentieth of a core.",
    )

    def __str__(self) -> str:
        return f"{self.name} until {self.until:%Y-%m-%d %H:%M}"
