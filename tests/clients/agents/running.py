"""A coding agent as people install it, run once: headless, in a home and a work folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.processes import ROOT

Json = dict[str, Any]

MODULES = ROOT / "tests" / "clients" / "agents" / "node_modules"
BIN = ROOT / ".venv" / "bin"
TIMEOUT_S = 60
# Nothing listens there: whatever an agent sends to another host than the gateway's is lost.
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Agent:
    """`arguments` follow its script, those of `again` where it is to go on with its last conversation; in them, in `env`
    and in `files` (by their path in the home) {url}, {key}, {home} and {task} are filled in. `answer` finds the final
    words in what it prints. `call` is what a model has to call for it to read the file {path}, `look` the same for a
    picture, `search` what it has to call one after the other for a search of the web.
    """

    name: str
    package: str
    script: str
    arguments: tuple[str, ...]
    again: tuple[str, ...]
    model: str
    """As Google is asked for it."""
    call: Json
    look: Json
    answer: Callable[[str], str]
    search: tuple[Json, ...] = ()
    searching_model: str = ""
    """As Google is asked to search for it."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    calls_at_once: int = 2
    """How many calls it lets the model make in one answer."""
    refusal: str = "the quota of this key does not cover this call"
    """What it says where a key is exhausted."""
    dropped: tuple[str, ...] = ()
    """What it sends and Google has no use for: words of the remarks in the request's explanation."""

    @property
    def version(self) -> str:
        return json.loads((MODULES / self.package / "package.json").read_text())["version"]

    def run(self, folder: Path, task: str, *, url: str, key: str, again: bool = False) -> Ended:
        home, work = folder / "home", folder / "work"
        facts = {"url": url, "key": key, "home": str(home), "task": task}
        for name, text in self.files.items():
            file = home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(text, facts))
        env = {
            "PATH": os.pathsep.join((str(BIN), "/usr/local/bin", "/usr/bin", "/bin")),
            "HOME": str(home),
            "TMPDIR": str(folder),
            "TERM": "dumb",
            "HTTPS_PROXY": NOWHERE,
            "HTTP_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
        }
        env |= {name: _filled(value, facts) for name, value in self.env.items()}
        script = str(MODULES / self.package / self.script)
        given = self.again if again else self.arguments
        arguments = [_filled(argument, facts) for argument in given]
        return _run([str(BIN / "node"), script, *arguments], env, work)


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    complained: str


def _run(command: list[str], env: Mapping[str, str], work: Path) -> Ended:
    process = subprocess.Popen(
        command,
        cwd=work,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # Its helpers hold the pipes as well.
        os.killpg(process.pid, signal.SIGKILL)
        said, complained = process.communicate()
        raise AssertionError(f"still running after {TIMEOUT_S} s: {said}{complained}") from None
    return Ended(process.returncode, said, complained)


def _filled(text: str, facts: Mapping[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace(f"{{{name}}}", value)
    return text
