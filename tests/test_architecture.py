"""The house's directions: who imports whom, what is pure, where the environment is read."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
APPS = ("gateway", "accounts", "credentials", "quotas", "apiproxy")
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in LINTER["contracts"]}
HEAVY = {"django", "celery", "httpx", "aiohttp"}

# Each module is imported by a process of its own, forked from an interpreter that has loaded nothing.
PROBE = """
import importlib, json, os, sys
modules, heavy = json.loads(sys.argv[1]), set(json.loads(sys.argv[2]))
for module in modules:
    sys.stdout.flush()
    if os.fork() == 0:
        importlib.import_module(module)
        print(json.dumps([module, sorted(heavy & set(sys.modules))]))
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


def files():
    return [path for app in APPS for path in sorted((ROOT / app).rglob("*.py"))]


def pure_modules():
    """The modules of the purity contract, packages with all that is in them."""
    found = []
    for name in CONTRACTS["purity"]["source_modules"]:
        found.append(name)
        folder = ROOT / name.replace(".", "/")
        found += [module.name for module in pkgutil.walk_packages([str(folder)], f"{name}.")]
    return found


def test_the_import_directions_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_composition_root_is_forbidden_to_apps_as_a_whole():
    children = {
        f"gateway.{path.stem}"
        for path in (ROOT / "gateway").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    allowed = {"gateway.lib", "gateway.__init__"}
    assert set(CONTRACTS["composition-root"]["forbidden_modules"]) == children - allowed


def test_pure_modules_load_no_framework():
    modules = pure_modules()
    assert {"apiproxy.wire.sse", "apiproxy.pool", "quotas.pricing"} <= set(modules)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(modules), json.dumps(sorted(HEAVY))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = dict(json.loads(line) for line in done.stdout.splitlines())
    assert set(loaded) == set(modules), done.stderr
    assert {module: names for module, names in loaded.items() if names} == {}


def test_imports_stand_at_the_top():
    """A task may import its service late, and `ready()` must."""
    late = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in files()
        if path.name not in ("tasks.py", "apps.py")
        for line in imports_inside_functions(path)
    ]
    assert late == []


def imports_inside_functions(path):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.lineno
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }


def test_no_import_is_relative():
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}:{node.lineno}"
