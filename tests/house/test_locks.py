"""The locks: whole, with hashes, of one mind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)(?: ; [^\\]+)? \\$")


def pins(name: str) -> dict[str, str]:
    """Package -> version; raises AssertionError for a line of the lock that is not a pin with a hash."""
    found = {}
    lines = [line for line in (ROOT / name).read_text().splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line[0] in " #":
            continue
        match = PIN.match(line)
        assert match, line
        assert "--hash=sha256:" in lines[number + 1], f"{line} has no hash"
        found[match[1]] = match[2]
    return found


def wanted(name: str) -> set[str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return {re.split(r"[\[<>=!~ ]", line)[0].lower() for line in lines if line and line[0] != "-"}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_all_that_is_asked_for_is_locked_with_hashes(name):
    assert wanted(f"{name}.in") <= set(pins(f"{name}.txt"))


def test_the_two_locks_agree():
    runtime, tools = pins("requirements.txt"), pins("requirements-dev.txt")
    shared = set(runtime) & set(tools)
    assert shared
    assert {name: runtime[name] for name in shared} == {name: tools[name] for name in shared}


@pytest.mark.parametrize("folder", ["js", "agents"])
def test_the_clients_of_node_are_locked_with_hashes_and_come_from_whatever_registry_npm_is_set_to(
    folder,
):
    home = ROOT / "tests" / "clients" / folder
    lock = json.loads((home / "package-lock.json").read_text())["packages"]
    asked = json.loads((home / "package.json").read_text())["dependencies"]
    assert lock.pop("")["dependencies"] == asked
    assert {f"node_modules/{name}" for name in asked} <= set(lock)
    for package in lock.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
