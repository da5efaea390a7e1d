"""Look at everything the gateway needs."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway.doctor import Status, examine


class Command(BaseCommand):
    help = "Settings, database, broker, channel layer, encryption, clock, upstreams, disk. Non-zero exit on failure."
    # They are the first finding.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in examine():
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(f"{finding.status:<4} {finding.name}: {finding.words}")
        failed = sum(finding.status is Status.FAIL for finding in findings)
        if options["json"]:
            facts = {"ok": not failed, "findings": msgspec.to_builtins(findings)}
            self.stdout.write(json.dumps(facts))
        if failed:
            raise CommandError(f"{failed} of {len(findings)} findings are failures")
