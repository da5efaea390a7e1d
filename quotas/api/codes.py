"""/api/codes: made once and shown once; afterwards they are listed by their first characters alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from gateway.lib.api import Cursor
from gateway.lib.audit import record_change
from gateway.lib.tables import csv_response
from quotas import services
from quotas.models import Campaign, Code
from quotas.services.codes import (
    HINT_LETTERS,
    MOST_CODES,
    MOST_USES,
    SHORTEST_HINT,
    normalized,
)

STATES = ("usable", "used", "expired", "revoked")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Half used",
            value={
                "id": 12,
                "campaign": 3,
                "masked": "WELC…",
                "state": "usable",
                "max_uses": 200,
                "uses": 100,
                "expires_at": None,
                "revoked_at": None,
                "created_at": "2026-11-20T08:00:00Z",
            },
            response_only=True,
        )
    ]
)
class CodeSerializer(serializers.ModelSerializer[Code]):
    masked = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField()

    class Meta:
        model = Code
        fields = (
            "id",
            "campaign",
            "masked",
            "state",
            "max_uses",
            "uses",
            "expires_at",
            "revoked_at",
            "created_at",
        )
        read_only_fields = fields

    def get_masked(self, code: Code) -> str:
        return f"{code.hint}…"

    def get_state(self, code: Code) -> str:
        if code.revoked_at is not None:
            return "revoked"
        if code.expires_at is not None and code.expires_at <= timezone.now():
            return "expired"
        return "used" if code.uses >= code.max_uses else "usable"


@extend_schema_serializer(
    examples=[
        OpenApiExample("Five hundred", value={"campaign": 3, "count": 500}, request_only=True),
        OpenApiExample(
            "A word of one's own",
            value={"campaign": 3, "words": ["WELCOME2026"], "max_uses": 200},
            request_only=True,
        ),
    ]
)
class NewCodesSerializer(serializers.Serializer[Any]):
    campaign = serializers.PrimaryKeyRelatedField(queryset=Campaign.objects.all())
    count = serializers.IntegerField(
        min_value=1, max_value=MOST_CODES, required=False, help_text="How many to draw."
    )
    words = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=MOST_CODES,
        required=False,
        allow_empty=False,
        help_text="Codes of one's own instead: 4 to 40 letters A to Z and digits.",
    )
    max_uses = serializers.IntegerField(
        min_value=1, max_value=MOST_USES, default=1, help_text="Of each code."
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("count" in attrs) is ("words" in attrs):
            raise serializers.ValidationError({"count": "Give a count or words, one of the two."})
        return attrs


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Shown this once",
            value={"campaign": 3, "codes": ["7KQ2M-XH4PD-9CTRB-W6YNA"]},
            response_only=True,
        )
    ]
)
class MadeCodesSerializer(serializers.Serializer[Any]):
    campaign = serializers.IntegerField()
    codes = serializers.ListField(
        child=serializers.CharField(), help_text="Shown this once: only their digests are kept."
    )


class CodeFilter(django_filters.FilterSet):  # type: ignore[misc]
    campaign = django_filters.NumberFilter("campaign", min_value=0, max_value=2**63 - 1)
    starts = django_filters.CharFilter("hint", method="beginning", help_text="How it begins.")
    state = django_filters.ChoiceFilter(
        choices=[(state, state) for state in STATES], method="in_state"
    )

    class Meta:
        model = Code
        fields = ("campaign", "starts", "state")

    def beginning(self, rows: QuerySet[Code], name: str, value: str) -> QuerySet[Code]:
        # A hint may be shorter than what is known of a code, and that of a short word is shorter than others'.
        known = normalized(value)
        whole = [known[:length] for length in range(SHORTEST_HINT, HINT_LETTERS)]
        return rows.filter(Q(hint__startswith=known[:HINT_LETTERS]) | Q(hint__in=whole))

    def in_state(self, rows: QuerySet[Code], name: str, state: str) -> QuerySet[Code]:
        if state == "revoked":
            return rows.exclude(revoked_at=None)
        over = Q(expires_at__lte=timezone.now())
        rows = rows.filter(revoked_at=None)
        if state == "expired":
            return rows.filter(over)
        rows = rows.exclude(over)
        return (
            rows.filter(uses__gte=F("max_uses"))
            if state == "used"
            else rows.filter(uses__lt=F("max_uses"))
        )


class Codes(ListModelMixin, RetrieveModelMixin, GenericViewSet[Code]):
    """For operators."""

    queryset = Code.objects.all()
    scope = "codes"
    serializer_class = CodeSerializer
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = CodeFilter
    lookup_value_regex = r"\d{1,18}"

    @extend_schema(request=NewCodesSerializer, responses={201: MadeCodesSerializer})
    def create(self, request: Request) -> Response:
        """Up to ten thousand new ones. They are in this answer and nowhere else."""
        campaign, made = self._make(request)
        return Response(
            {"campaign": campaign.pk, "codes": made},
            status=status.HTTP_201_CREATED,
            headers={"Cache-Control": "no-store"},
        )

    @extend_schema(
        request=NewCodesSerializer,
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "One code a line.")},
    )
    @action(detail=False, methods=["post"], url_path="csv")
    def make_csv(self, request: Request) -> StreamingHttpResponse:
        """The same as a table, for a mail merge."""
        campaign, made = self._make(request)
        rows = ((code, campaign.name) for code in made)
        return csv_response(request._request, "codes.csv", ("code", "campaign"), rows)

    @extend_schema(request=None, responses=CodeSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Nobody redeems it any more; what was redeemed stays."""
        code = self.get_object()
        before = {"revoked_at": code.revoked_at}
        with transaction.atomic():
            services.revoke_codes(codes=Code.objects.filter(pk=code.pk))
            code.refresh_from_db()
            record_change(
                request._request,
                action="codes.revoke",
                subject=f"code {code.pk}",
                before=before,
                after={"revoked_at": code.revoked_at},
                campaign=code.campaign_id,
            )
        return Response(CodeSerializer(code).data)

    def _make(self, request: Request) -> tuple[Campaign, list[str]]:
        form = NewCodesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        campaign: Campaign = asked["campaign"]
        bounds = {"max_uses": asked["max_uses"], "expires_at": asked["expires_at"]}
        with transaction.atomic():
            if "words" in asked:
                made = services.make_words(campaign=campaign, words=asked["words"], **bounds)
            else:
                made = services.make_codes(campaign=campaign, count=asked["count"], **bounds)
            record_change(
                request._request,
                action="codes.create",
                subject=f"campaign {campaign.pk}",
                before={},
                after=bounds,
                made=len(made),
            )
        return campaign, made
