"""/api/key-templates: what new keys are made after, for operators."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import services
from accounts.api.key_serializers import KeyTemplateSerializer
from accounts.models import KeyTemplate
from accounts.shown import facts_of_template
from gateway.lib import audit
from gateway.lib.api import Cursor


class KeyTemplates(GenericViewSet[KeyTemplate]):
    """A change touches no key that was made before."""

    scope = "keys"
    queryset = KeyTemplate.objects.select_related("group", "limits")
    pagination_class = Cursor
    serializer_class = KeyTemplateSerializer
    lookup_value_regex = "[0-9]{1,18}"

    @extend_schema(responses=KeyTemplateSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(KeyTemplateSerializer(page, many=True).data)

    @extend_schema(responses=KeyTemplateSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(KeyTemplateSerializer(self.get_object()).data)

    @extend_schema(request=KeyTemplateSerializer, responses={201: KeyTemplateSerializer})
    def create(self, request: Request) -> Response:
        form = KeyTemplateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        template = save(request._request, None, form.validated_data)
        return Response(KeyTemplateSerializer(template).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=KeyTemplateSerializer, responses=KeyTemplateSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """What is left out stays."""
        template = self.get_object()
        form = KeyTemplateSerializer(template, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        return Response(
            KeyTemplateSerializer(save(request._request, template, form.validated_data)).data
        )

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        delete(request._request, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@transaction.atomic
def save(request: Any, template: KeyTemplate | None, asked: dict[str, Any]) -> KeyTemplate:
    """With its line in the audit log."""
    changes = {**asked}
    limits = changes.pop("limits", None)
    before = facts_of_template(template) if template else {}
    template = services.save_template(template=template, changes=changes, limits=limits)
    audit.record_change(
        request,
        action="key-templates.edit" if before else "key-templates.create",
        subject=f"key template {template.name}",
        before=before,
        after=facts_of_template(template),
    )
    return template


@transaction.atomic
def delete(request: Any, template: KeyTemplate) -> None:
    """With its line in the audit log."""
    before = facts_of_template(template)
    services.delete_template(template=template)
    audit.record_change(
        request,
        action="key-templates.delete",
        subject=f"key template {before['name']}",
        before=before,
        after={},
    )
