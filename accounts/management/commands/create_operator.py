"""Make an operator account."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from accounts.models import User


class Command(BaseCommand):
    help = "Make an operator account. The password comes from --password, OPERATOR_PASSWORD or a prompt."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", required=True)
        parser.add_argument("--password", help="seen by others in the list of processes")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        username = options["username"]
        try:
            password = options["password"] or settings.OPERATOR_PASSWORD or _ask(username)
            user = services.create_operator(username=username, password=password)
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from exc
        if options["json"]:
            made = {"id": user.pk, "username": user.username, "role": user.role}
            self.stdout.write(json.dumps(made))
        else:
            self.stdout.write(f"Operator {user.username} can sign in at /admin/.")


def _ask(username: str) -> str:
    """Raises ValidationError for a weak password: a person is there to choose a better one."""
    if not sys.stdin.isatty():
        raise CommandError("Give --password or set OPERATOR_PASSWORD: there is nobody to ask.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Password again: ") != password:
        raise CommandError("The two passwords differ.")
    validate_password(password, User(username=username))
    return password
