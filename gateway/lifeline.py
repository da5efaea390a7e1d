"""The thread between a child of `serve` and its parent: a socket pair of which each holds one end.

The child writes one byte when it is ready. The parent never writes: it only holds its end, so the child reads an end of
file when the parent is gone, by whatever death, and nothing is left behind holding the port.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import suppress

# How long an orphan may tidy up after each of its two SIGTERMs before it leaves without.
ORPHAN_GRACE_S = 1.5


class Lifeline:
    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def report_ready(self) -> None:
        self._socket.send(b"r")

    def _watch(self) -> None:
        # A parent that dies with our byte unread resets the pair: gone all the same.
        with suppress(OSError):
            self._socket.recv(1)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(ORPHAN_GRACE_S)
        os._exit(1)
