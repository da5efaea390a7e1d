"""Keys that this process does not know yet are looked up together: one question to the database at a time, for all who wait."""

from __future__ import annotations

import asyncio

from channels.db import database_sync_to_async

from accounts import selectors
from accounts.selectors import KeyRecord
from gateway.lib.tasks import spawn

_AT_ONCE = 500


class Lookups:
    def __init__(self) -> None:
        self._wanted: dict[str, asyncio.Future[KeyRecord | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, public_id: str) -> KeyRecord | None:
        """Raises django.db.Error."""
        found = self._wanted.get(public_id)
        if found is None:
            found = self._wanted[public_id] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = spawn(self._ask(), name="look-ups of keys")
        # Shielded: it may be somebody else's too.
        return await asyncio.shield(found)

    async def _ask(self) -> None:
        try:
            while self._wanted:
                some = dict(list(self._wanted.items())[:_AT_ONCE])
                for public_id in some:
                    # Who asks for it from now on asks again: it may come into being meanwhile.
                    del self._wanted[public_id]
                await self._look_up(some)
        finally:
            self._asking = None
            for found in self._wanted.values():
                found.cancel()
            self._wanted.clear()

    async def _look_up(self, some: dict[str, asyncio.Future[KeyRecord | None]]) -> None:
        try:
            records = await database_sync_to_async(selectors.principals_by_public_id)(list(some))
        except Exception as exc:  # noqa: BLE001 - whoever waits is told
            for found in some.values():
                found.set_exception(exc)
                found.exception()  # whoever asked may have left
            return
        by_id = {record.public_id: record for record in records}
        for public_id, found in some.items():
            found.set_result(by_id.get(public_id))
