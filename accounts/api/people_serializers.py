"""People, groups and invitations in the management API. No answer holds a password, a code or a link, but for those that say so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts.models import Group, Invitation, User
from accounts.people_facts import total_of
from accounts.services.invitations import MOST_AT_ONCE, MOST_USES
from gateway.lib import credits
from gateway.lib.credits import MAX_CREDITS
from quotas.api.limits import CreditsField, LimitsSerializer
from quotas.services.limiting import values_of

INVITATION_STATES = ("open", "used", "expired", "revoked")
NO_LIMITS: dict[str, Any] = values_of(None)
"""What `limits: null` sets."""


class PrintableField(serializers.CharField):
    """Text for one line."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text.isprintable():
            raise serializers.ValidationError("Only printable characters.")
        return text


class WalletSerializer(serializers.Serializer[Any]):
    """What can be spent. `total` and `remaining` null: there is no limit."""

    total = serializers.SerializerMethodField()
    used = serializers.SerializerMethodField()
    reserved = serializers.SerializerMethodField(help_text="For calls that run now.")
    remaining = serializers.SerializerMethodField()

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_total(self, balance: Any) -> str | None:
        return total_of(balance)

    def get_used(self, balance: Any) -> str:
        return credits.to_text(balance.used_micros)

    def get_reserved(self, balance: Any) -> str:
        return credits.to_text(balance.reserved_micros)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_remaining(self, balance: Any) -> str | None:
        return None if balance.open_ended else credits.to_text(balance.remaining_micros)


_LIMITS = {"rpm": 30, "concurrency": 4}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A member",
            value={
                "id": 12,
                "username": "bob",
                "email": "bob@example.org",
                "first_name": "",
                "last_name": "",
                "role": "member",
                "group": 2,
                "group_name": "Friends",
                "is_active": True,
                "second_factor": True,
                "wallet": {"total": "100", "used": "12.5", "reserved": "0", "remaining": "87.5"},
                "limits": None,
                "last_login": "2026-11-20T08:00:00Z",
                "date_joined": "2026-11-01T08:00:00Z",
            },
            response_only=True,
        )
    ]
)
class UserSerializer(serializers.ModelSerializer[User]):
    # Not as an address: many have none.
    email = serializers.CharField(read_only=True)
    group_name = serializers.CharField(source="group.name", default=None, allow_null=True)
    second_factor = serializers.SerializerMethodField(
        help_text="Whether an authenticator app is asked for."
    )
    wallet = WalletSerializer(
        source="balance", allow_null=True, help_text="Null: nothing is counted."
    )
    limits = LimitsSerializer(allow_null=True, help_text="Their own; the group's apply besides.")

    class Meta:
        model = User
        fields = (
            "id",
            "username",
            "email",
            "first_name",
            "last_name",
            "role",
            "group",
            "group_name",
            "is_active",
            "second_factor",
            "wallet",
            "limits",
            "last_login",
            "date_joined",
        )
        read_only_fields = fields

    def get_second_factor(self, user: User) -> bool:
        return bool(getattr(user, "has_factor", False))


class UserTermsSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254, allow_blank=True, required=False)
    first_name = PrintableField(max_length=150, allow_blank=True, required=False)
    last_name = PrintableField(max_length=150, allow_blank=True, required=False)
    role = serializers.ChoiceField(choices=User.Role.choices, required=False)
    group = serializers.PrimaryKeyRelatedField(
        queryset=Group.objects.all(), allow_null=True, required=False
    )
    limits = LimitsSerializer(allow_null=True, required=False, help_text="Null: no limits.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "limits" in attrs and attrs["limits"] is None:
            attrs["limits"] = NO_LIMITS
        return attrs


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Into a group, ten calls a minute",
            value={"group": 2, "limits": {"rpm": 10}},
            request_only=True,
        )
    ]
)
class UserChangeSerializer(UserTermsSerializer):
    """What is left out stays."""

    username = PrintableField(max_length=150, required=False)
    is_active = serializers.BooleanField(required=False)
    wallet = CreditsField(
        source="wallet_micros",
        allow_null=True,
        required=False,
        help_text="The total; null: no limit.",
    )


@extend_schema_serializer(
    examples=[OpenApiExample("A member", value={"username": "bob", "group": 2}, request_only=True)]
)
class NewUserSerializer(UserTermsSerializer):
    username = PrintableField(max_length=150)


class PasswordLinkSerializer(serializers.Serializer[Any]):
    link = serializers.CharField(help_text="Sets the password, once. Shown this once.")
    hours = serializers.IntegerField(help_text="How long it works.")


class NewUserAnswerSerializer(UserSerializer):
    password_link = serializers.CharField(help_text="Sets the password, once. Shown this once.")

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "password_link")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class UserCreditsSerializer(serializers.Serializer[Any]):
    credits = CreditsField(
        min_value=Decimal(-MAX_CREDITS),
        source="amount_micros",
        help_text="Below zero takes away.",
    )
    reason = PrintableField(
        max_length=200, allow_blank=True, default="", help_text="Stands in the ledger."
    )


@extend_schema_serializer(
    component_name="PeopleGroup",
    examples=[
        OpenApiExample(
            "Friends: a hundred credits to begin with, shared pace",
            value={
                "name": "Friends",
                "member_grant": "100",
                "member_limits": _LIMITS,
                "limits": {"rpm": 120},
                "price_factor": "0.5",
            },
            request_only=True,
        )
    ],
)
class GroupSerializer(serializers.ModelSerializer[Group]):
    """`limits` are those of all members together, `member_limits` those of each; a member's own go before."""

    name = PrintableField(max_length=60)
    note = PrintableField(max_length=200, allow_blank=True, required=False)
    is_default = serializers.BooleanField(
        required=False, help_text="Whoever signs up joins it. There is one."
    )
    total = CreditsField(
        source="total_micros",
        allow_null=True,
        required=False,
        help_text="What all members together may spend; null: no limit.",
    )
    used = serializers.SerializerMethodField()
    member_grant = CreditsField(
        source="member_grant_micros",
        allow_null=True,
        required=False,
        help_text="What a new member begins with; null: no limit.",
    )
    member_keys = serializers.IntegerField(
        min_value=0, max_value=100_000, required=False, help_text="Keys a member may make."
    )
    tariff = PrintableField(max_length=60, allow_blank=True, required=False)
    price_factor = serializers.DecimalField(
        max_digits=6, decimal_places=3, min_value=Decimal(0), required=False
    )
    limits = LimitsSerializer(allow_null=True, required=False)
    member_limits = LimitsSerializer(allow_null=True, required=False)
    members = serializers.SerializerMethodField(help_text="How many there are.")

    class Meta:
        model = Group
        # A new default takes the place of the one before; the name is asked about above.
        validators = ()
        fields = (
            "id",
            "name",
            "note",
            "is_default",
            "total",
            "used",
            "member_grant",
            "member_keys",
            "tariff",
            "price_factor",
            "limits",
            "member_limits",
            "members",
            "created_at",
        )
        read_only_fields = ("id", "used", "members", "created_at")

    def get_used(self, group: Group) -> str:
        return credits.to_text(group.balance.used_micros if group.balance else 0)

    def get_members(self, group: Group) -> int:
        return int(getattr(group, "member_count", 0))

    def validate_name(self, value: str) -> str:
        others = Group.objects.filter(name__iexact=value)
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if others.exists():
            raise serializers.ValidationError("There is a group of this name already.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("limits", "member_limits"):
            if name in attrs and attrs[name] is None:
                attrs[name] = NO_LIMITS
        return attrs

    def to_representation(self, group: Group) -> dict[str, Any]:
        balance = group.balance
        open_ended = balance is None or balance.open_ended
        group.total_micros = None if open_ended else balance.total_micros  # type: ignore[attr-defined, union-attr]
        told: dict[str, Any] = super().to_representation(group)
        return told


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    hint = serializers.CharField(help_text="The code's first characters, to tell it by.")
    group_name = serializers.CharField(source="group.name", default=None, allow_null=True)
    state = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = Invitation
        fields = (
            "id",
            "hint",
            "note",
            "role",
            "group",
            "group_name",
            "state",
            "max_uses",
            "uses",
            "expires_at",
            "revoked_at",
            "created_by",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=INVITATION_STATES))
    def get_state(self, row: Invitation) -> str:
        return state_of(row)


def state_of(row: Invitation) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.uses >= row.max_uses:
        return "used"
    if row.expires_at is not None and row.expires_at <= timezone.now():
        return "expired"
    return "open"


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "For a class of thirty",
            value={"max_uses": 30, "group": 2, "note": "Autumn class"},
            request_only=True,
        ),
        OpenApiExample(
            "Twenty, for a person each", value={"count": 20, "note": "Friends"}, request_only=True
        ),
    ]
)
class NewInvitationSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(
        min_value=1, max_value=MOST_AT_ONCE, default=1, help_text="So many, alike."
    )
    role = serializers.ChoiceField(
        choices=User.Role.choices,
        default=User.Role.MEMBER,
        help_text="One for an operator or a steward works once, for a week at most, and only with a password.",
    )
    group = serializers.PrimaryKeyRelatedField(
        queryset=Group.objects.all(), allow_null=True, default=None
    )
    max_uses = serializers.IntegerField(min_value=1, max_value=MOST_USES, default=1)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)
    note = PrintableField(max_length=200, allow_blank=True, default="")


class InvitedSerializer(InvitationSerializer):
    code = serializers.CharField(help_text="Shown this once.")
    link = serializers.CharField(help_text="Shown this once.")

    class Meta(InvitationSerializer.Meta):
        fields = (*InvitationSerializer.Meta.fields, "code", "link")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class InvitationsMadeSerializer(serializers.Serializer[Any]):
    invitations = InvitedSerializer(many=True)
