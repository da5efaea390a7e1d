"""What every resource of the management API shares: pages of a list, and errors in words."""

from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import ValidationError as Impossible
from django.db import DataError
from rest_framework.exceptions import (
    APIException,
    ErrorDetail,
    NotAuthenticated,
    NotFound,
    Throttled,
    ValidationError,
)
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.views import exception_handler as framework_handler

from gateway.lib.errors import GatewayError, InvalidRequest, RateLimited


class Pages(PageNumberPagination):
    """`?page=2&page_size=100`; the answer has `count`, `next`, `previous` and `results`."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


class Cursor(CursorPagination):
    """Newest first. `?cursor=…&page_size=100`; the answer has `next`, `previous` and `results`. A page stays where it is while rows
    are added, and the last costs no more than the first. A cursor that this list did not give out is a 400.
    """

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, Impossible, ValueError, OverflowError):
            if self.cursor_query_param not in request.query_params:
                raise
            raise InvalidRequest(
                "This cursor is not one of this list: begin without, then follow `next`.",
                param=self.cursor_query_param,
            ) from None


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Every refusal as `{"detail": words, "code": …}`, or as words by field."""
    match exc:
        case Throttled():
            wait_s: float | None = getattr(exc, "wait", None)
            exc = RateLimited(
                f"Too many requests from you: come again in {math.ceil(wait_s or 1)} s.",
                retry_after_s=wait_s,
            )
        case NotAuthenticated():
            exc.detail = _who_are_you(context)
        case Impossible():
            exc = ValidationError(
                exc.message_dict if hasattr(exc, "error_dict") else {"detail": exc.messages}
            )
        case DataError() | OverflowError():
            # Numbers, days and texts that fit no column. Serializers know their bounds; this is for what one forgot.
            exc = InvalidRequest(
                "A number, a day or a text in this request is too large to be stored."
            )
    if not isinstance(exc, GatewayError):
        answer: Response | None = framework_handler(exc, context)
        if answer is not None:
            answer.data = _with_code(_encodable(answer.data), exc, answer.status_code)
        return answer
    facts = {"detail": exc.message, "code": exc.code}
    if exc.param:
        facts["param"] = exc.param
    headers = (
        {"Retry-After": str(math.ceil(exc.retry_after_s))} if exc.retry_after_s is not None else {}
    )
    return Response(facts, status=exc.status, headers=headers)


def _who_are_you(context: dict[str, Any]) -> ErrorDetail:
    """Whoever mistyped a password did send one."""
    given = "request" in context and "Authorization" in context["request"].headers
    words = _UNKNOWN_BEARER if given else _NOBODY
    return ErrorDetail(words, NotAuthenticated.default_code)


_NOBODY = "Sign in, or send a token of /api/tokens or the panel password as Authorization: Bearer."
_UNKNOWN_BEARER = (
    "What was sent as Authorization is neither a token of /api/tokens nor the panel password."
)
_CODES = {403: "permission_denied", 404: "not_found"}


def _with_code(data: Any, exc: Exception, status: int) -> Any:
    """Words by field have none: the field says it."""
    if not (
        isinstance(data, dict) and data.keys() == {"detail"} and isinstance(data["detail"], str)
    ):
        return data
    code = exc.get_codes() if isinstance(exc, APIException) else _CODES.get(status, "error")
    return {**data, "code": code if isinstance(code, str) else "error"}


def _encodable(value: Any) -> Any:
    """Errors repeat what was sent, and JSON may hold halves of a surrogate pair, which are no UTF-8."""
    if isinstance(value, dict):
        return {_encodable(name): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
