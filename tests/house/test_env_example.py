"""`.env.example` and the code know the same variables, with the same defaults."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
APPS = ("gateway", "accounts", "credentials", "quotas", "apiproxy")
EXAMPLE = (ROOT / ".env.example").read_text()
LINE = re.compile(r"^#([A-Z][A-Z0-9_]*)=(.*)$", re.M)
# Their defaults depend on where the project stands.
PLACES = {"ENV_FILE", "DATA_DIR", "DATABASE_URL"}


def reads():
    """Every `env.<type>("NAME", ...)` of the project."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and reads_the_environment(node):
                    yield node


def reads_the_environment(call):
    function = call.func
    is_method = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return is_method and function.value.id == "env" and isinstance(call.args[0], ast.Constant)


def default_of(call):
    """As one would write it into the file; None where the code computes it."""
    (node,) = [keyword.value for keyword in call.keywords if keyword.arg == "default"]
    if any(isinstance(part, ast.Name | ast.Call | ast.JoinedStr) for part in ast.walk(node)):
        return None
    value = eval(compile(ast.Expression(node), "default", "eval"))
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def test_every_variable_stands_in_the_example_and_nothing_else_does():
    read = {call.args[0].value for call in reads()}
    assert "DATABASE_URL" in read
    assert {name for name, _ in LINE.findall(EXAMPLE)} == read


def test_the_values_shown_are_the_defaults():
    shown = dict(LINE.findall(EXAMPLE))
    defaults = {call.args[0].value: default_of(call) for call in reads()}
    computed = {name for name, value in defaults.items() if value is None}
    assert computed <= PLACES
    wanted = {name: value for name, value in defaults.items() if name not in PLACES}
    assert {name: shown.get(name) for name in wanted} == wanted


def test_every_variable_is_explained_by_the_line_above_it():
    lines = EXAMPLE.splitlines()
    for above, line in zip(lines, lines[1:], strict=False):
        if LINE.match(line):
            assert above.startswith("# "), f"{line} is not explained"


def test_an_untouched_copy_of_the_example_changes_nothing():
    assert all(line.startswith("#") for line in EXAMPLE.splitlines() if line)
