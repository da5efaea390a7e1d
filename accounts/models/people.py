"""People, their groups, and the ways in: the link that makes the first operator, and invitations."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.db.models import F, Q
from django.utils.crypto import salted_hmac


class Group(models.Model):
    """People who share limits, a balance or a price list, and what its new members begin with."""

    name = models.CharField(max_length=60, unique=True)
    note = models.CharField(max_length=200, blank=True)
    is_default = models.BooleanField(
        default=False, help_text="Whoever signs up joins it, unless an invitation names another."
    )
    # What all members together may spend; without one nothing is counted for the group.
    balance = models.OneToOneField(
        "quotas.Balance", null=True, blank=True, on_delete=models.PROTECT, related_name="group"
    )
    limits = models.OneToOneField(
        "quotas.Limits", null=True, blank=True, on_delete=models.SET_NULL, related_name="group"
    )
    # What each member may do; a member's own limits go before, field by field.
    member_limits = models.OneToOneField(
        "quotas.Limits",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="group_of_members",
    )
    member_grant_micros = models.BigIntegerField(
        null=True, blank=True, help_text="Credits a new member begins with; empty: no total limit."
    )
    member_keys = models.PositiveIntegerField(
        default=5, help_text="How many keys a member may make; 0: none."
    )
    tariff = models.CharField(
        max_length=60, blank=True, help_text="Which price list counts; empty: everybody's."
    )
    price_factor = models.DecimalField(
        max_digits=6, decimal_places=3, default=1, help_text="Multiplies every price."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="group_factor_not_negative", condition=Q(price_factor__gte=0)
            ),
            models.UniqueConstraint(
                name="one_default_group", fields=["is_default"], condition=Q(is_default=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name


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
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.PROTECT, related_name="members"
    )
    # Made when the person first has something to spend, or a limit; without one nothing of theirs is counted.
    balance = models.OneToOneField(
        "quotas.Balance", null=True, blank=True, on_delete=models.PROTECT, related_name="user"
    )
    limits = models.OneToOneField(
        "quotas.Limits", null=True, blank=True, on_delete=models.SET_NULL, related_name="user"
    )

    sessions_version = models.PositiveIntegerField(
        default=1, editable=False, help_text="Raised to end all sessions of the person."
    )

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

    def _get_session_auth_hash(self, secret: Any = None) -> str:
        """Every session carries it, and one with another is over: a new password ends them, and so does a new version."""
        kept = f"{self.password}:{self.sessions_version}"
        salt = "accounts.User.sessions"
        return salted_hmac(salt, kept, secret=secret, algorithm="sha256").hexdigest()


class SetupToken(models.Model):
    """A one-time link by which the first operator makes an account; only its digest is kept."""

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"set-up link of {self.created_at:%Y-%m-%d %H:%M}"


class Invitation(models.Model):
    """Lets somebody sign up, once or several times; only the digest of its code is kept."""

    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12, help_text="The code's first characters, to tell it by.")
    note = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=12, choices=User.Role.choices, default=User.Role.MEMBER)
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.PROTECT, related_name="invitations"
    )
    max_uses = models.PositiveIntegerField(default=1)
    uses = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="invitations"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="invitation_uses_in_bounds", condition=Q(uses__lte=F("max_uses"))
            ),
        ]

    def __str__(self) -> str:
        return f"invitation {self.hint}…"


class InvitationUse(models.Model):
    """Who came by an invitation."""

    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, related_name="used_by")
    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="invited_by")
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.user} by {self.invitation}"
