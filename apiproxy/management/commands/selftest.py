from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apiproxy import runtime
from apiproxy.selftest import journal
from apiproxy.selftest.run import Result, run
from apiproxy.selftest.table import as_text, table_of


class Command(BaseCommand):
    help = "Drive every dialect against the sandbox and print what came of each case. Non-zero exit on failure."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.perf_counter()
        results = asyncio.run(_run())
        duration_ms = int((time.perf_counter() - started) * 1000)
        kept = journal.keep(results=results, duration_ms=duration_ms)
        table = table_of(kept.results)
        if options["json"]:
            facts = {"ok": not table.failed, "duration_ms": duration_ms, "results": kept.results}
            self.stdout.write(json.dumps(facts, ensure_ascii=False))
        else:
            self.stdout.write(as_text(table))
            self.stdout.write(
                f"{table.count - len(table.failed)} of {table.count} pass, {duration_ms} ms"
            )
        if table.failed or not table.count:
            raise CommandError(f"{len(table.failed)} of {table.count} cases fail")


async def _run() -> list[Result]:
    live = await runtime.start()
    try:
        return await run(live)
    finally:
        await runtime.stop()
