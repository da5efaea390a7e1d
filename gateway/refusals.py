"""Answers where no view has answered: JSON for programs, the site's pages for people."""

from __future__ import annotations

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views import defaults

# What programs ask; by what they accept they cannot be told from browsers.
_PROGRAMS = (
    "/api/",
    "/config/",
    "/creds/",
    "/usage/",
    "/auth/callback-url",
    "/auth/env-creds",
    "/auth/keys",
    "/auth/load-env-creds",
    "/auth/login",
    "/auth/models/",
    "/auth/query",
    "/auth/quota",
    "/auth/start",
    "/auth/status/",
    "/auth/upload",
)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _asked_by_program(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return _told(413, "body_too_large", "This request is too large: send less at a time.")
    return _told(
        400, "invalid_request", "This request cannot be read: look at its address and headers."
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _asked_by_program(request):
        return defaults.page_not_found(request, exception)
    return _told(
        404, "not_found", "There is nothing at this address: /api/docs/ lists what there is."
    )


def failed(request: HttpRequest) -> HttpResponseBase:
    if not _asked_by_program(request):
        return defaults.server_error(request)
    return _told(
        500, "internal_error", "Something went wrong here; the log of the gateway says what."
    )


def _asked_by_program(request: HttpRequest) -> bool:
    return request.path_info.startswith(_PROGRAMS) and not request.path_info.startswith("/api/docs")


def _told(status: int, code: str, words: str) -> HttpResponse:
    return JsonResponse({"detail": words, "code": code}, status=status)
