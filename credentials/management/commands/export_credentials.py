"""Write credentials into a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.exporters import FORMATS
from credentials.management.commands.import_credentials import password_from
from credentials.models import Credential
from credentials.services import exporting
from credentials.states import State
from gateway.lib.errors import GatewayError


class Command(BaseCommand):
    help = "Export credentials. A backup (--format wellspring) is locked and loses nothing. Every export is recorded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="without: all of them")
        parser.add_argument("--format", choices=list(FORMATS), default="wellspring")
        parser.add_argument(
            "--output",
            required=True,
            metavar="FILE",
            help="readable by you alone; - for standard output",
        )
        parser.add_argument("--tag", default="", help="only those with this tag")
        parser.add_argument(
            "--json", action="store_true", help="say what was done as one JSON object"
        )
        locked = parser.add_mutually_exclusive_group()
        locked.add_argument("--password", action="store_true", help="ask for a password")
        locked.add_argument("--password-file", help="the first line of this file is the password")

    def handle(self, *args: Any, **options: Any) -> None:
        password = password_from(options)
        made_up = FORMATS[options["format"]].LOCKED and not password
        if made_up:
            password = exporting.new_password()
        rows = Credential.objects.exclude(state=State.WITHDRAWN)
        if options["ids"]:
            rows = rows.filter(pk__in=options["ids"])
        ids = [
            row.pk
            for row in rows.only("pk", "tags")
            if not options["tag"] or options["tag"] in row.tags
        ]
        try:
            made = exporting.export(
                credential_ids=ids, format=options["format"], actor="command", password=password
            )
            with _output(options["output"]) as file:
                for chunk in made.chunks:
                    file.write(chunk)
        except GatewayError as exc:
            raise CommandError(exc.message) from None
        except OSError as exc:
            raise CommandError(f"The file could not be written: {exc.strerror}") from None
        if options["json"]:
            told = {"exported": made.count, "format": options["format"], "file": options["output"]}
            if made_up:
                told["password"] = password
            beside = self.stderr if options["output"] == "-" else self.stdout
            beside.write(json.dumps(told))
            return
        self.stderr.write(f"{made.count} credentials exported.")
        if made_up:
            self.stderr.write(f"The password, shown this once: {password}")


@contextmanager
def _output(path: str) -> Iterator[BinaryIO]:
    """Nothing is overwritten, and nobody else may read it from its first byte on."""
    if path == "-":
        yield sys.stdout.buffer
        return
    descriptor = os.open(Path(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
