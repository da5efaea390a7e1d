"""Uploads of credentials: their files are kept in memory, and ended when they get too big. The request as it came passes through a
nameless temporary file when it is longer than FILE_UPLOAD_MAX_MEMORY_SIZE: so Django reads every request."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from rest_framework.request import Request
from rest_framework.views import APIView

from credentials.importers import MAX_BYTES
from credentials.services.intake import check_size
from gateway.lib.errors import InvalidRequest

_FORM_AROUND_BYTES = 1024 * 1024
"""What boundaries, headers and the other fields of an upload may add to its files."""


class InMemory(FileUploadHandler):
    """All files of the request together count. Raises BodyTooLarge while it is read, whatever its headers said."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._total = 0
        self._content = io.BytesIO()

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._content = io.BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._total += len(raw_data)
        check_size(self._total)
        self._content.write(raw_data)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self._content.seek(0)
        return InMemoryUploadedFile(
            file=self._content,
            field_name=self.field_name,
            name=self.file_name,
            content_type=self.content_type or "",
            size=file_size,
            charset=self.charset,
        )


def keep_in_memory(request: HttpRequest) -> None:
    """Before anything reads the body."""
    request.upload_handlers = [InMemory(request)]


def check_said_size(request: HttpRequest) -> None:
    """Raises BodyTooLarge for an upload that says so itself, before it is sent for nothing."""
    said = str(request.META.get("CONTENT_LENGTH") or "")
    if said.isdecimal():
        check_size(int(said) - _FORM_AROUND_BYTES)


class UploadView(APIView):
    """A view of the management API that takes files."""

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        keep_in_memory(request)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        check_said_size(request._request)
        super().initial(request, *args, **kwargs)


def received(
    files: MultiValueDict[str, Any] | Mapping[str, Any], text: str = ""
) -> list[tuple[str, bytes]]:
    """(name, content) of every uploaded file, whatever its field is called, and of the paste. Raises InvalidRequest."""
    found: list[tuple[str, bytes]] = []
    if isinstance(files, MultiValueDict):
        for _, uploads in files.lists():
            found += [(upload.name or "upload", upload.read()) for upload in uploads]
    if text.strip():
        found.append(("paste", text.encode()))
    if not found:
        raise InvalidRequest("There is nothing in it: choose files, or paste something.")
    return found


def limit_mib() -> int:
    return int(min(settings.UPLOAD_MAX_BYTES, MAX_BYTES)) // 1024**2
