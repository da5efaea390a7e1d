"""`GET /api/me`: who the asker is to this site, for scripts that want to know what they may do."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from gateway.lib import scopes
from gateway.lib.access import IsSignedIn


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A token that may read keys",
            value={
                "username": "alice",
                "role": "operator",
                "group": "Friends",
                "token": "nightly report",
                "scopes": ["keys:read"],
            },
            response_only=True,
        )
    ]
)
class MeSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(help_text="panel-password for that one.")
    role = serializers.ChoiceField(choices=User.Role.choices)
    group = serializers.CharField(allow_null=True)
    token = serializers.CharField(allow_null=True, help_text="Its name, where one was sent.")
    scopes = serializers.ListField(child=serializers.CharField(), help_text="* is everything.")


class Me(APIView):
    permission_classes = (IsSignedIn,)
    scope = "me"

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Role, group, and the scopes of the token."""
        user: Any = request.user
        token: Any = request.auth
        told = {
            "username": user.get_username(),
            "role": user.role,
            "group": user.group.name if user.group else None,
            "token": token.name if token is not None else None,
            "scopes": token.scopes if token is not None else [scopes.EVERYTHING],
        }
        return Response(MeSerializer(told).data)
