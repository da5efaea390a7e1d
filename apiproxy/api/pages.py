"""Pages of the request log, and of pivots."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor as Place
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

from apiproxy.models import RequestLog
from apiproxy.selectors.requests import page
from gateway.lib.api import Cursor
from gateway.lib.errors import InvalidRequest


class LogCursor(Cursor):
    """Newest first, forwards only. A page may be short although there is a next one (apiproxy/selectors/requests.py)."""

    def page_of(
        self, rows: QuerySet[RequestLog], request: Request, *, indexed: bool
    ) -> list[RequestLog]:
        self.request = request
        self.base_url = request.build_absolute_uri()
        found = page(
            rows,
            before=self._before(request),
            size=self.get_page_size(request) or 50,
            indexed=indexed,
        )
        self._next = found.before
        return found.rows

    def _before(self, request: Request) -> int | None:
        if self.cursor_query_param not in request.query_params:
            return None
        try:
            place = self.decode_cursor(request)
            before = int(str(place.position) if place else "")
            if 0 < before < 2**63:
                return before
        except (NotFound, ValueError):
            pass
        raise InvalidRequest(
            "This cursor is not one of this list: begin without, then follow `next`.",
            param=self.cursor_query_param,
        )

    def get_next_link(self) -> str | None:
        if self._next is None:
            return None
        return self.encode_cursor(Place(offset=0, reverse=False, position=self._next))

    def get_previous_link(self) -> str | None:
        return None


def numbered(request: Request, number: int, size: int, count: int) -> dict[str, Any]:
    """`count`, `next` and `previous` of a list by `?page=`."""
    url = request.build_absolute_uri()
    last = max((count + size - 1) // size, 1)
    before = min(number - 1, last)
    return {
        "count": count,
        "next": replace_query_param(url, "page", number + 1) if number < last else None,
        "previous": None
        if number <= 1
        else remove_query_param(url, "page")
        if before == 1
        else replace_query_param(url, "page", before),
    }
