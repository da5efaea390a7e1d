"""/api/contributors: who lends, what it served, and whether they can be told. Their link is made anew for operators alone."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from credentials import links, services
from credentials.models import Contributor
from credentials.selectors import contributors
from gateway.lib import audit
from gateway.lib.access import IsOperator, IsSteward
from gateway.lib.api import Pages


class ContributorSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="contributor.public_id")
    name = serializers.CharField(source="contributor.name")
    email = serializers.CharField(source="contributor.email")
    username = serializers.CharField(
        allow_blank=True, help_text="Of their account here; empty without one."
    )
    told_by = serializers.ListField(
        child=serializers.CharField(),
        help_text="email, webhook; empty: they see notices on their page.",
    )
    created_at = serializers.DateTimeField(source="contributor.created_at")
    lent = serializers.IntegerField(help_text="Credentials they lend now.")
    usable = serializers.IntegerField()
    attention = serializers.IntegerField(help_text="Of these, that need a person.")
    withdrawn = serializers.IntegerField()
    served = serializers.IntegerField(help_text="Calls, as long as figures are kept.")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    notices_open = serializers.IntegerField()
    notices_unsent = serializers.IntegerField(help_text="Of these, that were not delivered yet.")


class LinkSerializer(serializers.Serializer[Any]):
    link = serializers.CharField(help_text="Shown this once. The old one has ended.")


class Contributors(GenericViewSet[Contributor]):
    """For operators and stewards; a new link for operators."""

    queryset = Contributor.objects.select_related("user").order_by("-created_at", "-pk")
    permission_classes = (IsSteward,)
    scope = "contributors"
    pagination_class = Pages
    serializer_class = ContributorSerializer
    lookup_field = "public_id"
    lookup_value_regex = r"[\w-]+"

    @extend_schema(
        parameters=[OpenApiParameter("q", str, description="In name, e-mail or user name.")],
        responses=ContributorSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        """Newest first."""
        rows = _meant(self.get_queryset(), request.query_params.get("q", ""))
        page = self.paginate_queryset(rows) or []
        return self.get_paginated_response(
            ContributorSerializer(contributors.described(page), many=True).data
        )

    @extend_schema(responses=ContributorSerializer)
    def retrieve(self, request: Request, public_id: str) -> Response:
        """One of them; `/api/credentials?contributor=<id>` lists what they lend."""
        (one,) = contributors.described([self.get_object()])
        return Response(ContributorSerializer(one).data)

    @extend_schema(request=None, responses=LinkSerializer)
    @action(detail=True, methods=["post"], permission_classes=(IsOperator,))
    def link(self, request: Request, public_id: str) -> Response:
        """A new secret link to their page, for someone who lost theirs."""
        contributor = self.get_object()
        with transaction.atomic():
            contributor = services.renew_link(contributor_id=contributor.pk)
            audit.record_request(
                request._request,
                action="contributors.link",
                subject=f"contributor {contributor.public_id}",
            )
        site = settings.PUBLIC_URL or request.build_absolute_uri("/")
        answer = Response({"link": links.link_of(contributor, site.rstrip("/"))})
        answer["Cache-Control"] = "no-store"
        return answer


def _meant(rows: QuerySet[Contributor], text: str) -> QuerySet[Contributor]:
    # PostgreSQL takes no NUL.
    text = text.replace("\0", "")
    if not text:
        return rows
    return rows.filter(
        Q(name__icontains=text) | Q(email__icontains=text) | Q(user__username__icontains=text)
    )
