"""/api/tokens: tokens by which scripts ask in the name of a person. Everybody has their own; operators see and revoke all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.models import ApiToken
from accounts.services import tokens
from gateway.lib.access import IsSignedIn, is_operator
from gateway.lib.api import Cursor
from gateway.lib.audit import record_change
from gateway.lib.errors import PermissionDenied

STATES = ("active", "expired", "revoked")

_EXAMPLE = {
    "id": 3,
    "name": "nightly report",
    "owner": "alice",
    "masked": "wsp_Ab3x…",
    "scopes": ["requests:read", "usage:read"],
    "state": "active",
    "created_at": "2026-11-20T08:00:00Z",
    "expires_at": None,
    "last_used_at": "2026-11-20T09:15:00Z",
    "revoked_at": None,
}


@extend_schema_serializer(
    examples=[OpenApiExample("For a report", value=_EXAMPLE, response_only=True)]
)
class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    owner = serializers.CharField(source="owner.username")
    masked = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.CharField())
    state = serializers.SerializerMethodField()

    class Meta:
        model = ApiToken
        fields = (
            "id",
            "name",
            "owner",
            "masked",
            "scopes",
            "state",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )
        read_only_fields = fields

    def get_masked(self, token: ApiToken) -> str:
        return f"{token.hint}…"

    def get_state(self, token: ApiToken) -> str:
        if token.revoked_at:
            return "revoked"
        over = token.expires_at is not None and token.expires_at <= timezone.now()
        return "expired" if over else "active"


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "For a report",
            value={"name": "nightly report", "scopes": ["requests:read", "usage:read"]},
            request_only=True,
        )
    ]
)
class NewTokenSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, help_text="What it is for.")
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=60),
        allow_empty=False,
        max_length=100,
        help_text="`resource:read` or `resource:write`, which reads too; `*` is everything.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Shown this once",
            value={**_EXAMPLE, "token": "wsp_Ab3x…"},
            response_only=True,
        )
    ]
)
class MadeTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="Shown this once: only its digest is kept.")

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class TokenFilter(django_filters.FilterSet):  # type: ignore[misc]
    owner = django_filters.CharFilter("owner__username", help_text="A user name.")
    state = django_filters.ChoiceFilter(
        choices=[(state, state) for state in STATES], method="in_state"
    )

    class Meta:
        model = ApiToken
        fields = ("owner", "state")

    def in_state(self, rows: QuerySet[ApiToken], name: str, state: str) -> QuerySet[ApiToken]:
        over = Q(expires_at__lte=timezone.now())
        if state == "revoked":
            return rows.exclude(revoked_at=None)
        found = rows.filter(revoked_at=None)
        return found.filter(over) if state == "expired" else found.exclude(over)


class Tokens(ListModelMixin, RetrieveModelMixin, GenericViewSet[ApiToken]):
    """One's own; of everybody for operators."""

    queryset = ApiToken.objects.select_related("owner")
    permission_classes = (IsSignedIn,)
    scope = "tokens"
    serializer_class = TokenSerializer
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = TokenFilter
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[ApiToken]:
        rows = super().get_queryset()
        return rows if is_operator(self.request.user) else rows.filter(owner=self.request.user.pk)

    @extend_schema(request=NewTokenSerializer, responses={201: MadeTokenSerializer})
    def create(self, request: Request) -> Response:
        """A token of the asker. One that a token asks for cannot do more, or last longer, than that one."""
        form = NewTokenSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        if request.user.pk is None:
            raise PermissionDenied(
                "A token belongs to a person, and the panel password is nobody: sign in with an account."
            )
        asked = form.validated_data
        by: Any = request.auth
        with transaction.atomic():
            token, text = tokens.make_token(
                owner=request.user,
                name=asked["name"],
                scopes_=asked["scopes"],
                expires_at=asked["expires_at"],
                by=by,
            )
            record_change(
                request._request,
                action="tokens.create",
                subject=f"token {token.pk}",
                before={},
                after=_facts(token),
            )
        token.token = text  # type: ignore[attr-defined]
        return Response(
            MadeTokenSerializer(token).data,
            status=status.HTTP_201_CREATED,
            headers={"Cache-Control": "no-store"},
        )

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revokes it: from the next request on it is refused. It stays in the list."""
        token = self.get_object()
        before = {"revoked_at": token.revoked_at}
        with transaction.atomic():
            token = tokens.revoke_token(token=token)
            record_change(
                request._request,
                action="tokens.revoke",
                subject=f"token {token.pk}",
                before=before,
                after={"revoked_at": token.revoked_at},
                name=token.name,
                owner=token.owner.username,
            )
        return Response(status=status.HTTP_204_NO_CONTENT)


def _facts(token: ApiToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "owner": token.owner.username,
        "scopes": token.scopes,
        "expires_at": token.expires_at,
    }
