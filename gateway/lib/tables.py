"""Tables as CSV, sent while they are still being read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.negotiation import DefaultContentNegotiation

_ROWS_A_PIECE = 500
# Spreadsheets take what begins so for a formula, and run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")

Row = Sequence[Any]


class AnyAccept(DefaultContentNegotiation):
    """For a view that answers CSV whatever is asked for, and its errors as everywhere."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def csv_response(
    request: HttpRequest, file_name: str, header: Sequence[str], rows: Iterable[Row]
) -> StreamingHttpResponse:
    """`rows` are read piece by piece as the client takes them."""
    pieces = _pieces(header, rows)
    # Under ASGI, Django would read a plain iterator to its end before it sent the first byte.
    body: Any = _in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, file_name)
    response["Cache-Control"] = "no-store"
    return response


def harmless(value: Any) -> Any:
    """A text that a spreadsheet would run, as a text that it shows; None as nothing."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _pieces(header: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    for number, row in enumerate(rows, 1):
        writer.writerow([harmless(value) for value in row])
        if number % _ROWS_A_PIECE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    # Halves of a surrogate pair are no UTF-8.
    return text.encode(errors="replace")


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await sync_to_async(lambda: next(pieces, None))()) is not None:
        yield piece
