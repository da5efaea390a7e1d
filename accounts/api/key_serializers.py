"""Keys and their templates in the management API. No answer holds a key, but for those that say `api_key`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts.filters import STATES
from accounts.models import ApiKey, Group, KeyTemplate, User
from accounts.models.keys import MAX_DAYS
from accounts.services.batches import CLAIM_DAYS, MAX_CLAIM_DAYS, MOST_KEYS
from accounts.services.rotation import MAX_OVERLAP_HOURS
from accounts.services.switching import ACTIONS, MOST_AT_ONCE
from accounts.shown import claim_of, quota_of
from gateway.lib import credits
from quotas.api.limits import CreditsField, LimitsSerializer
from quotas.services.limiting import values_of

KEY_STATES = tuple(name for name in STATES if name != "waiting")


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """Credits are decimal strings. `quota` and `remaining` null: there is no limit."""

    id = serializers.CharField(source="public_id", help_text="The public id.")
    key = serializers.CharField(source="masked")
    owner_name = serializers.CharField(source="owner.username", default=None, allow_null=True)
    group_name = serializers.CharField(source="group.name", default=None, allow_null=True)
    state = serializers.SerializerMethodField()
    waiting_until = serializers.SerializerMethodField(
        help_text="Nobody fetched it yet: until when the link to it works."
    )
    quota = serializers.SerializerMethodField()
    used = serializers.SerializerMethodField()
    reserved = serializers.SerializerMethodField(help_text="For calls that run now.")
    remaining = serializers.SerializerMethodField()
    limits = LimitsSerializer(allow_null=True)

    class Meta:
        model = ApiKey
        fields = (
            "id",
            "key",
            "description",
            "notes",
            "owner",
            "owner_name",
            "group",
            "group_name",
            "state",
            "held_by_operator",
            "waiting_until",
            "quota",
            "used",
            "reserved",
            "remaining",
            "limits",
            "expires_at",
            "lifetime_days",
            "first_used_at",
            "previous_until",
            "created_at",
            "last_used_at",
            "revoked_at",
            "deleted_at",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=KEY_STATES))
    def get_state(self, key: ApiKey) -> str:
        return key.state_at(timezone.now())

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_waiting_until(self, key: ApiKey) -> Any:
        claim = claim_of(key)
        return serializers.DateTimeField().to_representation(claim.expires_at) if claim else None

    def get_quota(self, key: ApiKey) -> str | None:
        quota = quota_of(key)
        return None if quota is None else credits.to_text(quota)

    def get_used(self, key: ApiKey) -> str:
        return credits.to_text(key.balance.used_micros)

    def get_reserved(self, key: ApiKey) -> str:
        return credits.to_text(key.balance.reserved_micros)

    def get_remaining(self, key: ApiKey) -> str | None:
        return None if key.balance.open_ended else credits.to_text(key.balance.remaining_micros)


class IssuedKeySerializer(KeySerializer):
    """The key itself, this once."""

    api_key = serializers.CharField()

    class Meta(KeySerializer.Meta):
        fields = ("api_key", *KeySerializer.Meta.fields)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


def _days(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=1, max_value=MAX_DAYS, allow_null=True, required=False, help_text=help_text
    )


class KeyTermsSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is, or as the template says."""

    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    notes = serializers.CharField(max_length=5000, allow_blank=True, required=False)
    owner = serializers.PrimaryKeyRelatedField(
        queryset=User.objects.all(), allow_null=True, required=False
    )
    group = serializers.PrimaryKeyRelatedField(
        queryset=Group.objects.all(),
        allow_null=True,
        required=False,
        help_text="Null: its owner's.",
    )
    quota = CreditsField(
        source="quota_micros", allow_null=True, required=False, help_text="Null: no limit."
    )
    limits = LimitsSerializer(required=False)
    expires_at = serializers.DateTimeField(allow_null=True, required=False)
    lifetime_days = _days("It ends so many days after its first use.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A hundred credits for Bob, ten calls a minute",
            value={
                "description": "Bob's laptop",
                "owner": 2,
                "quota": "100",
                "limits": {"rpm": 10, "allowed_models": ["*flash*"]},
                "lifetime_days": 30,
            },
            request_only=True,
        )
    ]
)
class IssueKeySerializer(KeyTermsSerializer):
    template = serializers.PrimaryKeyRelatedField(
        queryset=KeyTemplate.objects.all(),
        allow_null=True,
        required=False,
        help_text="What is not said here is taken from it.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "quota_micros" not in attrs and attrs.get("template") is None:
            raise serializers.ValidationError(
                {"quota": ["Say how many credits, or null for no limit."]}
            )
        if attrs.get("expires_at") is not None and attrs["expires_at"] <= timezone.now():
            raise serializers.ValidationError({"expires_at": ["It has to be in the future."]})
        return attrs


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Thirty keys for a workshop, to be fetched within a week",
            value={
                "count": 30,
                "description": "Workshop",
                "quota": "20",
                "hand_out": "claim_links",
                "claim_days": 7,
            },
            request_only=True,
        )
    ]
)
class KeyBatchSerializer(IssueKeySerializer):
    count = serializers.IntegerField(min_value=1, max_value=MOST_KEYS)
    hand_out = serializers.ChoiceField(
        choices=("keys", "claim_links"),
        default="keys",
        help_text="The keys themselves, or a link to each, behind which it is made when it is fetched.",
    )
    claim_days = serializers.IntegerField(
        min_value=1, max_value=MAX_CLAIM_DAYS, default=CLAIM_DAYS, help_text="A link works so long."
    )
    answer = serializers.ChoiceField(choices=("json", "csv"), default="json")


class HandedOutKeySerializer(serializers.Serializer[Any]):
    """One of `api_key` and `claim_link`, this once."""

    id = serializers.CharField()
    description = serializers.CharField()
    api_key = serializers.CharField(required=False)
    claim_link = serializers.CharField(required=False)


class KeyBatchAnswerSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    claimable_until = serializers.DateTimeField(allow_null=True)
    keys = HandedOutKeySerializer(many=True)


class RotateKeySerializer(serializers.Serializer[Any]):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=MAX_OVERLAP_HOURS,
        default=0,
        help_text="So long the old secret works beside the new one.",
    )


class GiveCreditsSerializer(serializers.Serializer[Any]):
    credits = CreditsField(
        min_value=Decimal(-credits.MAX_CREDITS),
        source="amount_micros",
        help_text="Below zero takes away.",
    )
    reason = serializers.CharField(
        max_length=200, allow_blank=True, default="", help_text="Stands in the ledger."
    )


class ShareKeySerializer(serializers.Serializer[Any]):
    renew = serializers.BooleanField(
        default=False, help_text="End the links that were handed out before."
    )


class ShareKeyAnswerSerializer(serializers.Serializer[Any]):
    link = serializers.CharField(help_text="To a page that only shows what is left.")


class ClaimLinkSerializer(serializers.Serializer[Any]):
    claim_days = serializers.IntegerField(min_value=1, max_value=MAX_CLAIM_DAYS, default=CLAIM_DAYS)


class ClaimLinkAnswerSerializer(serializers.Serializer[Any]):
    claim_link = serializers.CharField(help_text="Shown this once.")
    claimable_until = serializers.DateTimeField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Five more credits for each of a group's keys that has none left",
            value={
                "action": "grant",
                "credits": "5",
                "filter": {"group": "workshop", "exhausted": "true"},
                "expected": 12,
            },
            request_only=True,
        )
    ]
)
class ManyKeysSerializer(serializers.Serializer[Any]):
    """Which keys: either `ids` or `filter`, with the names that the list's query has; a filter that says nothing is refused."""

    action = serializers.ChoiceField(choices=tuple(ACTIONS))
    ids = serializers.ListField(
        child=serializers.RegexField(r"^[0-9A-Za-z]{12}\Z"), max_length=MOST_AT_ONCE, required=False
    )
    filter = serializers.DictField(
        child=serializers.JSONField(), required=False, help_text='For example {"owner": "bob"}.'
    )
    credits = CreditsField(
        source="amount_micros", required=False, help_text="For grant: to each of them."
    )
    group = serializers.PrimaryKeyRelatedField(
        queryset=Group.objects.all(), allow_null=True, required=False, help_text="For group."
    )
    reason = serializers.CharField(max_length=200, allow_blank=True, default="")
    dry_run = serializers.BooleanField(default=False, help_text="Only count them.")
    expected = serializers.IntegerField(
        min_value=0, required=False, help_text="409 when another number of keys is meant by now."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError("Say which keys: ids or filter, one of them.")
        if attrs["action"] == "grant" and not attrs.get("amount_micros"):
            raise serializers.ValidationError({"credits": ["Say how many, above zero."]})
        if attrs["action"] == "group" and "group" not in attrs:
            raise serializers.ValidationError({"group": ["Say which, or null for none."]})
        return attrs


class ManyKeysAnswerSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Keys that are meant.")
    changed = serializers.IntegerField(help_text="Of these, that the action changed.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A week's trial",
            value={
                "name": "Trial",
                "quota": "50",
                "lifetime_days": 7,
                "limits": {"rpm": 5, "allowed_models": ["*flash*"]},
            },
            request_only=True,
        )
    ]
)
class KeyTemplateSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(read_only=True)
    name = serializers.CharField(max_length=60)
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    quota = CreditsField(
        source="quota_micros", allow_null=True, required=False, help_text="Null: no limit."
    )
    expires_days = _days("It ends so many days after it is issued.")
    lifetime_days = _days("It ends so many days after its first use.")
    group = serializers.PrimaryKeyRelatedField(
        queryset=Group.objects.all(), allow_null=True, required=False
    )
    limits = LimitsSerializer(required=False, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "limits" in attrs and attrs["limits"] is None:
            attrs["limits"] = values_of(None)
        return attrs

    def validate_name(self, value: str) -> str:
        others = KeyTemplate.objects.filter(name=value)
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if others.exists():
            raise serializers.ValidationError("There is a template of this name already.")
        return value
