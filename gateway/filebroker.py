"""Celery's file-system broker with whole messages: kombu creates the file, then fills it, and a reader that looks in
between finds nothing in it, which ends the worker. Here a message appears in its folder complete.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from time import time_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: Any, message: Any, **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = uuid.uuid4()
        # A reader takes files that end in ".<queue>.msg" only.
        draft = folder / f".{name}"
        try:
            draft.write_text(dumps(message))  # type: ignore[no-untyped-call]
            os.replace(draft, folder / f"{time_ns():020d}_{name}.{queue}.msg")
        except OSError as exc:
            raise ChannelError(f"a task cannot be queued in {folder}") from exc


class Transport(filesystem.Transport):
    Channel = Channel


def register() -> None:
    """From now on `filesystem://` means this one."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
