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
        return framework_handler(exc, context)
    facts = {"detail": exc.message, "code": exc.code}
    if exc.param:
        facts["param"] = exc.param
    headers = (
        {"Retry-After": str(math.ceil(exc.retry_after_s))} if exc.retry_after_s is not None else {}
    )
    return Response(facts, status=exc.status, headers=headers)
