"""/api/imports: files and pastes come in, with a preview before anything is stored. For operators and stewards: a secret
goes in and never comes out.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from credentials import uploads
from credentials.models import Contributor, Import, ImportItem
from credentials.services import Outcome, intake
from gateway.lib.access import IsSteward
from gateway.lib.api import Pages
from gateway.lib.errors import InvalidRequest
from gateway.lib.parsers import JSON


class CountsSerializer(serializers.Serializer[dict[str, int]]):
    new = serializers.IntegerField()
    updated = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    unusable = serializers.IntegerField()


class ImportSerializer(serializers.ModelSerializer[Import]):
    counts = CountsSerializer(read_only=True, help_text="As foreseen, then as done.")

    class Meta:
        model = Import
        fields = (
            "id",
            "source",
            "state",
            "counts",
            "contributor",
            "tags",
            "actor",
            "job",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields


class ImportItemSerializer(serializers.ModelSerializer[ImportItem]):
    class Meta:
        model = ImportItem
        fields = (
            "position",
            "source",
            "outcome",
            "provider",
            "label",
            "reason",
            "credential",
            "stored_at",
        )
        read_only_fields = fields


class UploadSerializer(serializers.Serializer[Any]):
    """Files in fields of any name (multipart), or a text, or both."""

    files = serializers.ListField(child=serializers.FileField(), required=False)
    text = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, write_only=True
    )
    tags = serializers.CharField(
        required=False, allow_blank=True, help_text="For all that is stored, with commas."
    )
    contributor = serializers.IntegerField(
        required=False, allow_null=True, help_text="In whose name; none: nobody's."
    )
    password = serializers.CharField(
        required=False, allow_blank=True, write_only=True, help_text="Of locked ZIPs."
    )


class ConfirmSerializer(serializers.Serializer[Any]):
    test = serializers.BooleanField(default=False, help_text="Try afterwards what came in.")


_PASTE = OpenApiExample(
    "A paste", value={"text": "AIzaSy…\nAIzaSy…", "tags": "march"}, request_only=True
)


class Imports(uploads.UploadView, ListModelMixin, RetrieveModelMixin, GenericViewSet[Import]):
    """For operators and stewards."""

    queryset = Import.objects.all()
    permission_classes = (IsSteward,)
    scope = "imports"
    parser_classes = (JSON, MultiPartParser, FormParser)
    pagination_class = Pages
    serializer_class = ImportSerializer
    lookup_value_regex = "[0-9a-fA-F-]{36}"

    @extend_schema(
        request={"multipart/form-data": UploadSerializer, "application/json": UploadSerializer},
        responses={201: ImportSerializer},
        examples=[_PASTE],
    )
    def create(self, request: Request) -> Response:
        """A preview: what is new, known or unusable, and why. Nothing is stored before it is confirmed, within an hour.
        413 above UPLOAD_MAX_BYTES."""
        form = UploadSerializer(data=_fields(request))
        form.is_valid(raise_exception=True)
        said = form.validated_data
        batch = intake.begin(
            files=uploads.received(request.FILES, said.get("text", "")),
            actor=request.user.get_username(),
            contributor=_contributor(said.get("contributor")),
            tags=intake.tags_of(said.get("tags", "")),
            password=said.get("password", ""),
        )
        return Response(ImportSerializer(batch).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[OpenApiParameter("outcome", str, enum=[outcome.value for outcome in Outcome])],
        responses=ImportItemSerializer(many=True),
    )
    @action(detail=True)
    def items(self, request: Request, pk: str) -> Response:
        """What became of each piece, or will."""
        rows: QuerySet[ImportItem] = self.get_object().items.all()
        if outcome := request.query_params.get("outcome"):
            if outcome not in set(Outcome):
                raise InvalidRequest(f"Outcomes are {', '.join(Outcome)}.", param="outcome")
            rows = rows.filter(outcome=outcome)
        page = self.paginator.paginate_queryset(rows, request, view=self) if self.paginator else []
        return self.get_paginated_response(ImportItemSerializer(page, many=True).data)

    @extend_schema(request=ConfirmSerializer, responses={202: ImportSerializer})
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: str) -> Response:
        """Stores it by a job: `/api/jobs/{job}` tells how far it is. Again: changes nothing."""
        form = ConfirmSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        batch = intake.confirm(
            import_id=self.get_object().pk,
            actor=request.user.get_username(),
            address=request.META.get("REMOTE_ADDR") or "",
            test=form.validated_data["test"],
        )
        return Response(ImportSerializer(batch).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=ImportSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """What is stored stays stored; what still waits is destroyed."""
        batch = intake.cancel(
            import_id=self.get_object().pk,
            actor=request.user.get_username(),
            address=request.META.get("REMOTE_ADDR") or "",
        )
        return Response(ImportSerializer(batch).data)

    def get_object(self) -> Import:
        try:
            return Import.objects.get(pk=UUID(self.kwargs["pk"]))
        except (ValueError, Import.DoesNotExist):
            raise NotFound("no import with this id: unconfirmed ones go after an hour") from None


def _fields(request: Request) -> dict[str, Any]:
    data = request.data
    if not hasattr(data, "items"):
        raise InvalidRequest("The body is a JSON object, or a form with files.")
    return {
        name: value
        for name, value in data.items()
        if name in ("text", "tags", "contributor", "password") and value not in (None, "")
    }


def _contributor(pk: int | None) -> Contributor | None:
    if pk is None:
        return None
    contributor = Contributor.objects.filter(pk=pk).first()
    if contributor is None:
        raise InvalidRequest("There is no such contributor.", param="contributor")
    return contributor
