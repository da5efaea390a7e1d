"""Pictures in an S3-compatible bucket. Loaded only where one is set up: boto3 is large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 30
_ATTEMPTS = 2


class MediaBucket(S3Storage):  # type: ignore[misc]
    """Raises OSError, as a disk would, when the bucket cannot be reached or refuses."""

    def __init__(self, **options: Any) -> None:
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"total_max_attempts": _ATTEMPTS},
            signature_version="s3v4",
            # Whoever is not Amazon has no host name for each bucket, and may not know its checksums.
            s3={"addressing_style": "path" if options.get("endpoint_url") else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        super().__init__(
            client_config=config, transfer_config=TransferConfig(use_threads=False), **options
        )

    def _save(self, name: str, content: Any) -> str:
        with _as_os_errors():
            saved: str = super()._save(name, content)
        return saved

    def _open(self, name: str, mode: str = "rb") -> Any:
        with _as_os_errors():
            return super()._open(name, mode)

    def delete(self, name: str) -> None:
        with _as_os_errors():
            super().delete(name)

    def url(self, name: str, *arguments: Any, **options: Any) -> str:
        with _as_os_errors():
            url: str = super().url(name, *arguments, **options)
        return url


@contextmanager
def _as_os_errors() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError) as exc:
        # Their texts name the bucket and its host, which is for the log alone.
        raise OSError(str(exc)) from exc
