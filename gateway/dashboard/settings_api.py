"""/api/settings: what operators change while the gateway runs."""

from __future__ import annotations

from typing import Any, get_args

from django.db import transaction
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.lib import site_settings
from gateway.lib.api import Cursor
from gateway.lib.audit import record_change
from gateway.lib.site_registry import Kind
from gateway.lib.site_settings import Saved, SettingsVersion, Told, WrongValues

_KINDS = list(get_args(Kind))


class _Value(serializers.JSONField):
    """A boolean, a number, a text or a list of numbers, as `type` says; null is the default."""


class SettingSerializer(serializers.Serializer[Told]):
    name = serializers.CharField(source="setting.name", help_text="As the environment's.")
    section = serializers.CharField(source="setting.section")
    type = serializers.ChoiceField(source="setting.kind", choices=_KINDS)
    words = serializers.CharField(source="setting.words")
    unit = serializers.CharField(source="setting.unit")
    least = serializers.SerializerMethodField()
    most = serializers.SerializerMethodField()
    choices = serializers.ListField(source="setting.choices", child=serializers.CharField())
    value = _Value(help_text="A proxy is shown without its user and password.")
    default = _Value()
    changed = serializers.BooleanField(help_text="An operator chose this value.")
    locked = serializers.BooleanField(help_text="The environment fixes it.")

    def get_least(self, told: Told) -> float | None:
        return told.setting.least if told.setting.kind in ("integer", "number") else None

    def get_most(self, told: Told) -> float | None:
        return told.setting.most if told.setting.kind in ("integer", "number") else None


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One of them",
            value={
                "version": 12,
                "settings": [
                    {
                        "name": "RETRY_429_MAX_RETRIES",
                        "section": "retries",
                        "type": "integer",
                        "words": "How many others.",
                        "unit": "",
                        "least": 0,
                        "most": 100,
                        "choices": [],
                        "value": 3,
                        "default": 5,
                        "changed": True,
                        "locked": False,
                    }
                ],
            },
            response_only=True,
        )
    ]
)
class SettingsSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="Give it back with a change.")
    settings = SettingSerializer(many=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Fewer retries, and thoughts as by default",
            value={
                "values": {"RETRY_429_MAX_RETRIES": 3, "RETURN_THOUGHTS_TO_FRONTEND": None},
                "version": 12,
            },
            request_only=True,
        )
    ]
)
class PatchSerializer(serializers.Serializer[Any]):
    values = serializers.DictField(
        child=_Value(allow_null=True),
        allow_empty=False,
        help_text="By name; null sets the default again. All are taken, or none.",
    )
    version = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**63 - 1,
        help_text="As it was read; 409 when somebody changed the settings since.",
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only tells what would change.")


class SettingChangeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    before = _Value(allow_null=True, help_text="null: the default.")
    after = _Value(allow_null=True)


@extend_schema_serializer(
    component_name="SettingsSaved",
    examples=[
        OpenApiExample(
            "Fewer retries",
            value={
                "version": 13,
                "changes": [{"name": "RETRY_429_MAX_RETRIES", "before": None, "after": 3}],
            },
            response_only=True,
        )
    ],
)
class SavedSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    changes = SettingChangeSerializer(many=True)


@extend_schema_serializer(
    examples=[OpenApiExample("One of them", value={"version": 13}, request_only=True)]
)
class UndoSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="Which to take back; the newest when left out.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Fewer retries",
            value={
                "id": 13,
                "at": "2026-11-20T08:15:00Z",
                "actor": "alice",
                "changes": [{"name": "RETRY_429_MAX_RETRIES", "before": None, "after": 3}],
                "undoes": None,
                "undone": False,
            },
            response_only=True,
        )
    ]
)
class SettingsVersionSerializer(serializers.ModelSerializer[SettingsVersion]):
    changes = serializers.SerializerMethodField()
    undoes = serializers.IntegerField(source="undoes_id", allow_null=True, read_only=True)
    undone = serializers.SerializerMethodField()

    class Meta:
        model = SettingsVersion
        fields = ("id", "at", "actor", "changes", "undoes", "undone")
        read_only_fields = fields

    @extend_schema_field(SettingChangeSerializer(many=True))
    def get_changes(self, row: SettingsVersion) -> list[dict[str, Any]]:
        return [
            {"name": name, "before": before, "after": after}
            for name, (before, after) in row.changes.items()
        ]

    def get_undone(self, row: SettingsVersion) -> bool:
        return hasattr(row, "undone_by")


class Settings(APIView):
    """For operators."""

    scope = "settings"

    @extend_schema(operation_id="settings_retrieve", responses=SettingsSerializer)
    def get(self, request: Request) -> Response:
        """All that can be changed while running, with defaults, bounds, and whether the environment fixes it."""
        version, _ = site_settings.stored()
        told = {"version": version, "settings": site_settings.told()}
        return Response(SettingsSerializer(told).data)

    @extend_schema(
        operation_id="settings_change", request=PatchSerializer, responses=SavedSerializer
    )
    def patch(self, request: Request) -> Response:
        """Changes some, and tells what differs now. Every process works with it within a second."""
        form = PatchSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        with transaction.atomic():
            saved = change(
                request._request,
                values=asked["values"],
                version=asked.get("version"),
                dry_run=asked["dry_run"],
            )
        return Response(SavedSerializer(saved).data)


class Undo(APIView):
    """For operators."""

    scope = "settings"

    @extend_schema(operation_id="settings_undo", request=UndoSerializer, responses=SavedSerializer)
    def post(self, request: Request) -> Response:
        """Takes the newest change back, or the one named. 409 when its settings were changed again since."""
        form = UndoSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with transaction.atomic():
            try:
                saved = site_settings.undo(
                    actor=request.user.get_username(), version=form.validated_data.get("version")
                )
            except WrongValues as exc:
                raise ValidationError(exc.words) from exc
            _audit(request._request, "settings.undo", saved)
        return Response(SavedSerializer(saved).data)


class History(ListAPIView[SettingsVersion]):
    """For operators."""

    scope = "settings"
    queryset = SettingsVersion.objects.select_related("undone_by")
    serializer_class = SettingsVersionSerializer
    pagination_class = Cursor

    @extend_schema(operation_id="settings_history")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every change, newest first."""
        return super().get(request, *args, **kwargs)


def change(
    request: Any, *, values: dict[str, Any], version: int | None = None, dry_run: bool = False
) -> Saved:
    """With its line in the audit log. Raises ValidationError with words by name, and Conflict."""
    with transaction.atomic():
        try:
            saved = site_settings.change(
                values=values,
                actor=request.user.get_username(),
                version=version,
                dry_run=dry_run,
            )
        except WrongValues as exc:
            raise ValidationError(exc.words) from exc
        if saved.changes and not dry_run:
            _audit(request, "settings.change", saved)
    return saved


def _audit(request: Any, action: str, saved: Saved) -> None:
    record_change(
        request,
        action=action,
        subject=f"settings {saved.version}",
        before={one.name: one.before for one in saved.changes},
        after={one.name: one.after for one in saved.changes},
    )
