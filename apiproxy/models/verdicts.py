"""What upstream errors mean to a site, and those there were."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, transaction

from apiproxy.rules import Rule, problems
from gateway.lib.models import Revisioned, bump

PROVIDERS = ("gemini_api", "code_assist")
"""Whose errors a rule may be about."""


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
