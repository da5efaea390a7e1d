"""A real browser in front of a real gateway: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.visitor import SITE_NAME, Visitor
from tests.e2e.gateway import Gateway
from tests.fakes.google import FakeGoogle
from tests.services import give_up

INVITE_CODE = "spring-water-7"
_BINARIES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-background-networking",
    # A contributor's browser is elsewhere: it knows the site by a name, and nothing of ours listens on its localhost.
    f"--host-resolver-rules=MAP {SITE_NAME} 127.0.0.1, MAP localhost ~NOTFOUND",
]


@pytest.fixture(scope="session")
def chromium():
    """The binary's path."""
    named = os.environ.get("TEST_CHROMIUM", "")  # noqa: TID251
    found = next(filter(None, map(shutil.which, (named, *_BINARIES))), None)
    if found is None:
        give_up("needs Chromium: none of " + ", ".join(_BINARIES) + " is installed")
    return found


@pytest.fixture
def browser(chromium):
    """For one test: Playwright's loop runs in this thread as long as it lives, and other tests need theirs."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS) as launched,
    ):
        yield launched


@pytest.fixture(scope="session")
def google():
    with FakeGoogle.running() as fake:
        yield fake


@pytest.fixture(scope="session")
def open_site(tmp_path_factory, google):
    """SQLite, one web process, one worker; everybody may lend."""
    with running(tmp_path_factory.mktemp("open"), google) as site:
        yield site


@pytest.fixture(scope="session")
def invited_site(tmp_path_factory, google):
    """The same for those who have a code."""
    settings = {"LENDING": "invite", "LENDING_INVITE_CODES": f"another,{INVITE_CODE}"}
    with running(tmp_path_factory.mktemp("invited"), google, **settings) as site:
        site.planted.add(INVITE_CODE)
        yield site


@contextmanager
def running(folder, google, **settings):
    site = Gateway(folder, google, **settings)
    try:
        site.set_up()
        yield site
        leaks = site.leaks()
    finally:
        exit_code = site.stop()
    assert (exit_code, leaks) == (0, [])


@pytest.fixture
def site(open_site, google):
    """Nothing is lent, and Google knows nobody but the site's OAuth client."""
    yield from _fresh(open_site, google)


@pytest.fixture
def closed_site(invited_site, google):
    yield from _fresh(invited_site, google)


def _fresh(gateway, google):
    google.reset()
    google.add_client(*gateway.oauth_client)
    gateway.lend()
    gateway.new_log()
    yield gateway
    gateway.plant_issued()
    log = gateway.new_log()
    assert "Traceback" not in log, log
    assert not [secret for secret in gateway.planted if secret in log]


@pytest.fixture
def visit(browser, request):
    """visit(site) -> Visitor: a phone with a browser of its own; options as of `Visitor`. Closed, and judged, at the end."""
    visitors = []

    def start(site, **options):
        visitor = Visitor(browser, site, name=request.node.name, **options)
        visitors.append(visitor)
        return visitor

    yield start
    for visitor in visitors:
        visitor.close()
    for visitor in visitors:
        assert visitor.complaints == []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    gateway = getattr(item, "funcargs", {}).get("site")
    if report.failed and isinstance(gateway, Gateway):
        report.sections.append(("gateway log", gateway.log.read_text(errors="replace")[-6000:]))
