"""/api/invitations: for operators. A code is told when it is made, and never again."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import F, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import people_acts as acts
from accounts.api.people_serializers import (
    INVITATION_STATES,
    InvitationSerializer,
    InvitationsMadeSerializer,
    NewInvitationSerializer,
)
from accounts.models import Invitation
from accounts.services.invitations import open_now
from gateway.lib.api import Cursor


class InvitationFilter(django_filters.FilterSet):  # type: ignore[misc]
    q = django_filters.CharFilter(method="search", help_text="In the note; a code's beginning.")
    state = django_filters.ChoiceFilter(
        choices=[(name, name) for name in INVITATION_STATES], method="having_state"
    )

    class Meta:
        model = Invitation
        fields = ()

    def search(self, rows: QuerySet[Invitation], name: str, text: str) -> QuerySet[Invitation]:
        return rows.filter(Q(note__icontains=text) | Q(hint__startswith=text[:6]))

    def having_state(
        self, rows: QuerySet[Invitation], name: str, state: str
    ) -> QuerySet[Invitation]:
        left = Q(revoked_at=None, uses__lt=F("max_uses"))
        return rows.filter(
            {
                "open": open_now(),
                "revoked": Q(revoked_at__isnull=False),
                "used": Q(revoked_at=None, uses__gte=F("max_uses")),
                "expired": left & Q(expires_at__lte=timezone.now()),
            }[state]
        )


class Invitations(GenericViewSet[Invitation]):
    scope = "invitations"
    queryset = Invitation.objects.select_related("group", "created_by")
    pagination_class = Cursor
    filter_backends = (DjangoFilterBackend,)
    filterset_class = InvitationFilter
    serializer_class = InvitationSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_object(self) -> Invitation:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    @extend_schema(responses=InvitationSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(InvitationSerializer(page, many=True).data)

    @extend_schema(responses=InvitationSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(InvitationSerializer(self.get_object()).data)

    @extend_schema(request=NewInvitationSerializer, responses={201: InvitationsMadeSerializer})
    def create(self, request: Request) -> Response:
        """One, or `count` alike. `code` and `link` are shown this once."""
        form = NewInvitationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        made = acts.invite(request._request, dict(form.validated_data))
        told: list[dict[str, Any]] = [
            {
                **InvitationSerializer(one.row).data,
                "code": one.code,
                "link": acts.link_of(request._request, one.code),
            }
            for one in made
        ]
        answer = Response({"invitations": told}, status=status.HTTP_201_CREATED)
        answer["Cache-Control"] = "no-store"
        return answer

    @extend_schema(request=None, responses=InvitationSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Nobody comes by it any more; who came stays."""
        row = acts.revoke(request._request, self.get_object())
        return Response(InvitationSerializer(row).data)
