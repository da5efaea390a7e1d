"""People, their `sk-` keys, and the link that makes the first operator."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from accounts import keys
from gateway.lib.models import Revisioned


class UserManager(DjangoUserManager["User"]):
    def create_superuser(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> User:
        """Django's own `createsuperuser` makes operators too."""
        extra_fields["role"] = User.Role.OPERATOR
        return super().create_superuser(username, email, password, **extra_fields)


class User(AbstractUser):
    """Someone who can sign in. Django's superusers are the operators, and nobody else is one."""

    class Role(models.TextChoices):
        OPERATOR = "operator"
        STEWARD = "steward"
        MEMBER = "member"
        CONTRIBUTOR = "contributor"

    role = models.CharField(max_length=12, choices=Role.choices, default=Role.MEMBER)

    objects: ClassVar[UserManager] = UserManager()

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                name="operators_are_superusers",
                condition=Q(role="operator", is_staff=True, is_superuser=True)
                | (~Q(role="operator") & Q(is_superuser=False)),
            )
        ]

    @property
    def is_operator(self) -> bool:
        return self.is_active and self.role == self.Role.OPERATOR


def check_model_globs(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(glob, str) and glob for glob in value):
        raise ValidationError("Give a list of model names or globs such as *flash*.")


class ApiKey(Revisioned):
    """A key that was handed out. The key itself is not kept: `digest` recognises it."""

    TOPIC: ClassVar[str] = "keys"

    public_id = models.CharField(max_length=keys.PUBLIC_ID_LENGTH, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    description = models.CharField(max_length=200, blank=True)
    # Protected: a person with keys is deactivated, not deleted, so that no key goes on without its owner.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="keys",
    )
    balance = models.OneToOneField("quotas.Balance", on_delete=models.PROTECT, related_name="key")
    unlimited = models.BooleanField(default=False)
    allowed_models = models.JSONField(
        default=list,
        blank=True,
        validators=[check_model_globs],
        help_text="Model names or globs; an empty list allows every model.",
    )
    is_active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(Revisioned.Meta):
        abstract = False
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="revoked_keys_are_inactive",
                condition=Q(revoked_at__isnull=True) | Q(is_active=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.masked} {self.description}".rstrip()

    @property
    def masked(self) -> str:
        return keys.masked(self.public_id)

    def state_at(self, now: datetime) -> str:
        """One of: active, paused, expired, revoked."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.is_active else "paused"


class SetupToken(models.Model):
    """A one-time link by which the first operator makes an account; only its digest is kept."""

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"set-up link of {self.created_at:%Y-%m-%d %H:%M}"
