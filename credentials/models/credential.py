"""Lent upstream credentials, where they stand, and how they came to stand there."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone

from credentials.caps import Caps, Hours
from credentials.models.contributor import Contributor
from credentials.states import MAX_HELP_URL, MAX_REASON, RESTING, Standing, State
from gateway.lib.fields import EncryptedJSONField
from gateway.lib.models import Revisioned

TOPIC = "credentials"

_LABELS = {state.value: state.value.replace("_", " ") for state in State}
CREDENTIAL_STATES = [(value, name) for value, name in _LABELS.items() if value != State.MISSING]
MODEL_STATES = [(value, _LABELS[value]) for value in ("active", *sorted(map(str, RESTING)))]


class Provider(models.TextChoices):
    GEMINI_API = "gemini_api", "Gemini API key"
    CODE_ASSIST = "code_assist", "Google OAuth (Code Assist)"


def new_name() -> str:
    return f"credential-{secrets.token_hex(6)}.json"


class Revocation(models.TextChoices):
    """Of the grant at Google, when its contributor withdrew it. Empty: not asked for."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused", "refused by Google"


class Credential(Revisioned):
    """One pool entry. Rows are withdrawn, never deleted: the processes learn of changes from changed rows.

    `secret` opens to {"api_key"} or to {"client_id", "client_secret", "refresh_token", "access_token", "expires_at",
    "token_uri", "scopes"}: `expires_at` in epoch seconds, all but `refresh_token` optional, {} once withdrawn.
    """

    TOPIC: ClassVar[str] = TOPIC

    provider = models.CharField(max_length=20, choices=Provider.choices)
    name = models.CharField(
        max_length=200,
        unique=True,
        default=new_name,
        help_text="File name by which exports and older clients know it.",
    )
    label = models.CharField(max_length=200, blank=True)
    secret = EncryptedJSONField(editable=False)
    fingerprint = models.CharField(
        max_length=64, editable=False, help_text="SHA-256 of the API key or the refresh token"
    )
    email = models.CharField(max_length=254, blank=True, db_index=True)
    project_id = models.CharField(max_length=100, blank=True)
    tier = models.CharField(max_length=40, blank=True)
    preview = models.BooleanField(
        null=True,
        blank=True,
        help_text="Whether its account may use preview models; unknown at first.",
    )
    contributor = models.ForeignKey(
        Contributor,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="credentials",
    )
    state = models.CharField(
        max_length=20, choices=CREDENTIAL_STATES, default=State.ACTIVE.value, db_index=True
    )
    state_reason = models.CharField(max_length=MAX_REASON, blank=True)
    state_until = models.DateTimeField(null=True, blank=True)
    help_url = models.CharField(max_length=MAX_HELP_URL, blank=True)
    weight = models.PositiveSmallIntegerField(default=1)
    tags = models.JSONField(default=list, blank=True)
    proxy = EncryptedJSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text='{"url": "socks5://user:password@host:1080"} or {}',
    )
    calls_a_day = models.PositiveIntegerField(null=True, blank=True)
    model_calls_a_day = models.JSONField(
        default=dict, blank=True, help_text='{"gemini-2.5-pro*": 100}: calls a day by name or glob.'
    )
    hours_from = models.PositiveSmallIntegerField(null=True, blank=True, help_text="0 to 23")
    hours_to = models.PositiveSmallIntegerField(null=True, blank=True, help_text="0 to 23")
    hours_zone = models.CharField(max_length=64, blank=True, help_text="Europe/Berlin; empty: UTC")
    allowed_models = models.JSONField(
        default=list, blank=True, help_text="Names or globs; empty: every model."
    )
    stop_below_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="What the contributor keeps of the daily quota."
    )
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    connected_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When the secret it has now came in."
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True, editable=False)
    secret_destroyed_at = models.DateTimeField(null=True, blank=True, editable=False)
    revocation = models.CharField(
        max_length=12, choices=Revocation.choices, blank=True, editable=False
    )
    probe_at = models.DateTimeField(
        null=True, blank=True, editable=False, db_index=True, help_text="When upkeep tests it next."
    )
    probe_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    refresh_lease_until = models.DateTimeField(null=True, editable=False)
    source = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "fingerprint", "project_id"], name="credential_identity"
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gte=1), name="credential_weight_positive"
            ),
        ]

    @property
    def kind(self) -> str:
        """As those who lend it call it."""
        lent_as: str = self.get_provider_display()
        return "Google account" if self.provider == Provider.CODE_ASSIST else lent_as

    def __str__(self) -> str:
        return self.label or f"{self.provider} {self.pk}"

    def __repr__(self) -> str:
        return f"<Credential {self.pk} {self.provider} {self.state}>"

    @property
    def proxy_url(self) -> str:
        """With its password; "" for none. Raises SecretUnreadable."""
        url: str = self.proxy.open().get("url", "")
        return url

    @property
    def caps(self) -> Caps:
        hours = None
        if self.hours_from is not None and self.hours_to is not None:
            hours = Hours(self.hours_from, self.hours_to, self.hours_zone or "UTC")
        return Caps(
            calls_a_day=self.calls_a_day,
            model_calls_a_day=tuple(sorted(self.model_calls_a_day.items())),
            hours=hours,
            models=tuple(self.allowed_models),
            stop_below_percent=self.stop_below_percent or 0,
        )

    @property
    def standing(self) -> Standing:
        return Standing(
            State(self.state), self.state_reason, epoch(self.state_until), self.help_url
        )

    @standing.setter
    def standing(self, value: Standing) -> None:
        self.state = value.state.value
        self.state_reason = value.reason
        self.state_until = moment(value.until)
        self.help_url = value.help_url


class ModelState(Revisioned):
    """Where a credential stands for one model. No row, or "active": nothing is known against it."""

    TOPIC: ClassVar[str] = TOPIC

    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="model_states"
    )
    model = models.CharField(max_length=150)
    state = models.CharField(max_length=20, choices=MODEL_STATES)
    reason = models.CharField(max_length=MAX_REASON, blank=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["credential", "model"], name="model_state_identity")
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.state}"

    @property
    def standing(self) -> Standing:
        return Standing(State(self.state), self.reason, epoch(self.until))

    @standing.setter
    def standing(self, value: Standing) -> None:
        self.state = value.state.value
        self.reason = value.reason
        self.until = moment(value.until)


class StateChange(models.Model):
    """The history, append-only. `event`: what happened, as in `states.Event`, or paused, resumed. `by`: "google" for an
    upstream's answer, else the person: a user's name, "contributor", "upkeep".
    """

    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="state_changes"
    )
    model = models.CharField(max_length=150, blank=True)
    event = models.CharField(max_length=20, blank=True)
    from_state = models.CharField(max_length=20)
    to_state = models.CharField(max_length=20)
    reason = models.CharField(max_length=MAX_REASON, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    by = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.model or 'credential'}: {self.from_state} to {self.to_state}"


def epoch(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def moment(epoch_s: float) -> datetime | None:
    return datetime.fromtimestamp(epoch_s, tz=UTC) if epoch_s else None
