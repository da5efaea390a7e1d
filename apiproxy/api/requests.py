"""/api/requests: the request log, for operators; /api/my/requests: one's own calls, for whoever is signed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.utils import translate_validation
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apiproxy.api.filters import OwnRequestFilter, RequestFilter
from apiproxy.api.pages import LogCursor
from apiproxy.api.serializers import (
    OwnRequestRowSerializer,
    OwnRequestSerializer,
    RequestRowSerializer,
)
from apiproxy.models import RequestLog
from apiproxy.selectors import explained
from apiproxy.selectors.requests import all_of
from apiproxy.serializers import RequestSerializer
from gateway.lib.access import IsSignedIn
from gateway.lib.credits import to_text
from gateway.lib.tables import csv_response

CSV = {(200, "text/csv"): OpenApiTypes.STR}
_ID = OpenApiParameter(
    "request_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="As in `x-request-id`."
)
_COLUMNS = (
    "request_id",
    "at",
    "key_id",
    "dialect",
    "action",
    "model",
    "requested_model",
    "stream",
    "status",
    "error_code",
    "error",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "thinking_tokens",
    "first_byte_ms",
    "waited_ms",
    "duration_ms",
)
_POOL_COLUMNS = ("owner_id", "group_id", "credential_id", "provider")


class Requests(GenericViewSet[RequestLog]):
    """The request log. Operators only."""

    scope = "requests"
    queryset = RequestLog.objects.defer("attempts", "dropped")
    pagination_class = LogCursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = RequestFilter
    serializer_class: type[OwnRequestRowSerializer] = RequestRowSerializer
    detail_serializer: type[RequestSerializer] = RequestSerializer
    columns: tuple[str, ...] = (*_COLUMNS, *_POOL_COLUMNS)
    lookup_field = "request_id"
    lookup_value_regex = "[^/]+"

    @extend_schema(responses=RequestRowSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first. A page may be short, or empty, although there is a `next` one: what few calls have in common is looked for
        a stretch of the log at a time."""
        rows, indexed = self._wanted(request)
        page = self.paginator.page_of(rows, request, indexed=indexed)  # type: ignore[union-attr]
        return self.get_paginated_response(self.serializer_class(page, many=True).data)

    @extend_schema(parameters=[_ID], responses=RequestSerializer)
    def retrieve(self, request: Request, request_id: str) -> Response:
        """Why a request went as it did, by the id every answer carries as `x-request-id`."""
        found = explained(request_id)
        if found is None or not self.may_see(request, found[0]):
            raise NotFound("no request with this id: it may still be running")
        log, receipt = found
        log.receipt = receipt  # type: ignore[attr-defined]
        return Response(self.detail_serializer(log).data)

    @extend_schema(responses=CSV)
    def csv(self, request: Request) -> StreamingHttpResponse:
        """All that the filters leave, newest first."""
        rows, indexed = self._wanted(request)
        header = [*self.columns, "credits"]
        return csv_response(
            request._request, "requests.csv", header, self._lines(rows, indexed=indexed)
        )

    def may_see(self, request: Request, log: RequestLog) -> bool:
        return True

    def _wanted(self, request: Request) -> tuple[QuerySet[RequestLog], bool]:
        filters = self.filterset_class(request.query_params, queryset=self.get_queryset())
        if not filters.is_valid():
            raise translate_validation(filters.errors)
        return filters.qs, filters.indexed

    def _lines(self, rows: QuerySet[RequestLog], *, indexed: bool) -> Iterator[Sequence[Any]]:
        for some in all_of(rows, indexed=indexed):
            for log in some:
                line = [getattr(log, name) for name in self.columns]
                line[1] = log.at.isoformat()
                yield [*line, to_text(log.cost_micros)]


@extend_schema_view(
    list=extend_schema(responses=OwnRequestRowSerializer(many=True)),
    retrieve=extend_schema(responses=OwnRequestSerializer),
)
class MyRequests(Requests):
    """The calls of one's own keys, as they were owned when each call was made. Whose credential answered is not told."""

    permission_classes = (IsSignedIn,)
    filterset_class = OwnRequestFilter
    serializer_class = OwnRequestRowSerializer
    detail_serializer = OwnRequestSerializer
    columns = _COLUMNS

    def get_queryset(self) -> QuerySet[RequestLog]:
        # The panel password is nobody: without a number it owns nothing, not what is without an owner.
        own = self.request.user.pk
        rows = super().get_queryset()
        return rows.filter(owner_id=own) if own else rows.none()

    def may_see(self, request: Request, log: RequestLog) -> bool:
        return bool(request.user.pk) and log.owner_id == request.user.pk
