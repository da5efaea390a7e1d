from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from quotas.services import sweep


class Command(BaseCommand):
    help = "Refund the reservations of processes that died. Celery does it by itself; this does it now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        swept = sweep(lease_s=settings.HOLDER_LEASE_S)
        self.stdout.write(
            json.dumps({"refunded": swept}) if options["json"] else f"{swept} reservations refunded"
        )
