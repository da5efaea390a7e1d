"""Service routes: alive, ready, what is offered, and why a request went as it did."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apiproxy import selectors
from apiproxy.serializers import OfferedModelSerializer, RequestSerializer
from credentials.selectors import usable_count
from gateway.lib import broker


@require_GET
def health(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_GET
def ready(request: HttpRequest) -> HttpResponse:
    """503 unless the database and the broker answer and a lent credential can serve, where any was lent."""
    checks = {"database": _database_answers(), "broker": broker.answers()}
    usable, lent = usable_count() if checks["database"] else (0, 0)
    checks["credentials"] = usable > 0 or lent == 0
    good = all(checks.values())
    return JsonResponse(
        {
            "status": "ready" if good else "not ready",
            **{name: "ok" if fine else "failing" for name, fine in checks.items()},
            "usable_credentials": usable,
        },
        status=200 if good else 503,
    )


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


class Models(APIView):
    """What this site offers."""

    permission_classes = (AllowAny,)

    @extend_schema(responses=OfferedModelSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(OfferedModelSerializer(selectors.listed_models(), many=True).data)


class RequestDetail(APIView):
    """Why a request went as it did, by the id every answer carries as `x-request-id`. Operators only."""

    @extend_schema(responses=RequestSerializer)
    def get(self, request: Request, request_id: str) -> Response:
        found = selectors.explained(request_id)
        if found is None:
            raise NotFound("no request with this id: it may still be running")
        log, receipt = found
        log.receipt = receipt  # type: ignore[attr-defined]
        return Response(RequestSerializer(log).data)
