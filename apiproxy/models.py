"""The request log and the catalogue."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, transaction

from apiproxy.rules import Rule, problems
from gateway.lib.models import Revisioned, bump

PROVIDERS = ("gemini_api", "code_assist")
"""Whose errors a rule may be about."""


def default_capabilities() -> list[str]:
    return ["chat"]


class CatalogueModel(Revisioned):
    """A model this site offers. Clients may name others that Google knows; those have no entry."""

    TOPIC: ClassVar[str] = "catalogue"

    name = models.CharField(max_length=200, unique=True)
    display_name = models.CharField(max_length=200, blank=True)
    aliases = models.JSONField(
        default=list, blank=True, help_text="Other names that mean this one."
    )
    providers = models.JSONField(
        default=list, help_text="Kinds of credentials that serve it, such as gemini_api."
    )
    capabilities = models.JSONField(
        default=default_capabilities,
        help_text="Of: chat, vision, audio, tools, json, search, image_output, candidates.",
    )
    thinking = models.JSONField(
        default=dict,
        blank=True,
        help_text='{"control": "budget", "min_budget": …, "max_budget": …, "can_disable": …} or '
        '{"control": "level", "levels": […]}; empty: the model takes no thinking settings.',
    )
    strict_signatures = models.BooleanField(default=False)
    tools_with_json = models.BooleanField(default=False)
    input_limit_tokens = models.IntegerField(default=1_048_576)
    output_limit_tokens = models.IntegerField(default=65_536)
    listed = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["name"]
        verbose_name = "model"

    def __str__(self) -> str:
        return self.name


class ModelAlias(Revisioned):
    """A name that clients use for one of another vendor's models -> the model that answers here."""

    TOPIC: ClassVar[str] = "catalogue"

    pattern = models.CharField(
        max_length=200,
        unique=True,
        help_text="A name or a glob such as claude-*haiku*; the one with the most literal characters wins.",
    )
    target = models.CharField(
        max_length=200, help_text="A model of the catalogue, or a variant of one."
    )

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["pattern"]
        verbose_name_plural = "model aliases"

    def __str__(self) -> str:
        return f"{self.pattern} → {self.target}"


class RequestLog(models.Model):
    """One row a request; nothing of what was asked or answered."""

    request_id = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField(db_index=True)
    # Plain numbers instead of foreign keys: the log outlives what it names and costs no look-ups to write.
    key_id = models.BigIntegerField(null=True, db_index=True)
    credential_id = models.BigIntegerField(null=True)
    dialect = models.CharField(max_length=20)
    action = models.CharField(max_length=20)
    model = models.CharField(max_length=200)
    requested_model = models.CharField(
        max_length=200, blank=True, help_text="As the client wrote it: with variants, or an alias."
    )
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
    duration_ms = models.IntegerField()

    class Meta:
        verbose_name = "request"

    def __str__(self) -> str:
        return self.request_id

    @property
    def attempt_list(self) -> list[dict[str, Any]]:
        attempts: list[dict[str, Any]] = self.attempts
        return attempts


class VerdictRule(Revisioned):
    """A site's own answer to an upstream error, before the built-in judgement's takes effect (apiproxy/rules.py).

    What is empty matches everything. A client's own mistake is never a credential's fault, whatever a rule says.
    """

    TOPIC: ClassVar[str] = "rules"

    class Action(models.TextChoices):
        NEXT = "next", "try the next credential, remember nothing"
        REST = "rest", "rest the credential"
        DISABLE = "disable", "take the credential out until a person looks"
        RETRY = "retry", "nobody's fault: pause, then again"
        RETURN = "return", "hand the error to the client"

    position = models.IntegerField(default=100, help_text="The first that matches decides.")
    enabled = models.BooleanField(default=True)
    provider = models.CharField(max_length=20, blank=True)
    status = models.IntegerField(null=True, blank=True)
    kind = models.CharField(max_length=20, blank=True, help_text="As rate, quota, server, …")
    reason = models.CharField(max_length=80, blank=True, help_text="As daily_quota, suspended, …")
    text = models.CharField(
        max_length=200,
        blank=True,
        help_text="Words that the message holds, or all of it with stars: *overloaded*",
    )
    action = models.CharField(max_length=8, choices=Action.choices)
    rest_s = models.PositiveIntegerField(
        default=0, help_text="For rest, in seconds. 0: as long as the upstream says."
    )
    whole = models.BooleanField(default=False, help_text="Rest for every model, not only this one.")
    note = models.CharField(max_length=200, blank=True)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["position", "pk"]

    def __str__(self) -> str:
        return self.note or f"{self.status or 'any'} {self.kind} {self.reason}: {self.action}"

    def clean(self) -> None:
        if said := problems(self.rule, PROVIDERS):
            raise ValidationError(said)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """The processes read the rules anew. A QuerySet's delete would pass by this."""
        with transaction.atomic():
            bump(self.TOPIC)
            return super().delete(*args, **kwargs)

    @property
    def rule(self) -> Rule:
        return Rule(
            name=f"rule {self.pk}" if self.pk else "the new rule",
            action=self.action,
            provider=self.provider,
            status=self.status,
            kind=self.kind,
            reason=self.reason,
            text=self.text,
            rest_s=self.rest_s,
            whole=self.whole,
        )


class UpstreamError(models.Model):
    """A failed attempt, as it was judged; the last few thousand are kept, to try changed rules on."""

    at = models.DateTimeField(db_index=True)
    request_id = models.CharField(max_length=40, blank=True)
    credential_id = models.BigIntegerField()
    provider = models.CharField(max_length=20)
    model = models.CharField(max_length=200)
    status = models.IntegerField()
    kind = models.CharField(max_length=20)
    reason = models.CharField(max_length=80, blank=True)
    message = models.CharField(max_length=500, blank=True, help_text="Without secrets.")
    judged = models.CharField(max_length=20, help_text="The built-in judgement, before any rule.")
    fault = models.CharField(max_length=20, help_text="What was done.")
    rest_s = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.status} {self.kind} {self.reason}"


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
