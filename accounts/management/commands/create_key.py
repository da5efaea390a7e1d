"""Issue an API key."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey, User
from gateway.lib import credits


def quota_micros(text: str) -> int:
    """Credits as typed -> micros."""
    try:
        return credits.to_micros(credits.parse(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def days(text: str) -> timedelta:
    if not (text.isdecimal() and 0 < int(text) <= 36_500):
        raise argparse.ArgumentTypeError("give a whole number of days, 1 to 36500")
    return timedelta(days=int(text))


class Command(BaseCommand):
    help = "Issue an API key and print it; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quota", required=True, type=quota_micros, help="in credits")
        parser.add_argument("--description", default="")
        parser.add_argument("--owner", help="username of the person it belongs to")
        parser.add_argument("--expires-days", type=days)
        parser.add_argument("--models", default="", help="names or globs, separated by commas")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        lifetime = options["expires_days"]
        names = [name.strip() for name in options["models"].split(",")]
        try:
            row, key = services.issue_key(
                quota_micros=options["quota"],
                description=options["description"],
                owner=_owner(options["owner"]),
                expires_at=timezone.now() + lifetime if lifetime else None,
                allowed_models=[name for name in names if name],
            )
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from exc
        facts = _facts(row)
        if options["json"]:
            self.stdout.write(json.dumps({"key": key, **facts}))
            return
        self.stdout.write(f"{key}\n\nCopy it now, it is not shown again.")
        for name, value in facts.items():
            if value:
                shown = ", ".join(value) if isinstance(value, list) else value
                self.stdout.write(f"  {name:<12} {shown}")


def _owner(username: str | None) -> User | None:
    if not username:
        return None
    try:
        return User.objects.get_by_natural_key(username)
    except User.DoesNotExist as exc:
        raise CommandError(f"There is no user {username!r}.") from exc


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "public_id": key.public_id,
        "quota": credits.to_text(key.balance.total_micros),
        "description": key.description,
        "owner": key.owner.username if key.owner else None,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "models": key.allowed_models,
    }
