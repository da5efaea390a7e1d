"""Issue an API key."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey, Group, KeyTemplate, User
from accounts.shown import limits_of, quota_of
from gateway.lib import audit, credits

_COUNTS = ("rpm", "rpd", "tpm", "concurrency")
_CREDITS = ("day", "week", "month")


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


def count(text: str) -> int:
    if not (text.isdecimal() and len(text) <= 10 and int(text) < 2**31):
        raise argparse.ArgumentTypeError("give a whole number")
    return int(text)


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


class Command(BaseCommand):
    help = "Issue an API key and print it; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        total = parser.add_mutually_exclusive_group()
        total.add_argument("--quota", type=quota_micros, help="in credits")
        total.add_argument("--unlimited", action="store_true", help="instead of a quota")
        parser.add_argument("--template", help="name of a template; the rest goes before it")
        parser.add_argument("--description")
        parser.add_argument("--notes", default="", help="for operators")
        parser.add_argument("--owner", help="username of the person it belongs to")
        parser.add_argument("--group", help="name of a group, instead of its owner's")
        parser.add_argument("--expires-days", type=days)
        parser.add_argument("--lifetime-days", type=days, help="counted from its first use")
        parser.add_argument("--models", default=[], type=names, help="names or globs, with commas")
        for period in _CREDITS:
            parser.add_argument(f"--{period}-credits", type=quota_micros, help=f"per {period}")
        for name in _COUNTS:
            parser.add_argument(f"--{name}", type=count)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        template = _named(KeyTemplate.objects.get, "template", name=options["template"])
        if options["quota"] is None and not options["unlimited"] and template is None:
            raise CommandError("Give a --quota in credits, --unlimited or a --template.")
        terms = services.terms_of_template(template)
        terms["limits"] = {**terms.get("limits", {}), **_limits(options)}
        terms |= _said(options)
        try:
            with transaction.atomic():
                row, key = services.issue_key(**terms, actor="command")
                facts = _facts(row)
                audit.record(
                    actor="command", action="keys.issue", subject=f"key {row.public_id}", **facts
                )
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from exc
        if options["json"]:
            self.stdout.write(json.dumps({"key": key, **facts}))
            return
        self.stdout.write(f"{key}\n\nCopy it now, it is not shown again.")
        for name, value in facts.items():
            if value:
                shown = ", ".join(value) if isinstance(value, list) else value
                self.stdout.write(f"  {name:<15} {shown}")


def _said(options: dict[str, Any]) -> dict[str, Any]:
    """What goes before the template."""
    said: dict[str, Any] = {
        "notes": options["notes"],
        "owner": _named(User.objects.get, "user", username=options["owner"]),
    }
    if options["quota"] is not None or options["unlimited"]:
        said["quota_micros"] = options["quota"]
    if options["description"] is not None:
        said["description"] = options["description"]
    if options["group"]:
        said["group"] = _named(Group.objects.get, "group", name=options["group"])
    if options["expires_days"]:
        said["expires_at"] = timezone.now() + options["expires_days"]
    if options["lifetime_days"]:
        said["lifetime_days"] = options["lifetime_days"].days
    return said


def _limits(options: dict[str, Any]) -> dict[str, Any]:
    limits = {name: options[name] for name in _COUNTS if options[name] is not None}
    for period in _CREDITS:
        if options[f"{period}_credits"] is not None:
            limits[f"{period}_micros"] = options[f"{period}_credits"]
    if options["models"]:
        limits["allowed_models"] = options["models"]
    return limits


def _named(get: Callable[..., Any], kind: str, **by: str | None) -> Any:
    [name] = by.values()
    if not name:
        return None
    try:
        return get(**by)
    except (User.DoesNotExist, Group.DoesNotExist, KeyTemplate.DoesNotExist) as exc:
        raise CommandError(f"There is no {kind} {name!r}.") from exc


def _facts(key: ApiKey) -> dict[str, Any]:
    """What was always told, then what there is beside."""
    quota = quota_of(key)
    facts: dict[str, Any] = {
        "public_id": key.public_id,
        "quota": None if quota is None else credits.to_text(quota),
        "description": key.description,
        "owner": key.owner.username if key.owner else None,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "models": key.limits.allowed_models if key.limits else [],
    }
    if key.group:
        facts["group"] = key.group.name
    if key.lifetime_days:
        facts["lifetime_days"] = key.lifetime_days
    others = limits_of(key.limits)
    others.pop("allowed_models")
    return facts | {name: value for name, value in others.items() if value not in (None, [], "")}
