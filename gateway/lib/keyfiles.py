"""Secrets that a fresh install makes for itself and keeps in files only their owner can read."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path


def secret_from_file(path: Path) -> str:
    """The 256-bit secret in `path` (URL-safe base64); made on first use, safe when several processes start at once.

    Raises PermissionError when others may read the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written whole under another name, then linked: whoever comes second finds a complete file.
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(32)))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} may be read by others: run chmod 600 on it")
    return path.read_text().strip()
