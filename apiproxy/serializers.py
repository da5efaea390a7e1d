"""Shapes of the management API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


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
    dialect = serializers.CharField()
    action = serializers.CharField()
    model = serializers.CharField()
    requested_model = serializers.CharField(
        help_text="As the client wrote it: with variants, or an alias."
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
    duration_ms = serializers.IntegerField()
    receipt = ReceiptSerializer(allow_null=True)
