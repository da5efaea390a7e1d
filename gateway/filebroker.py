"""Celery's file-system broker with whole messages, none of which is lost with its worker.

kombu creates the file, then fills it, and a reader that looks in between finds nothing in it, which ends the worker. Here a
message appears in its folder complete.

kombu also deletes a message when it is taken, so that a task dies with its worker. Here it stays, renamed and locked, until
it is acknowledged. The kernel takes the lock from a process that dies, however it dies: whoever finds a taken message that
nobody locks puts it back into the queue. That needs no process ids, so it also holds between containers that share a folder.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)

RESCUE_EVERY_S = 5.0
_TAKEN = ".taken"


class Channel(filesystem.Channel):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._taken: dict[str, _Taken] = {}
        self._not_acknowledged: set[str] = set()
        self._rescue_at_s = 0.0
        for folder in (self.data_folder_in, self.data_folder_out, self.control_folder):
            Path(folder).mkdir(parents=True, exist_ok=True)

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        if no_ack:
            self._not_acknowledged.add(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)  # type: ignore[no-untyped-call]

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        message = super().basic_get(queue, no_ack, **kwargs)  # type: ignore[no-untyped-call]
        if no_ack and message is not None:
            self._forget(message.delivery_tag)
        return message

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        super().basic_ack(delivery_tag, multiple)  # type: ignore[no-untyped-call]
        self._forget(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().basic_reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        self._forget(delivery_tag)

    def close(self) -> None:
        """What was not acknowledged goes back into the queue (kombu does that) as new messages."""
        super().close()  # type: ignore[no-untyped-call]
        for delivery_tag in list(self._taken):
            self._forget(delivery_tag)

    def _put(self, queue: Any, message: Any, **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = uuid.uuid4()
        # A reader takes files that end in ".<queue>.msg" only.
        draft = folder / f".{name}"
        try:
            draft.write_text(dumps(message))  # type: ignore[no-untyped-call]
            os.replace(draft, folder / f"{time.time_ns():020d}_{name}.{queue}.msg")
        except OSError as exc:
            draft.unlink(missing_ok=True)  # what is left of it would help to keep a full disk full
            raise ChannelError(f"a task cannot be queued in {folder}") from exc

    def _get(self, queue: Any, timeout: Any = None) -> Any:
        folder = Path(self.data_folder_in)
        self._rescue(folder)
        suffix = f"{queue}.msg"
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != suffix:
                continue
            taken = _take(folder / name)
            if taken is None:
                continue
            try:
                message = loads(taken.read())  # type: ignore[no-untyped-call]
                tag = message.get("properties", {}).get("delivery_tag", "")
            except (ValueError, AttributeError):
                # As after a loss of power. Left there it would end every worker that looks at it.
                logger.error("%s holds no message: it is deleted", taken.path)
                taken.forget()
                continue
            self._taken[tag] = taken
            if not tag or queue in self._not_acknowledged:
                self._forget(tag)
            return message
        raise Empty

    def _forget(self, delivery_tag: str) -> None:
        if (taken := self._taken.pop(delivery_tag, None)) is not None:
            taken.forget()

    def _rescue(self, folder: Path) -> None:
        now_s = time.monotonic()
        if now_s < self._rescue_at_s:
            return
        self._rescue_at_s = now_s + RESCUE_EVERY_S
        for path in folder.glob(f"*.msg{_TAKEN}"):
            if (fd := _lock(path)) is not None:
                os.replace(path, path.with_suffix(""))
                os.close(fd)


class Transport(filesystem.Transport):
    Channel = Channel


class _Taken:
    """A message in the hands of this process: `fd` holds its lock."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def read(self) -> bytes:
        return self.path.read_bytes()

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.fd)


def _take(path: Path) -> _Taken | None:
    """None when another has it."""
    fd = _lock(path)
    if fd is None:
        return None
    taken = path.with_name(path.name + _TAKEN)
    os.replace(path, taken)
    return _Taken(taken, fd)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock of the file; None when it is another's, or is gone."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been taken, or have been finished, between our opening and our locking.
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None


def register() -> None:
    """From now on `filesystem://` means this one."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
