"""What `make run` says before it serves: how the first operator gets in, and a call to try."""

from __future__ import annotations

import io
import json
import os
import shlex
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from accounts import keys, selectors
from gateway.settings import listen
from gateway.settings.env import DATA_DIR

SAMPLE_QUOTA = 1000
SAMPLE_FILE = DATA_DIR / "sample-key"
# Where a browser on this machine finds a server that listens everywhere.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Command(BaseCommand):
    help = "Print the set-up link while there is no operator, and a sample call whose key is made once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--base-url", default=_base_url())

    def handle(self, *args: Any, **options: Any) -> None:
        base_url = options["base_url"].rstrip("/")
        link = _json_of("setup_link", "--base-url", base_url)["url"]
        if link:
            self.stdout.write(f"\nThe first operator's account (once, within 24 hours):\n  {link}")
        key = None if _sample_key_is_known() else _make_sample_key()
        if key:
            self.stdout.write(
                f"\nA sample key of {SAMPLE_QUOTA} credits, kept in {SAMPLE_FILE}:\n  {key}"
            )
        self.stdout.write(f"\nTry it:\n{_sample_call(base_url, key)}\n")


def _sample_key_is_known() -> bool:
    if not SAMPLE_FILE.exists():
        return False
    public_id = keys.public_id_of(SAMPLE_FILE.read_text().strip())
    return bool(public_id and selectors.principals_by_public_id([public_id]))


def _make_sample_key() -> str:
    key: str = _json_of("create_key", "--quota", str(SAMPLE_QUOTA), "--description", "sample")[
        "key"
    ]
    SAMPLE_FILE.unlink(missing_ok=True)
    descriptor = os.open(SAMPLE_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key


def _sample_call(base_url: str, key: str | None) -> str:
    """Without `key` the call reads it from the file, so that it is printed once only."""
    shown = key or f"$(cat {shlex.quote(str(SAMPLE_FILE))})"
    message = {"role": "user", "content": "Hello, spring"}
    body = json.dumps({"model": "sandbox-echo", "stream": True, "messages": [message]})
    return (
        f"  curl -N {base_url}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {shown}" \\\n'
        '    -H "Content-Type: application/json" \\\n'
        f"    -d '{body}'"
    )


def _base_url() -> str:
    host = EVERYWHERE.get(listen.HOST, listen.HOST)
    return f"http://{f'[{host}]' if ':' in host else host}:{listen.PORT}"


def _json_of(command: str, *arguments: str) -> dict[str, Any]:
    answer = io.StringIO()
    call_command(command, *arguments, "--json", stdout=answer)
    found: dict[str, Any] = json.loads(answer.getvalue())
    return found
