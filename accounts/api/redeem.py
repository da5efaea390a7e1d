"""/api/redeem: a code, into one's own wallet or one of one's own keys."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import ApiKey
from gateway.lib.access import IsSignedIn
from gateway.lib.audit import record_request
from gateway.lib.credits import to_text
from gateway.lib.errors import Conflict, InvalidRequest, PermissionDenied
from gateway.lib.throttles import address_of
from quotas import services as quota_services
from quotas.api.limits import CreditsField
from quotas.models import Balance


@extend_schema_serializer(
    examples=[
        OpenApiExample("Into the wallet", value={"code": "WELCOME2026"}, request_only=True),
        OpenApiExample(
            "Into a key", value={"code": "WELCOME2026", "key": "Ab3xYz12Qw90"}, request_only=True
        ),
    ]
)
class RedeemSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=100)
    key = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        default="",
        help_text="The public id of one of one's own keys; empty: the wallet.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A gift for a month",
            value={
                "campaign": "Spring 2026",
                "credits": "100",
                "expires_at": "2026-12-20T08:00:00Z",
                "remaining_credits": "130.5",
            },
            response_only=True,
        )
    ]
)
class RedeemedSerializer(serializers.Serializer[Any]):
    campaign = serializers.CharField()
    credits = CreditsField(source="amount_micros")
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="What is left of them then goes; null: never."
    )
    remaining_credits = CreditsField(source="remaining_micros", help_text="On the balance now.")


class Redeem(APIView):
    """For whoever has an account here."""

    permission_classes = (IsSignedIn,)
    scope = "redeem"

    @extend_schema(request=RedeemSerializer, responses=RedeemedSerializer)
    def post(self, request: Request) -> Response:
        """Each code as often as it is good for, and each person once in most campaigns."""
        form = RedeemSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        if request.user.pk is None:
            raise PermissionDenied(
                "A code is redeemed by a person, and the panel password is nobody: sign in with an account."
            )
        balance, subject = _balance_of(request.user, form.validated_data["key"])
        with transaction.atomic():
            redeemed = quota_services.redeem(
                code=form.validated_data["code"],
                balance=balance,
                user=request.user,
                address=address_of(request),
            )
            record_request(
                request._request,
                action="codes.redeem",
                subject=subject,
                campaign=redeemed.campaign,
                credits=to_text(redeemed.amount_micros),
            )
            balance.refresh_from_db()
        told = {
            "campaign": redeemed.campaign,
            "amount_micros": redeemed.amount_micros,
            "expires_at": redeemed.expires_at,
            "remaining_micros": balance.remaining_micros,
        }
        return Response(RedeemedSerializer(told).data)


def _balance_of(user: Any, public_id: str) -> tuple[Balance, str]:
    """And what it is called in the audit log. Raises InvalidRequest, Conflict."""
    if not public_id:
        if user.balance is None or user.balance.open_ended:
            raise Conflict(
                "There is no limit to your wallet, so a code adds nothing: redeem it into one of your keys."
            )
        return user.balance, f"user {user.username}"
    plain = public_id.replace("\0", "")
    key = ApiKey.objects.select_related("balance").filter(
        owner=user.pk, public_id=plain, deleted_at=None, revoked_at=None
    )
    found = key.first()
    if found is None:
        raise InvalidRequest("You have no such key: take its public id from the list.", param="key")
    return found.balance, f"key {found.public_id}"
