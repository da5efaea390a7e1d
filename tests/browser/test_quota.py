"""Somebody with a key, on a phone and at a desk: what is left, where it went, and no trace of the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.visitor import DESK, PHONE
from tests.e2e.dialects import OPENAI, ask
from tests.e2e.gateway import client_of
from tests.services import give_up

MODEL = "sandbox-echo"
AXE = Path(__file__).parents[1] / "clients/js/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def axe():
    """The text of axe-core's script."""
    if not AXE.exists():
        give_up("needs axe-core: make installs it into tests/clients/js")
    return AXE.read_text()


@pytest.fixture
def accessible(axe):
    """accessible(visitor): nobody is kept out of the page that is shown."""

    def look(visitor):
        # By the debugger, so that the page's own policy does not matter.
        visitor.page.evaluate(axe)
        found = visitor.page.evaluate("async () => (await axe.run(document)).violations")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []

    return look


@pytest.fixture
def key(site):
    """A key with a hundred credits and limits, three of which were spent."""
    text = site.key(100, description="Alice’s phone")
    site.hand("limit_key", key=text, day_micros=50_000_000, rpm=600, time_zone="Asia/Shanghai")
    site.know_all_changes()
    with client_of(site.url) as http:
        for _ in range(3):
            assert ask(http, OPENAI, text, model=MODEL).status_code == 200
    return text


def show(visitor, key):
    visitor.go("/quota")
    visitor.shot("ask")
    visitor.fill("Your API key", key)
    visitor.press("Show it")
    visitor.reads("Credits left")
    visitor.lands("/quota")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("device", [PHONE, DESK], ids=["phone", "desk"])
def test_everybody_can_read_what_is_left(site, visit, key, accessible, device, dark):
    alice = visit(site, device=device, dark=dark)
    alice.go("/quota")
    accessible(alice)
    show(alice, key)
    alice.reads("97 of 100")
    assert "47 can be spent now" in " ".join(alice.text().split())
    alice.page.locator("summary .line").first.click()
    alice.reads("Given back")
    for summary in ("Models and prices", "Ways to write"):
        alice.page.get_by_text(summary).click()
    alice.looks_right()
    accessible(alice)
    alice.shot("key")


def test_the_key_is_in_no_page_address_or_log(site, visit, key):
    alice = visit(site)
    asked = []
    alice.context.on("request", lambda request: asked.append(request))
    show(alice, key)
    alice.follow("30 days")
    alice.reads("days of UTC")
    alice.follow("Refresh")
    alice.page.reload()
    assert key not in alice.page.content()
    assert not [one.url for one in asked if key[3:] in one.url]
    told = [one for one in asked if key in (one.post_data or "")]
    assert [(one.method, one.url) for one in told] == [("POST", f"{alice.base}/quota")]
    assert not [one for one in asked if key[3:] in str(one.all_headers())]
    kept = alice.page.evaluate(
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state])"
    )
    assert key[3:] not in kept
    assert key[3:] not in str(alice.context.cookies())
    alice.page.go_back()
    assert key not in alice.page.content()
    # `site` looks through its log for every key that it handed out; a failure is logged with its path.
    alice.page.goto("/quota/s/" + key, wait_until="commit")
    assert key[15:] not in site.log.read_text()


def test_figures_are_fetched_anew_and_what_is_open_stays_open(site, visit, key):
    alice = visit(site, device=DESK)
    show(alice, key)
    alice.page.locator("summary .line").first.click()
    opened = alice.page.locator("details[open] code.pick").inner_text()
    with client_of(site.url) as http:
        assert ask(http, OPENAI, key, model=MODEL).status_code == 200
    alice.follow("Refresh")
    alice.reads("96 of 100")
    assert alice.page.locator("details[open] code.pick").inner_text() == opened
    alice.follow("24 hours")
    alice.reads("hours of UTC")
    assert alice.page.url.endswith("span=24h&show=credits")
    count = alice.page.locator("[data-countdown]").first
    assert re.match(r"in \d+ (d|h|min|s)", count.inner_text())


def test_a_request_id_of_an_error_is_explained(site, visit, key):
    with client_of(site.url) as http:
        refused = ask(http, OPENAI, key, model="no-such-model")
    request_id = refused.headers["x-request-id"]
    site.explained(request_id)
    alice = visit(site)
    show(alice, key)
    alice.fill("Request id", f"(request {request_id})")
    alice.press("Explain it")
    alice.reads("Refused: no such model or address")
    alice.looks_right()


def test_it_all_works_without_scripts(site, visit, key):
    alice = visit(site, scripts=False)
    show(alice, key)
    alice.follow("24 hours")
    alice.reads("hours of UTC")
    alice.follow("Refresh")
    alice.reads("97 of 100")
    alice.fill("Code", "WELCOME-NEVER")
    alice.press("Add its credits")
    alice.reads("There is no such code")
    alice.follow("Refresh")
    alice.reads("97 of 100")
    alice.press("Done")
    alice.reads("This browser has forgotten your key.")
    alice.looks_right()


def test_a_wrong_key_is_told_so(site, visit):
    charlie = visit(site)
    charlie.go("/quota")
    charlie.fill("Your API key", site.plant("sk-" + "Wr0ng" * 9 + "Key"))
    charlie.press("Show it")
    charlie.reads("There is no such key here")
    charlie.looks_right()
    assert charlie.page.get_by_label("Your API key").input_value() == ""
