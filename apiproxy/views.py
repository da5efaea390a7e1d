"""Service routes: alive, ready, and what is offered."""

from __future__ import annotations

import logging

from django.core.files.storage import storages
from django.db import DatabaseError, connection
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET, require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apiproxy import selectors
from apiproxy.gallery import mime_type_of
from apiproxy.media_folder import is_past, is_signed
from apiproxy.serializers import OfferedModelSerializer
from credentials.selectors import usable_count
from gateway.lib import broker

logger = logging.getLogger(__name__)


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


@require_safe
def media(request: HttpRequest, name: str) -> HttpResponseBase:
    """A stored picture, to whoever holds its signed link."""
    expires, signature = request.GET.get("expires", ""), request.GET.get("signature", "")
    if not is_signed(name, expires, signature):
        return _in_words(
            "This link was not made by this site, or is not whole: copy it again.", 403
        )
    if is_past(expires):
        return _in_words("This link has expired: ask for the picture again.", 404)
    try:
        file = storages["media"].open(name)
    except FileNotFoundError:
        return _in_words("This picture has been deleted: ask for it again.", 404)
    except OSError as exc:
        logger.error("picture %s cannot be read: %s", name, exc)
        return _in_words("The storage of this site does not answer: try again later.", 503)
    response = FileResponse(file, content_type=mime_type_of(name))
    # What a model drew is shown, never run; links change hands, so only the browser keeps a copy.
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=3600, immutable"
    return response


def _in_words(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


class Models(APIView):
    """What this site offers."""

    permission_classes = (AllowAny,)
    scope = "models"

    @extend_schema(responses=OfferedModelSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(OfferedModelSerializer(selectors.listed_models(), many=True).data)
