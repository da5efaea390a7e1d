"""The gateway of the table: SQLite, one web process, one lent API key; drivers start when their first case comes."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.clients.cases", "tests.clients.harness", "tests.clients.python.objects"
)

from tests.clients.cases import CASES  # noqa: E402
from tests.clients.harness import Driver, Stage  # noqa: E402
from tests.e2e.gateway import Gateway  # noqa: E402
from tests.fakes.google import FakeGoogle  # noqa: E402


@pytest.fixture(scope="session")
def google():
    with FakeGoogle.running() as fake:
        yield fake


@pytest.fixture(scope="session")
def gateway(tmp_path_factory, google):
    # No life sign comes before an error on a busy machine: the status is the error's own.
    site = Gateway(tmp_path_factory.mktemp("clients"), google, keepalive_s=30)
    try:
        site.set_up()
        site.lend("gemini_api")
        yield site
        site.settled()
        wrong, log, leaks = site.hand("prove")["wrong"], site.new_log(), site.leaks()
    finally:
        exit_code = site.stop()
    assert "Traceback" not in log, log
    assert (exit_code, wrong, leaks) == (0, [], [])


@pytest.fixture(scope="session")
def drivers(tmp_path_factory):
    """{command: Driver} of this pytest process."""
    running = {}
    yield running
    for driver in running.values():
        driver.end()


@pytest.fixture(scope="session")
def key(gateway):
    return gateway.key(1_000_000)


@pytest.fixture
def play(client, case, gateway, google, drivers, key, tmp_path_factory, record_property):
    """Plays the case with the client, and tells the table."""
    record_property("client", client.name)
    record_property("case", case)
    record_property("lacks", dict(client.lacks))
    record_property("columns", list(CASES))
    google.reset(keep_credentials=True)
    if client.command in drivers and not drivers[client.command].is_alive:
        drivers.pop(client.command).end()
    if client.command not in drivers:
        log = tmp_path_factory.mktemp("driver") / "log"
        drivers[client.command] = Driver(client, log)
    driver = drivers[client.command]
    record_property("version", driver.version)
    stage = Stage(client, driver, gateway, google, key)
    return lambda: client.cases[case](stage)
