"""One client's driver as a process, and what a case sees of the gateway, the fake and that client."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients import cases
from tests.e2e.gateway import Gateway
from tests.e2e.processes import Child, clean_environment
from tests.fakes.google import FakeGoogle

Json = dict[str, Any]


@dataclass(frozen=True)
class Client:
    """A row of the table.

    `command` starts the driver: its arguments after `program`, in the checkout's folder. Clients with the same command
    share the process; `details` goes with every question of this one.

    `errors`: for each case of `cases.ERRORS` the class that users of this client catch, in the words of the protocol;
    "streamed overload" where a stream has its own. `overload_status`: what this client shows as that status.
    `structured_by`: the tool by a call of which the client wants structured output, where it does not ask for JSON.
    `wraps`: what the client makes of the result of a function before it sends it.
    `hides`: the fields of answers, usages and errors that this client does not show; there a null is expected.
    `cases`: the columns as this client plays them. `lacks`: why a case cannot be; what the client has not, never what the
    gateway has not.
    """

    name: str
    command: tuple[str, ...]
    errors: Mapping[str, str]
    program: str = sys.executable
    details: Mapping[str, Any] = field(default_factory=dict)
    overload_status: int = 503
    structured_by: str = ""
    hides: frozenset[str] = frozenset()
    cases: Mapping[str, Callable[[Stage], None]] = field(default_factory=lambda: cases.CASES)
    wraps: Callable[[str, Json], Json] = lambda name, result: result
    lacks: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


class Driver:
    """`end` it in any case."""

    def __init__(self, client: Client, log: Path) -> None:
        assert Path(client.program).exists(), (
            f"{client.program} is missing: `make clients` installs it"
        )
        # No client may look for a proxy, or for settings of whoever runs this.
        env = clean_environment(NO_PROXY="*", **client.env) | {"HOME": str(log.parent)}
        self._child = Child(*client.command, env=env, log=log, program=client.program)
        # The first start after an installation compiles what it imports.
        self.version: str = self._child.read(timeout_s=100)["version"]

    @property
    def is_alive(self) -> bool:
        return self._child.process.poll() is None

    def ask(self, question: Json) -> Json:
        try:
            told: Json = self._child.ask(question)
        except AssertionError:
            # It hangs: the next case gets another.
            self._child.process.kill()
            self._child.process.wait()
            raise
        assert "crash" not in told, told["crash"]
        return told

    def end(self) -> None:
        self._child.end()


@dataclass
class Stage:
    """What a case works with."""

    client: Client
    driver: Driver
    gateway: Gateway
    google: FakeGoogle
    key: str

    def ask(self, *prompts: str, **question: Any) -> list[Json]:
        """The model's answers in a conversation, one after the other."""
        told = self._tell(prompts, question)
        if "error" in told:
            raise AssertionError("{class} {status}: {message}".format(**told["error"]))
        return told["answers"]

    def fail(self, *prompts: str, **question: Any) -> Json:
        """The client's exception."""
        told = self._tell(prompts, question)
        if "answers" in told:
            raise AssertionError(f"no error, but {told['answers']}")
        return told["error"]

    def _tell(self, prompts: tuple[str, ...], question: Json) -> Json:
        told = {
            "base_url": self.gateway.url,
            "key": self.key,
            "model": cases.MODEL,
            "prompts": list(prompts),
        }
        return self.driver.ask(told | dict(self.client.details) | question)

    def shows(self, answer: Json, **expected: Any) -> None:
        """Exactly this is what the client shows; a field it hides is null."""
        visible = {
            name: None if name in self.client.hides else value for name, value in expected.items()
        }
        assert {name: answer[name] for name in expected} == visible, answer

    def sent(self, number: int = -1) -> Json:
        """The Gemini request of a call that reached Google, in Google's spelling: its own SDK mixes two."""
        body: Json = _camel(self.google.calls()[number].body)
        return body


def matrix(clients: Iterable[Client]) -> Callable[[Any], Any]:
    """Every client with every case it can play."""
    rows = [
        pytest.param(client, case, id=f"{client.name}-{case}".replace(" ", "-"))
        for client in clients
        for case in client.cases
        if case not in client.lacks
    ]
    return pytest.mark.parametrize(("client", "case"), rows)


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub("_([a-z])", lambda found: found[1].upper(), name): _camel(one)
        for name, one in value.items()
    }
