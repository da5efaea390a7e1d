"""Pictures in a folder of this site. Their links are signed and end after a while; a view serves them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from django.core.files.storage import FileSystemStorage
from django.core.signing import Signer
from django.utils.crypto import constant_time_compare


class MediaFolder(FileSystemStorage):
    def __init__(self, *, link_s: int, **options: Any) -> None:
        super().__init__(**options)
        self._link_s = link_s

    def url(self, name: str | None) -> str:
        """Without scheme and host."""
        expires = int(time.time()) + self._link_s
        query = urlencode({"expires": expires, "signature": signature_of(name or "", str(expires))})
        return f"{super().url(name)}?{query}"


def signature_of(name: str, expires: str) -> str:
    """`expires`: epoch seconds as they stand in the link."""
    return Signer(salt="apiproxy.media").signature(f"{expires}:{name}")


def is_signed(name: str, expires: str, signature: str) -> bool:
    return constant_time_compare(signature, signature_of(name, expires))


def is_past(expires: str) -> bool:
    """Of a signed `expires`."""
    return int(expires) <= time.time()
