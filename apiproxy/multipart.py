"""Forms with files, as browsers and SDKs upload pictures -> the JSON body they stand for. Django's parser, all in memory:
the body is, and its size is capped already.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from apiproxy.wire.magic import mime_type_of
from gateway.lib.errors import InvalidRequest

Json = dict[str, Any]

_CONTENT_TYPE = b"content-type"
_KIND = b"multipart/form-data"
# A form has nothing but texts.
_WHOLE_NUMBERS = frozenset({"n", "count", "output_compression", "partial_images"})
_FLAGS = frozenset({"stream"})
_MOST_DIGITS = 9
# What people hand in elsewhere on this site may have many more (DATA_UPLOAD_MAX_NUMBER_FILES).
_MOST_FILES = 100


def is_form(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(_CONTENT_TYPE, b"").lower().startswith(_KIND)


def read_form(body: bytes, headers: Mapping[bytes, bytes]) -> Json:
    """Files become data: URLs; a field that comes several times, or as `name[]`, a list. Raises InvalidRequest."""
    meta = {
        "CONTENT_TYPE": headers[_CONTENT_TYPE].decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)),
    }
    try:
        parser = MultiPartParser(meta, BytesIO(body), [_InMemory()], "utf-8")
        fields, files = parser.parse()
    except RequestDataTooBig as exc:
        raise InvalidRequest(
            "the texts of the form are too long: add pictures as files, or send the request as JSON"
        ) from exc
    except (MultiPartParserError, SuspiciousOperation, ValueError) as exc:
        # ValueError: the boundary claims an encoding that there is none of.
        raise InvalidRequest(f"the form cannot be read: {exc}") from exc
    given: Json = {}
    for name, texts in fields.lists():
        _add(given, name, [_value(name, text) for text in texts])
    for name, uploads in files.lists():
        _add(given, name, [_data_url(name, upload.read()) for upload in uploads])
    return given


def _add(given: Json, name: str, values: list[Any]) -> None:
    bare = name.removesuffix("[]")
    if bare == name and bare not in given and len(values) == 1:
        given[bare] = values[0]
        return
    before = given.get(bare, [])
    given[bare] = [*(before if isinstance(before, list) else [before]), *values]


def _value(name: str, text: str) -> Any:
    if name in _WHOLE_NUMBERS and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    if name in _FLAGS and text in ("true", "false"):
        return text == "true"
    return text


def _data_url(name: str, data: bytes) -> str:
    """What the bytes say counts, not what the client calls them."""
    mime_type = mime_type_of(data)
    if not mime_type.startswith("image/"):
        raise InvalidRequest(f"the file {name} is no picture that a model takes", param=name)
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


class _InMemory(FileUploadHandler):
    _files = 0

    def new_file(self, *arguments: Any, **options: Any) -> None:
        super().new_file(*arguments, **options)
        self._files += 1
        if self._files > _MOST_FILES:
            raise SuspiciousOperation(f"it has more than {_MOST_FILES} files")
        self._pieces: list[bytes] = []

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._pieces.append(raw_data)

    def file_complete(self, file_size: int) -> SimpleUploadedFile:
        return SimpleUploadedFile(self.file_name or "file", b"".join(self._pieces))
