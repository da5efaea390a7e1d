"""/api/users: for operators. People are switched off, not deleted: the ledger speaks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import people_acts as acts
from accounts.api.people_serializers import (
    NewUserAnswerSerializer,
    NewUserSerializer,
    PasswordLinkSerializer,
    UserChangeSerializer,
    UserCreditsSerializer,
    UserSerializer,
)
from accounts.models import User
from gateway.lib.api import Cursor


class UserFilter(django_filters.FilterSet):  # type: ignore[misc]
    q = django_filters.CharFilter(method="search", help_text="In name and e-mail.")
    role = django_filters.MultipleChoiceFilter(choices=User.Role.choices)
    group = django_filters.NumberFilter(method="in_group", help_text="A group's id; 0: in none.")
    active = django_filters.BooleanFilter(field_name="is_active")

    class Meta:
        model = User
        fields = ()

    def search(self, rows: QuerySet[User], name: str, text: str) -> QuerySet[User]:
        return rows.filter(
            Q(username__icontains=text)
            | Q(email__icontains=text)
            | Q(first_name__icontains=text)
            | Q(last_name__icontains=text)
        )

    def in_group(self, rows: QuerySet[User], name: str, number: Any) -> QuerySet[User]:
        if not 0 <= number < 2**63 or number != int(number):
            return rows.none()
        return rows.filter(group=int(number)) if number else rows.filter(group=None)


class Users(GenericViewSet[User]):
    scope = "users"
    queryset = User.objects.all()
    pagination_class = Cursor
    filter_backends: Sequence[type[BaseFilterBackend]] = (DjangoFilterBackend,)
    filterset_class = UserFilter
    serializer_class = UserSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[User]:
        return acts.people()

    def get_object(self) -> User:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    @extend_schema(responses=UserSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(UserSerializer(page, many=True).data)

    @extend_schema(responses=UserSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(UserSerializer(self.get_object()).data)

    @extend_schema(request=NewUserSerializer, responses={201: NewUserAnswerSerializer})
    def create(self, request: Request) -> Response:
        """Somebody without a password; `password_link` sets it."""
        asked = _valid(NewUserSerializer, request)
        with transaction.atomic():
            user = acts.create_user(_plain(request), asked)
            link = acts.password_link(_plain(request), user)
        shown = acts.people().get(pk=user.pk)
        shown.password_link = link  # type: ignore[attr-defined]
        return _told_once(NewUserAnswerSerializer(shown).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=UserChangeSerializer, responses=UserSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Another role, or switching off, ends the person's sessions. 409 for the last operator."""
        user = self.get_object()
        asked = _valid(UserChangeSerializer, request)
        return Response(UserSerializer(acts.edit_user(_plain(request), user, asked)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Switch the account off, and with it its keys. 409 for the last operator."""
        acts.edit_user(_plain(request), self.get_object(), {"is_active": False})
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=UserCreditsSerializer, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def credits(self, request: Request, pk: str) -> Response:
        """Give to the person's wallet, or take from it."""
        asked = _valid(UserCreditsSerializer, request)
        user = acts.give_credits(_plain(request), self.get_object(), **asked)
        return Response(UserSerializer(user).data)

    @extend_schema(request=None, responses=PasswordLinkSerializer)
    @action(detail=True, methods=["post"], url_path="password-link")
    def password_link(self, request: Request, pk: str) -> Response:
        """A link that sets a new password, once. Nothing is sent by e-mail."""
        link = acts.password_link(_plain(request), self.get_object())
        hours = int(acts.LINK_LIFETIME.total_seconds() // 3600)
        return _told_once({"link": link, "hours": hours})

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], url_path="end-sessions")
    def end_sessions(self, request: Request, pk: str) -> Response:
        """Sign the person out of every browser."""
        acts.end_sessions(_plain(request), self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], url_path="reset-factor")
    def reset_factor(self, request: Request, pk: str) -> Response:
        """Remove the second factor of somebody who lost it, and end their sessions."""
        acts.reset_factor(_plain(request), self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


def _plain(request: Request) -> Any:
    return request._request


def _valid(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    filled = form(data=request.data)
    filled.is_valid(raise_exception=True)
    return dict(filled.validated_data)


def _told_once(data: Any, status: int = 200) -> Response:
    answer = Response(data, status=status)
    answer["Cache-Control"] = "no-store"
    return answer
