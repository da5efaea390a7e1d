"""Take credentials in from files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.importers import MAX_BYTES, Item, Unusable, parse
from credentials.services import ImportResult, Outcome, import_items


class Command(BaseCommand):
    help = (
        "Import credentials: lists of Gemini API keys; the JSON of gcli2api, gemini-cli, gcloud (ADC) and "
        "CLIProxyAPI; ZIPs and folders of any of them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help="file, folder or ZIP; - for standard input"
        )
        parser.add_argument("--dry-run", action="store_true", help="tell, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        items = [item for path in options["paths"] for item in _items(path)]
        results = import_items(items=items, dry_run=options["dry_run"])
        counts = Counter(result.outcome for result in results)
        if options["json"]:
            self.stdout.write(json.dumps(_as_data(results, counts, options["dry_run"])))
        else:
            self._print(results, counts, options["dry_run"])
        if counts[Outcome.UNUSABLE] == len(results):
            raise CommandError("There is nothing usable in it.")

    def _print(self, results: list[ImportResult], counts: Counter[Outcome], dry_run: bool) -> None:
        for result in results:
            what = result.reason or f"{result.provider} {result.label}"
            self.stdout.write(f"{result.outcome:<9}  {result.source}  {what}")
        summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
        self.stdout.write(f"{summary}{' (dry run: nothing was stored)' if dry_run else ''}")


def _as_data(
    results: list[ImportResult], counts: Counter[Outcome], dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        **{outcome.value: counts[outcome] for outcome in Outcome},
        "items": [
            {
                "source": result.source,
                "outcome": result.outcome.value,
                "provider": result.provider,
                "label": result.label,
                "reason": result.reason,
                "id": result.credential_id or None,
            }
            for result in results
        ],
    }


def _items(path: str) -> list[Item]:
    if path == "-":
        return parse("stdin", sys.stdin.buffer.read(MAX_BYTES + 1))
    where = Path(path)
    if where.is_dir():
        return [item for file in _files_in(where) for item in _read(file, where.parent)] or [
            Unusable(path, "an empty folder")
        ]
    return _read(where, where.parent)


def _files_in(folder: Path) -> Iterator[Path]:
    """Links are not followed: one could lead out of the folder, or round in it."""
    return (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink())


def _read(file: Path, base: Path) -> list[Item]:
    name = str(file.relative_to(base))
    try:
        with file.open("rb") as content:
            return parse(name, content.read(MAX_BYTES + 1))
    except OSError as exc:
        return [Unusable(name, exc.strerror or "not readable")]
