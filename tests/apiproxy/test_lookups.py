"""Keys that are looked up together: everybody is told what came of it."""

from __future__ import annotations

import asyncio

import pytest

from accounts import selectors
from apiproxy.lookups import Lookups

# A thread that asks the database gives its old connections back, whatever it is told.
pytestmark = pytest.mark.usefixtures("database")


async def test_what_nobody_foresaw_is_told_to_all_who_wait(monkeypatch):
    def broken(public_ids):
        raise RuntimeError("a bug")

    monkeypatch.setattr(selectors, "principals_by_public_id", broken)
    lookups = Lookups()
    async with asyncio.timeout(5):
        asked = [lookups.find(name) for name in ("a" * 12, "b" * 12, "a" * 12)]
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(one) for one in found] == ["a bug"] * 3
    monkeypatch.setattr(selectors, "principals_by_public_id", lambda public_ids: [])
    assert await lookups.find("a" * 12) is None


@pytest.mark.parametrize("count", [1, 1200])
async def test_who_is_not_there_is_nobody(monkeypatch, count):
    monkeypatch.setattr(selectors, "principals_by_public_id", lambda public_ids: [])
    lookups = Lookups()
    assert set(await asyncio.gather(*[lookups.find(f"{n:012}") for n in range(count)])) == {None}
