"""What an operator who moves house uploads: thousands of files of every format, some twice, some of no use."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.test_credentials import as_adc, as_cliproxyapi, as_gcli2api, as_gemini_cli

FORMS = (as_gcli2api, as_gcli2api, as_cliproxyapi, as_adc, as_gemini_cli)

# Of a thousand files.
_REPEATED, _KEY_LISTS, _BROKEN, _SERVICE_ACCOUNTS = 50, 100, 30, 20
KEYS_IN_A_LIST = 3


def login(number: int) -> dict[str, str]:
    return {
        "email": f"mover{number}@example.com",
        "project": f"moved-project-{number}",
        "access_token": f"ya29.moved-{number:06d}-" + "a" * 30,
        "refresh_token": f"1//moved-{number:06d}-" + "r" * 30,
        "client_id": "moved-client.apps.googleusercontent.com",
        "client_secret": "GOCSPX-movedClientSecretOfTheTests1",
    }


def api_key(number: int) -> str:
    return f"AIzaSyMoved{number:028d}"


def service_account(number: int) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": f"robot-{number}",
        "private_key_id": f"{number:040x}",
        "private_key": "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n",
        "client_email": f"robot@robot-{number}.iam.gserviceaccount.com",
    }


def files(count: int) -> Iterator[tuple[str, bytes]]:
    """(name, content), always the same for the same count, in an order that mixes them."""
    made: list[tuple[str, Any]] = []
    of = _share_of(count)
    for number in range(of(_KEY_LISTS)):
        keys = [api_key(number * KEYS_IN_A_LIST + n) for n in range(KEYS_IN_A_LIST)]
        made.append(
            (f"keys/list-{number}.txt", "\n".join(f"key {n}: {k}" for n, k in enumerate(keys)))
        )
    made += [(f"broken/{number}.json", '{"refresh_token": ') for number in range(of(_BROKEN))]
    made += [
        (f"robots/{number}.json", service_account(number))
        for number in range(of(_SERVICE_ACCOUNTS))
    ]
    fresh = count - len(made) - of(_REPEATED)
    logins = [
        (f"creds/{number}.json", FORMS[number % len(FORMS)](login(number)))
        for number in range(fresh)
    ]
    again = [(f"copies/{name}", data) for name, data in logins[: of(_REPEATED)]]
    made += logins + again
    random.Random(7).shuffle(made)
    for name, data in made:
        yield name, (data if isinstance(data, str) else json.dumps(data)).encode()


def expected(count: int) -> dict[str, int]:
    """How many of each outcome a first import has."""
    of = _share_of(count)
    fresh = count - of(_KEY_LISTS) - of(_BROKEN) - of(_SERVICE_ACCOUNTS) - of(_REPEATED)
    return {
        "new": fresh + of(_KEY_LISTS) * KEYS_IN_A_LIST,
        "duplicate": of(_REPEATED),
        "unusable": of(_BROKEN) + of(_SERVICE_ACCOUNTS),
    }


def _share_of(count: int) -> Callable[[int], int]:
    return lambda thousandths: count * thousandths // 1000


def zipped(members: Iterator[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()
