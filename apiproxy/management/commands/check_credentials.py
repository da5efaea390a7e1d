from __future__ import annotations

import json
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apiproxy.probe import AT_ONCE
from credentials import upstream
from credentials.selectors import lent_ids


class Command(BaseCommand):
    help = "Probe lent credentials with one tiny call each and print a verdict a line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="all when none is given")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        lent = lent_ids()
        wanted = options["ids"] or lent
        if unknown := sorted(set(wanted) - set(lent)):
            raise CommandError(f"there is no credential {', '.join(map(str, unknown))}")
        findings = []
        # A few at a time, so that they are told as they are found.
        for start in range(0, len(wanted), AT_ONCE):
            found = upstream.current().check(wanted[start : start + AT_ONCE])
            findings += found
            if not options["json"]:
                self.stdout.writelines(f"{_line(finding)}\n" for finding in found)
        usable = sum(finding.usable for finding in findings)
        if options["json"]:
            rows = [msgspec.to_builtins(finding) for finding in findings]
            self.stdout.write(
                json.dumps({"usable": usable, "checked": len(rows), "findings": rows})
            )
        else:
            self.stdout.write(f"{usable} of {len(findings)} usable")


def _line(finding: upstream.Finding) -> str:
    words = [f"{finding.credential_id}\t{finding.verdict}\t{finding.label}"]
    if finding.detail:
        words.append(finding.detail)
    if finding.help_url:
        words.append(finding.help_url)
    return "\t".join(words)
