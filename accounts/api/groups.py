"""/api/groups: for operators."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import people_acts as acts
from accounts.api.people_serializers import GroupSerializer
from accounts.models import Group
from gateway.lib.api import Cursor


class GroupFilter(django_filters.FilterSet):  # type: ignore[misc]
    q = django_filters.CharFilter(
        field_name="name", lookup_expr="icontains", help_text="In the name."
    )

    class Meta:
        model = Group
        fields = ()


class Groups(GenericViewSet[Group]):
    scope = "groups"
    queryset = Group.objects.all()
    pagination_class = Cursor
    filter_backends = (DjangoFilterBackend,)
    filterset_class = GroupFilter
    serializer_class = GroupSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Group]:
        return acts.all_groups()

    def get_object(self) -> Group:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    @extend_schema(responses=GroupSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(GroupSerializer(page, many=True).data)

    @extend_schema(responses=GroupSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(GroupSerializer(self.get_object()).data)

    @extend_schema(request=GroupSerializer, responses={201: GroupSerializer})
    def create(self, request: Request) -> Response:
        return self._save(request, None, status.HTTP_201_CREATED)

    @extend_schema(request=GroupSerializer, responses=GroupSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is left out stays; of limits, those that are named."""
        return self._save(request, self.get_object(), status.HTTP_200_OK)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """409 while somebody or something belongs to it."""
        acts.delete_group(request._request, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _save(self, request: Request, group: Group | None, answer: int) -> Response:
        form = GroupSerializer(group, data=request.data, partial=group is not None)
        form.is_valid(raise_exception=True)
        asked: dict[str, Any] = dict(form.validated_data)
        saved = acts.save_group(request._request, group, asked)
        return Response(GroupSerializer(self.get_queryset().get(pk=saved.pk)).data, status=answer)
