"""Exports on their way out: streamed, so that nothing of them is laid on disk."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from credentials.services import exporting


def sent(made: exporting.Export, *, whole: bool = False, file_name: str = "") -> HttpResponseBase:
    """Kept by nobody on the way."""
    content: Any = b"".join(made.chunks) if whole else made.chunks
    response = (HttpResponse if whole else StreamingHttpResponse)(
        content, content_type=made.content_type
    )
    response["Content-Disposition"] = content_disposition_header(True, file_name or made.file_name)
    response["Cache-Control"] = "no-store"
    return response
