"""Which scripted scenario answers the next call, and the record of every call made."""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

ANY = "*"


@dataclass
class Script:
    scenario: str
    credential: str | None
    model: str | None
    remaining: int | None
    on: frozenset[str]
    options: dict[str, Any]

    def fits(self, kind: str, names: set[str], model: str | None) -> bool:
        return (
            self.remaining != 0
            and (ANY in self.on or kind in self.on)
            and (self.credential is None or self.credential in names)
            and (self.model is None or self.model == model)
        )

    @property
    def weight(self) -> int:
        return 2 * (self.credential is not None) + (self.model is not None)


class ScriptBook:
    """Most specific first (credential before model); counted scripts in the order they were
    added and before the lasting one; of lasting scripts the latest counts."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []

    def add(self, script: Script) -> None:
        self.scripts.append(script)

    def take(self, kind: str, names: set[str], model: str | None) -> Script | None:
        fitting = [script for script in self.scripts if script.fits(kind, names, model)]
        if not fitting:
            return None
        heaviest = max(script.weight for script in fitting)
        fitting = [script for script in fitting if script.weight == heaviest]
        counted = next((script for script in fitting if script.remaining is not None), None)
        if counted is None:
            return fitting[-1]
        counted.remaining = (counted.remaining or 0) - 1
        return counted


@dataclass
class Recorded:
    """One request as the fake saw it. Times are ``time.monotonic()``, comparable over processes.

    ``kind`` is the sort of call (generate, count, token, load ...), ``scenario`` what answered it.
    ``disconnected`` means the client left before the answer was complete.
    """

    id: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    when: float
    peer: str
    body: Any = None
    body_bytes: int = 0
    kind: str = ""
    credential: str | None = None
    account: str | None = None
    model: str | None = None
    stream: bool = False
    scenario: str = ""
    status: int = 0
    error: str = ""
    events_sent: int = 0
    first_byte_at: float | None = None
    finished: bool = False
    finished_at: float | None = None
    disconnected: bool = False
    disconnected_at: float | None = None
    aborted: bool = field(default=False)

    def shown(self) -> dict[str, Any]:
        return asdict(self)

    def finish(self) -> None:
        self.finished = True
        self.finished_at = time.monotonic()

    def lose_client(self) -> None:
        if not self.aborted and not self.finished:
            self.disconnected = True
            self.disconnected_at = time.monotonic()


def parse_header(value: str) -> tuple[str, dict[str, Any]]:
    """``x-fake-scenario``: a bare name, or JSON ``{"scenario": name, option: value...}``."""
    if not value.startswith("{"):
        return value, {}
    options = json.loads(value)
    return options.pop("scenario"), options
