from __future__ import annotations

import json
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from quotas.selectors import prove


class Command(BaseCommand):
    help = "Prove that every balance is the sum of its ledger. Non-zero exit when one is not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        checked, wrong = prove()
        if options["json"]:
            rows = [msgspec.to_builtins(discrepancy) for discrepancy in wrong]
            self.stdout.write(
                json.dumps({"ok": not wrong, "balances": checked, "discrepancies": rows})
            )
        else:
            for row in wrong:
                self.stdout.write(
                    f"balance {row.balance_id}: {row.column} is {row.balance_micros} micros, "
                    f"the ledger says {row.ledger_micros}"
                )
            self.stdout.write(f"{checked} balances checked, {len(wrong)} discrepancies")
        if wrong:
            raise CommandError("the ledger does not add up")
