"""A steward at a desk: files come in with a preview, and many credentials are changed at once."""

from __future__ import annotations

import re

import pytest

from tests.browser.visitor import DESK, PHONE
from tests.e2e import mixed
from tests.e2e.processes import eventually

COUNT = 100


@pytest.fixture
def house(tmp_path):
    """A ZIP of a hundred mixed files."""
    file = tmp_path / "house.zip"
    file.write_bytes(mixed.zipped(mixed.files(COUNT)))
    return file


def signed_in(visit, site, role, **options):
    visitor = visit(site, **options)
    name, password = site.person(role)
    visitor.page.goto("/admin/login/?next=/credentials")
    visitor.fill("Username", name)
    visitor.fill("Password", password)
    visitor.press("Sign in")
    visitor.lands("/credentials")
    return visitor


def bring_in(visitor, file):
    visitor.follow("Import")
    visitor.lands("/credentials/import")
    visitor.shot("import")
    visitor.page.get_by_label("Files", exact=True).set_input_files(str(file))
    visitor.fill("Tags", "moved")
    visitor.press("Show me what is in it")
    visitor.lands(re.compile(r"^/credentials/import/[0-9a-f-]{36}$"))
    visitor.reads("Nothing is stored yet")
    visitor.shot("preview")


@pytest.mark.parametrize("device", [DESK, PHONE], ids=["desk", "phone"])
def test_a_steward_imports_looks_and_disables_all_that_match(site, visit, house, device):
    expected = mixed.expected(COUNT)
    steward = signed_in(visit, site, "steward", device=device)
    steward.shot("empty-pool")
    bring_in(steward, house)
    assert f"{expected['unusable']} unusable" in steward.text()
    steward.page.get_by_label("Try them right afterwards").uncheck()
    new = int(re.search(r"Store (\d+)", steward.text())[1])
    steward.press(re.compile(r"^Store \d+"))
    steward.reads(re.compile(r"Done: \d+ new"), 60_000)
    steward.looks_right()
    steward.shot("imported")
    assert site.hand("pool_counts")["active"] == new

    steward.go("/credentials?tag=moved&provider=gemini_api")
    steward.shot("pool")
    keys = int(re.search(r"(\d+) match", steward.text())[1])
    steward.page.get_by_label(f"all {keys} that match").check()
    steward.page.get_by_label("What", exact=True).select_option("disable")
    steward.press("Go on")
    steward.lands("/credentials/bulk")
    steward.shot("bulk")
    steward.press(re.compile(rf": {keys}$"))
    steward.lands("/jobs")
    eventually(
        lambda: site.hand("pool_counts").get("disabled") == keys, "all of them are disabled", 30
    )
    steward.go("/jobs")
    steward.shot("jobs")
    steward.go("/credentials?state=disabled")
    steward.shot("disabled")
    assert f"{keys} match" in steward.text()
    # What a steward never sees.
    steward.page.goto("/credentials/export")
    assert "Only operators may do this" in steward.text()


def test_without_scripts_an_import_can_be_followed_too(site, visit, house):
    steward = signed_in(visit, site, "steward", device=DESK, scripts=False)
    bring_in(steward, house)
    steward.page.get_by_label("Try them right afterwards").uncheck()
    with steward.page.expect_navigation():
        steward.press(re.compile(r"^Store \d+"))

    def done():
        steward.page.reload()
        return "Done:" in steward.text()

    eventually(done, "the page says that it is done", 60)


def test_what_needs_somebody_stands_first(site, google, visit):
    """The operator's one minute: which credential, whose turn it is, and what to do."""
    works, revoked = site.lend("gemini_api", "gemini_api")
    google.remove_api_key(revoked.name)
    operator = signed_in(visit, site, "operator", device=DESK, dark=True)
    for lent in (works, revoked):
        operator.go(f"/credentials/{lent.id}")
        operator.press(re.compile("^Test"))
        operator.page.wait_for_load_state()
    operator.looks_right()
    operator.shot("revoked-one")
    operator.go("/credentials")
    operator.shot("what-to-do")
    text = operator.text()
    assert "1 of 2 can serve now" in text
    assert "Revoked" in text
    assert "Lend a new one" in text
    assert works.name not in operator.page.content()
    operator.go("/system")
    operator.shot("system")
