"""What every resource of the management API shares: pages of a list, and errors in words."""

from __future__ import annotations

import math
from typing import Any

from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.views import exception_handler as framework_handler

from gateway.lib.errors import GatewayError


class Pages(PageNumberPagination):
    """`?page=2&page_size=100`; the answer has `count`, `next`, `previous` and `results`."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Our own errors as `{"detail": words, "code": …}`, like the framework's."""
    if not isinstance(exc, GatewayError):
        answer: Response | None = framework_handler(exc, context)
        if answer is not None:
            answer.data = _encodable(answer.data)
        return answer
    facts = {"detail": exc.message, "code": exc.code}
    if exc.param:
        facts["param"] = exc.param
    headers = (
        {"Retry-After": str(math.ceil(exc.retry_after_s))} if exc.retry_after_s is not None else {}
    )
    return Response(facts, status=exc.status, headers=headers)


def _encodable(value: Any) -> Any:
    """Errors repeat what was sent, and JSON may hold halves of a surrogate pair, which are no UTF-8."""
    if isinstance(value, dict):
        return {_encodable(name): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
