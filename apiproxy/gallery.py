"""Pictures that an answer links instead of carrying them: into the site's storage, and out of it again in time."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import secrets
from datetime import timedelta
from typing import Any

from channels.db import database_sync_to_async
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import Error
from django.utils import timezone

from apiproxy.models import StoredImage
from apiproxy.wire.usage import candidates, is_picture, parts
from gateway.lib.errors import Unavailable, UpstreamFailed

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/heif": "heif",
}
_MIME_TYPES = {extension: mime_type for mime_type, extension in _EXTENSIONS.items()}
_UNKNOWN = "application/octet-stream"
# A storage that is down is not asked once for each of a thousand pictures.
_MOST_FAILURES = 5
# What is over that waits for the next run, ten minutes later.
_MOST_AT_ONCE = 5_000


class Gallery:
    def __init__(self, *, retention_s: float) -> None:
        self._retention_s = retention_s

    async def hang(self, replies: list[Json], *, request_id: str, origin: str) -> None:
        """Put each inline picture into the storage and its link in its place. Raises Unavailable, UpstreamFailed."""
        found = [
            part
            for reply in replies
            for candidate in candidates(reply)
            for part in parts(candidate)
            if "inlineData" in part and is_picture(part)
        ]
        if not found:
            return
        blobs = [part["inlineData"] for part in found]
        try:
            # In a thread of its own: a slow bucket must not hold up those who wait for the database.
            links = await database_sync_to_async(_keep_all, thread_sensitive=False)(
                blobs, request_id, self._retention_s
            )
        except (OSError, Error) as exc:
            logger.error("request %s: a picture could not be stored: %s", request_id, exc)
            raise Unavailable(
                "the pictures of this answer could not be stored: try again later, or ask for them "
                "in base64"
            ) from exc
        for part, link in zip(found, links, strict=True):
            blob = part.pop("inlineData")
            uri = origin + link if link.startswith("/") else link
            part["fileData"] = {"mimeType": blob["mimeType"], "fileUri": uri}


def mime_type_of(name: str) -> str:
    """As which a stored picture is served."""
    return _MIME_TYPES.get(name.rpartition(".")[2], _UNKNOWN)


def delete_expired() -> int:
    """Delete the pictures whose time is over; how many went. One that the storage keeps is tried again next time."""
    storage = storages["media"]
    deleted = failed = 0
    expired = StoredImage.objects.filter(expires_at__lte=timezone.now()).order_by("expires_at")
    for image in expired[:_MOST_AT_ONCE]:
        try:
            storage.delete(image.name)
        except OSError as exc:
            logger.error("picture %s could not be deleted: %s", image.name, exc)
            failed += 1
            if failed == _MOST_FAILURES:
                break
            continue
        image.delete()
        deleted += 1
    return deleted


def _keep_all(blobs: list[Json], request_id: str, retention_s: float) -> list[str]:
    storage = storages["media"]
    return [_keep(storage, blob, request_id, retention_s) for blob in blobs]


def _keep(storage: Storage, blob: Json, request_id: str, retention_s: float) -> str:
    """The picture's link. Its row is there before its file, so that no file is ever forgotten."""
    try:
        data = base64.b64decode(blob.get("data", ""))
    except (binascii.Error, TypeError, ValueError) as exc:
        raise UpstreamFailed("the upstream's picture cannot be read: try again") from exc
    mime_type = blob["mimeType"]
    token = secrets.token_hex(16)
    # 256 folders share the files, so that none grows without bound.
    name = f"{token[:2]}/{token}.{_EXTENSIONS.get(mime_type, 'bin')}"
    image = StoredImage.objects.create(
        name=name,
        mime_type=mime_type[:60],
        size_bytes=len(data),
        request_id=request_id,
        expires_at=timezone.now() + timedelta(seconds=retention_s),
    )
    try:
        storage.save(name, SimpleUploadedFile(name, data, mime_type_of(name)))
    except OSError:
        # Of a full disk half a file takes the last of the room. What cannot be taken back is left to the retention.
        with contextlib.suppress(OSError):
            storage.delete(name)
            image.delete()
        raise
    return storage.url(name)
