"""Print the one-time link by which the first operator makes an account."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.urls import reverse

from accounts import services
from gateway.lib.errors import PermissionDenied


class Command(BaseCommand):
    help = "Print a one-time link to make the first operator account; without one when there is an operator."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-url", default="http://127.0.0.1:7861")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        url = _link(options["base_url"])
        if options["json"]:
            self.stdout.write(json.dumps({"url": url, "operator_exists": url is None}))
        elif url is None:
            self.stdout.write("An operator exists already: sign in at /admin/.")
        else:
            self.stdout.write(f"Make the first operator account (once, within 24 hours):\n{url}")


def _link(base_url: str) -> str | None:
    try:
        token = services.make_setup_token()
    except PermissionDenied:
        return None
    return base_url.rstrip("/") + reverse("accounts:setup", args=[token])
