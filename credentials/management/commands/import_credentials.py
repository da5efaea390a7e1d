"""Take credentials in from files."""

from __future__ import annotations

import getpass
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.importers import MAX_BYTES, Item, Unusable, is_beside_the_point, parse_all
from credentials.services import ImportResult, Outcome, import_items
from credentials.services.intake import tags_of
from gateway.lib.errors import InvalidRequest

_CHUNK = 500


class Command(BaseCommand):
    help = (
        "Import credentials: lists of Gemini API keys; the JSON of gcli2api, gemini-cli, gcloud (ADC) and "
        "CLIProxyAPI; our own backups; ZIPs and folders of any of them; a whole gcli2api deployment with names and "
        "states; its SQLite database, or a dump of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help="file, folder or ZIP; - for standard input"
        )
        parser.add_argument("--dry-run", action="store_true", help="tell, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--tag", action="append", default=[], help="for all that is stored; may be repeated"
        )
        locked = parser.add_mutually_exclusive_group()
        locked.add_argument("--password", action="store_true", help="ask for the password of ZIPs")
        locked.add_argument("--password-file", help="the first line of this file is the password")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tags = tags_of(",".join(options["tag"]))
        except InvalidRequest as exc:
            raise CommandError(exc.message) from None
        password = password_from(options)
        items = [item for path in options["paths"] for item in _items(path, password)]
        results = self._store(items, tags, dry_run=options["dry_run"])
        counts = Counter(result.outcome for result in results)
        if options["json"]:
            self.stdout.write(json.dumps(_as_data(results, counts, options["dry_run"])))
        else:
            self._print(results, counts, options["dry_run"])
        if counts[Outcome.UNUSABLE] == len(results):
            raise CommandError("There is nothing usable in it.")

    def _store(
        self, items: Sequence[Item], tags: list[str], *, dry_run: bool
    ) -> list[ImportResult]:
        """In chunks, each a transaction: an interrupted import is simply begun again. A dry run stores nothing, so it must
        see all at once to know the duplicates among them."""
        if dry_run:
            return import_items(items=items, tags=tags, by="command", dry_run=True)
        results: list[ImportResult] = []
        for start in range(0, len(items), _CHUNK):
            results += import_items(items=items[start : start + _CHUNK], tags=tags, by="command")
            if len(items) > _CHUNK:
                self.stderr.write(f"{len(results)} of {len(items)}")
        return results

    def _print(self, results: list[ImportResult], counts: Counter[Outcome], dry_run: bool) -> None:
        for result in results:
            what = result.reason or f"{result.provider} {result.label}"
            self.stdout.write(f"{result.outcome:<9}  {result.source}  {what}")
        summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
        self.stdout.write(f"{summary}{' (dry run: nothing was stored)' if dry_run else ''}")


def password_from(options: dict[str, Any]) -> str:
    """Of the command line's own arguments a password would be seen by everybody on the machine."""
    if options["password"]:
        return getpass.getpass("Password of the ZIP: ")
    if not options["password_file"]:
        return ""
    try:
        return Path(options["password_file"]).read_text().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as exc:
        raise CommandError(f"The password file is not readable: {exc}") from None


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


def _items(path: str, password: str) -> list[Item]:
    if path == "-":
        return parse_all([("stdin", sys.stdin.buffer.read(MAX_BYTES + 1))], password)
    where = Path(path)
    unreadable: list[Item] = []
    files = list(_files_in(where)) if where.is_dir() else [where]
    if not files:
        return [Unusable(path, "an empty folder")]
    items = parse_all(_contents(files, where.parent, unreadable), password)
    return unreadable + items


def _files_in(folder: Path) -> Iterator[Path]:
    """Links are not followed: one could lead out of the folder, or round in it."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.is_symlink():
            continue
        if not is_beside_the_point(str(file.relative_to(folder))):
            yield file


def _contents(
    files: Sequence[Path], base: Path, unreadable: list[Item]
) -> Iterator[tuple[str, bytes]]:
    for file in _with_logs(files):
        name = str(file.relative_to(base))
        try:
            with file.open("rb") as content:
                yield name, content.read(MAX_BYTES + 1)
        except OSError as exc:
            unreadable.append(Unusable(name, exc.strerror or "not readable"))


def _with_logs(files: Sequence[Path]) -> list[Path]:
    """A database that is named alone has its newest pages in the log beside it."""
    logs = [file.with_name(f"{file.name}-wal") for file in files]
    return [*files, *(log for log in logs if log.is_file() and log not in files)]
