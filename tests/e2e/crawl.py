"""Every page and every answer of the management API that somebody can reach by reading."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

_LINK = re.compile(r"""(?:href|action|src|data-[\w-]*url)="([^"]+)\"""")
_PARAMETER = re.compile(r"\{(\w+)\}")
# Files; what operators export with secrets in it; and what a GET of it changes.
_LEFT_OUT = re.compile(
    r"^/(static|media|v1|v1beta|admin/(logout|jsi18n)|creds/download|auth/link/|api/schema)"
)
_MOST_PAGES = 150


@contextmanager
def sign_in(url: str, username: str, password: str) -> Iterator[httpx.Client]:
    """A browser of somebody who is signed in, without the browser."""
    with httpx.Client(base_url=url, trust_env=False, verify=False, timeout=30) as client:
        client.get("/account/login")
        fields = {"login": username, "password": password}
        token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = client.post("/account/login?next=/", data=fields | token)
        assert answer.status_code == 302, answer.text[:500]
        yield client


def pages(client: httpx.Client, *starts: str) -> Iterator[tuple[str, bytes]]:
    """(path, answer with its headers) of all that `starts` lead to on this site."""
    waiting = list(starts)
    seen: set[str] = set(waiting)
    while waiting and len(seen) < _MOST_PAGES:
        path = waiting.pop(0)
        answer = client.get(path)
        assert answer.status_code < 500, (path, answer.text[:500])
        yield path, _all_of(answer)
        found = [answer.headers["location"]] if "location" in answer.headers else []
        if "html" in answer.headers.get("content-type", ""):
            found += [html.unescape(link) for link in _LINK.findall(answer.text)]
        for link in found:
            place = urlsplit(urljoin(str(client.base_url) + path, link))
            target = place.path + (f"?{place.query}" if place.query else "")
            # One page of a kind of list is enough: its filters and pages show the same rows.
            known = place.path if place.query else target
            if place.netloc == client.base_url.netloc.decode() and known not in seen:
                seen.add(known)
                if not _LEFT_OUT.match(place.path):
                    waiting.append(target)


def answers(client: httpx.Client, prefix: str = "/api/") -> Iterator[tuple[str, bytes]]:
    """Every GET of the schema: lists first, then their things by the ids the lists named."""
    schema = client.get("/api/schema/", params={"format": "json"}).json()
    paths = sorted(path for path, methods in schema["paths"].items() if "get" in methods)
    named: dict[str, list[Any]] = {}
    for path in paths:
        if not path.startswith(prefix) or _LEFT_OUT.match(path):
            continue
        for address in _filled(path, named):
            answer = client.get(address)
            assert answer.status_code < 500, (address, answer.text[:500])
            yield f"{address} → {answer.status_code}", _all_of(answer)
            if answer.status_code == 200 and "json" in answer.headers.get("content-type", ""):
                named.setdefault(path.rstrip("/"), []).extend(_ids(answer.json()))


def _filled(path: str, named: dict[str, list[Any]]) -> list[str]:
    parameters = _PARAMETER.findall(path)
    if not parameters:
        return [path]
    above = path[: path.index("{")].rstrip("/")
    return [_PARAMETER.sub(str(one), path) for one in named.get(above, [])[:20]]


def _ids(data: Any) -> list[Any]:
    rows = data.get("results", data.get("items", [])) if isinstance(data, dict) else data
    rows = rows if isinstance(rows, list) else []
    names = ("id", "public_id", "request_id", "name")
    return [
        next(row[name] for name in names if name in row)
        for row in rows
        if isinstance(row, dict) and any(name in row for name in names)
    ]


def _all_of(answer: httpx.Response) -> bytes:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return headers.encode() + b"\n\n" + answer.content
