"""/api/announcements: what the operator has to say to everybody; `current` is for everybody to read."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from accounts import announcing
from accounts.models import Announcement
from gateway.lib.api import Cursor
from gateway.lib.audit import record_change

_EXAMPLE = {
    "title": "Maintenance on Sunday",
    "text": "From 06:00 to 07:00 UTC calls may be refused.",
    "level": "warning",
    "audience": "everybody",
    "starts_at": "2026-11-20T08:00:00Z",
    "ends_at": "2026-11-22T07:00:00Z",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("Maintenance", value=_EXAMPLE, request_only=True),
        OpenApiExample(
            "Maintenance, as stored",
            value={"id": 4, **_EXAMPLE, "created_at": "2026-11-20T08:00:00Z"},
            response_only=True,
        ),
    ]
)
class AnnouncementSerializer(serializers.ModelSerializer[Announcement]):
    text = serializers.CharField(
        max_length=4000, required=False, allow_blank=True, help_text="Plain; lines are paragraphs."
    )

    class Meta:
        model = Announcement
        fields = ("id", "title", "text", "level", "audience", "starts_at", "ends_at", "created_at")
        read_only_fields = ("id", "created_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        starts = attrs.get("starts_at", getattr(self.instance, "starts_at", None))
        ends = attrs.get("ends_at", getattr(self.instance, "ends_at", None))
        if starts and ends and ends <= starts:
            raise serializers.ValidationError({"ends_at": "It would end before it starts."})
        return attrs


class ShownSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    title = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    level = serializers.ChoiceField(choices=Announcement.Level.choices)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)


class Announcements(ModelViewSet[Announcement]):
    """For operators; `current` for everybody."""

    queryset = Announcement.objects.all()
    serializer_class = AnnouncementSerializer
    scope = "announcements"
    pagination_class = Cursor
    lookup_value_regex = r"\d{1,18}"
    http_method_names = ("get", "post", "patch", "delete", "head", "options")

    def perform_create(self, serializer: Any) -> None:
        self._save(serializer, "announcements.create", {})

    def perform_update(self, serializer: Any) -> None:
        self._save(serializer, "announcements.edit", _facts(serializer.instance))

    def perform_destroy(self, instance: Announcement) -> None:
        with transaction.atomic():
            self._audit("announcements.delete", instance, _facts(instance), {})
            instance.delete()
            announcing.changed()

    def _save(self, serializer: Any, act: str, before: dict[str, Any]) -> None:
        with transaction.atomic():
            row = serializer.save()
            announcing.changed()
            self._audit(act, row, before, _facts(row))

    def _audit(
        self, act: str, row: Announcement, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        record_change(
            self.request._request,
            action=act,
            subject=f"announcement {row.pk}",
            before=before,
            after=after,
        )

    @extend_schema(responses=ShownSerializer(many=True), filters=False)
    @action(
        detail=False,
        methods=["get"],
        permission_classes=(AllowAny,),
        pagination_class=None,
    )
    def current(self, request: Request) -> Response:
        """What is shown now: to everybody, and more to whoever is signed in."""
        told = announcing.current(member=bool(request.user.is_authenticated))
        return Response(ShownSerializer(told, many=True).data)


def _facts(row: Announcement) -> dict[str, Any]:
    names = ("title", "text", "level", "audience", "starts_at", "ends_at")
    return {name: getattr(row, name) for name in names}
