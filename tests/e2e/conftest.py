"""Gateways as processes. Each kind is started once in a pytest process, by the first test that wants it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import openai
import pytest
from google import genai

from tests.e2e import media
from tests.e2e.gateway import Gateway, client_of
from tests.fakes.google import FakeGoogle


@pytest.fixture(scope="session")
def google():
    with FakeGoogle.running() as fake:
        yield fake


@pytest.fixture(scope="session")
def image_hosts():
    """("127.0.0.1:port", "127.0.0.1:port"): two web servers with pictures; the gateways may fetch from the first."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), media.PictureHandler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tuple("{}:{}".format(*server.server_address[:2]) for server in servers)
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def sqlite_site(tmp_path_factory, google, image_hosts):
    """SQLite, no Redis, one web process."""
    with _running(tmp_path_factory.mktemp("sqlite"), google, image_hosts) as site:
        yield site


@pytest.fixture(scope="session")
def postgres_site(tmp_path_factory, google, image_hosts, postgres_url, redis_url):
    """PostgreSQL, Redis, two web processes."""
    options = {"database_url": postgres_url, "redis_url": redis_url, "workers": 2}
    with _running(tmp_path_factory.mktemp("postgres"), google, image_hosts, **options) as site:
        yield site


@contextmanager
def _running(folder, google, image_hosts, **options):
    site = Gateway(folder, google, FETCH_PRIVATE_HOSTS=image_hosts[0], **options)
    try:
        site.set_up()
        yield site
        leaks, deadlocks = site.leaks(), site.hand("deadlocks")
    finally:
        exit_code = site.stop()
    assert (exit_code, leaks, deadlocks) == (0, [], 0)


@pytest.fixture(params=["sqlite", "postgres"])
def gateway(request, google):
    """Both kinds in turn. What the test before has lent it is unknown to Google by now: `lend` something, or nothing."""
    site = request.getfixturevalue(f"{request.param}_site")
    google.reset()
    google.add_client(*site.oauth_client)
    site.new_log()
    yield site
    site.settled()
    assert site.hand("prove")["wrong"] == []
    log = site.new_log()
    assert "Traceback" not in log, log
    assert not [secret for secret in site.planted if secret in log]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    site = getattr(item, "funcargs", {}).get("gateway")
    if report.failed and isinstance(site, Gateway):
        report.sections.append(("gateway log", site.log.read_text(errors="replace")[-6000:]))


@pytest.fixture(autouse=True, scope="session")
def _no_proxy():
    """The SDKs take a proxy from the environment; what they call here is on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def http(gateway):
    with client_of(gateway.url) as client:
        yield client


@pytest.fixture
def chat(gateway):
    """The OpenAI SDK. It repeats nothing, so that a test sees what the gateway answered."""
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.key(), max_retries=0, timeout=30
    ) as client:
        yield client


@pytest.fixture
async def async_chat(gateway):
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.key(), max_retries=0, timeout=30
    ) as client:
        yield client


@pytest.fixture
async def gemini(gateway):
    """Google's SDK; its asynchronous half is `.aio`."""
    options = {"base_url": gateway.url, "timeout": 30_000}
    client = genai.Client(api_key=gateway.key(), http_options=options)
    yield client
    client.close()
    await client.aio.aclose()
