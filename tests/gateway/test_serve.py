"""`manage.py serve` and `manage.py welcome` as processes, the way `make run` starts them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.management.commands import welcome
from gateway.settings import listen

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A DATA_DIR with a migrated database, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    subprocess.run(migrate, env=environment_for(folder), check=True)
    return folder


def environment_for(data_dir):
    unset = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "HOST", "PORT")
    inherited = {name: value for name, value in os.environ.items() if name not in unset}  # noqa: TID251
    return {**inherited, "ENV_FILE": "", "DATA_DIR": str(data_dir)}


@pytest.fixture
def environment(migrated, tmp_path):
    return environment_for(shutil.copytree(migrated, tmp_path / "data"))


@pytest.fixture
def manage(environment, tmp_path):
    """Runs a command to its end, from another folder than the project's."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def served(environment, tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "serve", "--port", "0", "--json"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_serve_brings_everything_up_and_takes_everything_down(served, tmp_path):
    facts = json.loads(served.stdout.readline())
    assert facts["pid"] == served.pid
    assert httpx.get(facts["url"] + "/health", trust_env=False).status_code == 200
    assert (tmp_path / "data" / "broker" / "queue").is_dir()
    children = {child.pid for child in psutil.Process(served.pid).children()}
    assert children == {*facts["web"], facts["worker"]}
    served.send_signal(signal.SIGTERM)
    assert served.wait(PATIENCE_S) == 0
    assert not any(psutil.pid_exists(pid) for pid in children)


def test_the_parent_goes_on_without_django(served):
    json.loads(served.stdout.readline())
    assert psutil.Process(served.pid).memory_info().rss < 30 * 1024**2


def test_settings_that_contradict_stop_the_boot_with_a_hint(manage, environment):
    environment["GEMINI_API_URL"] = "nowhere"
    done = manage("serve", "--port", "0")
    assert done.returncode == 1
    assert "(gateway.E002) GEMINI_API_URL is not an address" in done.stderr
    assert "HINT" in done.stderr


def test_the_sample_key_is_shown_once_and_kept_for_its_owner(manage, tmp_path):
    first, second = manage("welcome").stdout, manage("welcome").stdout
    file = tmp_path / "data" / "sample-key"
    key = file.read_text()
    assert key.startswith("sk-")
    assert first.count(key) == 2
    assert key not in second
    assert f"$(cat {file})" in second
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_sample_key_that_the_database_does_not_know_is_made_again(manage, tmp_path):
    file = tmp_path / "data" / "sample-key"
    file.write_text("sk-" + "a" * 48)
    assert "A sample key" in manage("welcome").stdout
    assert file.read_text() != "sk-" + "a" * 48


def test_the_set_up_link_is_printed_until_there_is_an_operator(manage):
    assert "http://127.0.0.1:7861/setup/" in manage("welcome").stdout
    manage("create_operator", "--username", "alice", "--password", "correct horse battery")
    assert "/setup/" not in manage("welcome").stdout


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7861"),
        ("0.0.0.0", "http://127.0.0.1:7861"),
        ("::", "http://[::1]:7861"),
        ("gateway.lan", "http://gateway.lan:7861"),
    ],
)
def test_the_printed_address_can_be_opened_on_this_machine(monkeypatch, host, url):
    monkeypatch.setattr(listen, "HOST", host)
    assert welcome._base_url() == url
