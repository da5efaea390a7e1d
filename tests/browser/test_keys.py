"""A member makes keys; an operator hands out a batch of links, and a stranger fetches the key behind one."""

from __future__ import annotations

import re

import pytest

from tests.browser.visitor import DESK, PHONE
from tests.e2e.gateway import client_of

WHOLE_KEY = re.compile(r"sk-[0-9A-Za-z]{48}")
ENTER = """
from django.test import Client
from accounts.models import Group, User
person = User.objects.get(username="{name}")
person.group, _ = Group.objects.get_or_create(name="members", defaults={{"member_keys": 2}})
person.save()
browser = Client()
browser.force_login(person)
print(browser.cookies["sessionid"].value)
"""


def signed_in(visit, site, role, **options):
    """Without the way in, which has tests of its own."""
    visitor = visit(site, **options)
    name, _ = site.person(role)
    session = site.manage("shell", "-v", "0", "-c", ENTER.format(name=name)).split()[-1]
    visitor.context.add_cookies([{"name": "sessionid", "value": session, "url": visitor.base}])
    return visitor


def shown_key(visitor, site):
    visitor.reads("Copy it now")
    key = visitor.page.locator("#key").inner_text().strip()
    assert WHOLE_KEY.fullmatch(key)
    visitor.looks_right()
    return site.plant(key)


def works(site, key):
    with client_of(site.url) as client:
        call = {"model": "sandbox-echo", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {key}"}
        return client.post("/v1/chat/completions", json=call, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "options",
    [{"device": PHONE, "dark": True}, {"device": DESK}, {"device": PHONE, "scripts": False}],
    ids=["phone", "desk", "without-scripts"],
)
def test_a_member_makes_a_key_and_looks_after_it(site, visit, options):
    bob = signed_in(visit, site, "member", **options)
    bob.go("/keys")
    bob.reads("You may make 2 more.")
    bob.shot("no-keys")
    bob.fill("Name", "Laptop")
    bob.fill("Spends at most", "25")
    bob.press("Make it")
    key = shown_key(bob, site)
    bob.shot("made")
    assert works(site, key)
    bob.follow("I have it")
    bob.lands("/keys")
    bob.looks_right()
    assert not WHOLE_KEY.search(bob.page.content())
    bob.reads("Laptop")
    bob.page.get_by_text("Rename, rotate, delete").first.click()
    bob.shot("opened")
    bob.page.get_by_label("The old one stops to work").select_option("at once")
    bob.press("Give it a new secret")
    newer = shown_key(bob, site)
    site.know_all_changes()
    assert works(site, newer)
    assert not works(site, key)
    bob.follow("I have it")
    bob.press("Share its balance")
    bob.reads("can spend nothing")
    bob.looks_right()
    bob.go(bob.page.locator("#link").inner_text().strip().removeprefix(bob.base))
    bob.reads("Laptop")
    bob.go("/keys")
    bob.page.get_by_text("Rename, rotate, delete").first.click()
    bob.press("Delete this key")
    bob.reads("You have no key yet.")
    site.know_all_changes()
    assert not works(site, newer)


@pytest.mark.parametrize("device", [DESK, PHONE], ids=["desk", "phone"])
def test_a_batch_of_links_and_who_fetches_a_key(site, visit, device):
    alice = signed_in(visit, site, "operator", device=device)
    alice.go("/api-key-admin")
    alice.shot("keys")
    alice.follow("Templates")
    alice.follow("New template")
    alice.fill("Name", f"Workshop {device['viewport']['width']}")
    alice.fill("Quota", "20")
    alice.page.get_by_text("Limits", exact=True).click()
    alice.fill("Requests a minute", "30")
    alice.looks_right()
    alice.shot("template")
    alice.press("Save")
    alice.reads("Saved.")
    alice.follow("many")
    alice.fill("How many", "3")
    alice.fill("Name", "Seat")
    alice.tick("links behind which each is fetched once")
    alice.looks_right()
    alice.shot("batch")
    alice.press("Issue them")
    alice.reads("3 links")
    alice.looks_right()
    alice.shot("links")
    links = alice.page.locator("td code").all_inner_texts()
    assert len(links) == 3
    path = links[0].removeprefix(alice.base)
    site.plant(path.rpartition("/")[2])

    charlie = visit(site, device=PHONE, scripts=False)
    charlie.go(path)
    charlie.reads("Seat 1")
    charlie.reads(re.compile("20 of 20 left"))
    charlie.shot("waits")
    charlie.press("Show me the key")
    key = shown_key(charlie, site)
    charlie.shot("fetched")
    assert works(site, key)
    late = visit(site, dark=True)
    late.go(path)
    late.reads("Somebody has this key already")
    assert not WHOLE_KEY.search(late.page.content())

    alice.go("/api-key-admin?q=Seat&state=waiting")
    alice.reads("2 keys")
    alice.looks_right()
    alice.shot("waiting")
    alice.page.get_by_label("all 2 that match").check()
    alice.page.get_by_label("What").select_option("Delete")
    alice.press("Go on…")
    alice.reads("Delete: 2 keys")
    alice.looks_right()
    alice.press(re.compile("Delete: 2"))
    alice.reads("2 of 2 changed")
    alice.go(f"/api-key-admin/{key[3:15]}")
    alice.reads("Seat 1")
    alice.shot("one")
