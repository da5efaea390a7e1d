"""Shapes of the management API."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apiproxy.models import RequestLog, UpstreamError, VerdictRule
from credentials.models import Provider


class OfferedModelSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    display_name = serializers.CharField()
    providers = serializers.ListField(child=serializers.CharField())
    price_credits = serializers.DecimalField(max_digits=20, decimal_places=6)


class AttemptSerializer(serializers.Serializer[Any]):
    credential = serializers.IntegerField()
    provider = serializers.CharField()
    status = serializers.IntegerField()
    outcome = serializers.CharField()
    reason = serializers.CharField()
    ms = serializers.IntegerField()


class ReceiptSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["open", "settled", "refunded"])
    reserved_micros = serializers.IntegerField()
    settled_micros = serializers.IntegerField()
    refunded_micros = serializers.IntegerField()
    reason = serializers.CharField()


class RequestSerializer(serializers.Serializer[Any]):
    """`receipt` is null for a call that reserved nothing."""

    request_id = serializers.CharField()
    at = serializers.DateTimeField()
    key_id = serializers.IntegerField(allow_null=True)
    owner_id = serializers.IntegerField(allow_null=True)
    group_id = serializers.IntegerField(allow_null=True)
    credential_id = serializers.IntegerField(allow_null=True)
    provider = serializers.CharField()
    dialect = serializers.CharField()
    action = serializers.CharField()
    model = serializers.CharField()
    requested_model = serializers.CharField(
        help_text="As the client wrote it: with variants, or an alias."
    )
    features = serializers.SerializerMethodField(
        help_text="What its price is multiplied for, such as search."
    )
    tariff = serializers.CharField(help_text="The price list; empty: everybody's.")
    broken = serializers.BooleanField(
        help_text="The answer broke off half-way: its tokens alone were charged."
    )
    stream = serializers.BooleanField()
    status = serializers.IntegerField()
    error_code = serializers.CharField()
    error = serializers.CharField()
    attempts = AttemptSerializer(many=True)
    dropped = serializers.ListField(child=serializers.CharField())
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    thinking_tokens = serializers.IntegerField()
    cost_micros = serializers.IntegerField()
    first_byte_ms = serializers.IntegerField(allow_null=True)
    waited_ms = serializers.IntegerField(help_text="In the queue of a limit.")
    duration_ms = serializers.IntegerField()
    receipt = ReceiptSerializer(allow_null=True)

    def get_features(self, log: RequestLog) -> list[str]:
        return [name for name in log.features.split(",") if name]


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A daily quota rests four hours",
            value={
                "position": 10,
                "status": 429,
                "reason": "daily_quota",
                "action": "rest",
                "rest_s": 14400,
            },
            request_only=True,
        )
    ]
)
class RuleSerializer(serializers.ModelSerializer[VerdictRule]):
    """The first rule that matches an upstream error decides; what is empty matches everything."""

    provider = serializers.ChoiceField(choices=Provider.choices, required=False, allow_blank=True)
    version = serializers.IntegerField(
        source="revision",
        required=False,
        help_text="As it was read; a change is refused when somebody changed the rule since.",
    )
    locked = serializers.SerializerMethodField(
        help_text="Set by the environment (AUTO_BAN): to be changed there."
    )

    class Meta:
        model = VerdictRule
        fields = (
            "id",
            "position",
            "enabled",
            "provider",
            "status",
            "kind",
            "reason",
            "text",
            "action",
            "rest_s",
            "whole",
            "note",
            "version",
            "locked",
        )

    def get_locked(self, row: VerdictRule) -> bool:
        return row.pk is None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            self.changed(attrs).clean()
        except ValidationError as exc:
            raise serializers.ValidationError(exc.messages) from exc
        return attrs

    def changed(self, attrs: dict[str, Any]) -> VerdictRule:
        """The row as it would be; not saved."""
        known = self.instance
        row = VerdictRule(pk=known.pk if known else None)
        for field in VerdictRule._meta.concrete_fields:
            name = field.attname
            if name in attrs or known is not None:
                setattr(row, name, attrs.get(name, getattr(known, name, None)))
        return row


class DryRunSerializer(serializers.Serializer[Any]):
    """Either the whole changed set, or one rule that is added, takes the place of another, or goes."""

    rules = RuleSerializer(many=True, required=False)
    rule = RuleSerializer(required=False)
    replaces = serializers.IntegerField(required=False, help_text="The id of the rule it changes.")
    deletes = serializers.IntegerField(required=False, help_text="The id of the rule that goes.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs.keys() & {"rules", "rule", "deletes"}) != 1:
            raise serializers.ValidationError("Give one of rules, rule and deletes.")
        return attrs


class OutcomeSerializer(serializers.Serializer[Any]):
    fault = serializers.CharField()
    rest_s = serializers.IntegerField()
    whole = serializers.BooleanField(help_text="A rule rests it for every model.")
    rule = serializers.CharField(help_text="Empty: the built-in judgement.")


class SampleSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    request_id = serializers.CharField()
    credential_id = serializers.IntegerField(source="error.credential_id")
    provider = serializers.CharField(source="error.provider")
    model = serializers.CharField(source="error.model")
    status = serializers.IntegerField(source="error.status")
    kind = serializers.CharField(source="error.kind")
    reason = serializers.CharField(source="error.reason")
    message = serializers.CharField(source="error.message")
    was = OutcomeSerializer()
    would = OutcomeSerializer()


class LentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]


class ChangeSerializer(serializers.Serializer[Any]):
    was = serializers.CharField()
    would = serializers.CharField()
    count = serializers.IntegerField()


class TrialSerializer(serializers.Serializer[Any]):
    """`disabled`, `spared`: credentials that only the changed rules, or only those in use, take out."""

    errors = serializers.IntegerField()  # type: ignore[assignment]
    changed = serializers.IntegerField()
    since = serializers.DateTimeField(allow_null=True)
    changes = ChangeSerializer(many=True)
    disabled = LentSerializer(many=True)
    spared = LentSerializer(many=True)
    decided = serializers.DictField(child=serializers.IntegerField())
    samples = SampleSerializer(many=True)


class UpstreamErrorSerializer(serializers.ModelSerializer[UpstreamError]):
    class Meta:
        model = UpstreamError
        fields = (
            "id",
            "at",
            "request_id",
            "credential_id",
            "provider",
            "model",
            "status",
            "kind",
            "reason",
            "message",
            "judged",
            "fault",
            "rest_s",
        )


class UpstreamErrorFilters(serializers.Serializer[Any]):
    credential_id = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    status = serializers.IntegerField(required=False, min_value=0, max_value=599)
    kind = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)
    provider = serializers.CharField(required=False)
    fault = serializers.CharField(required=False)
