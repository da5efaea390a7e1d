"""Looking for secrets where they must not be: in the spellings that messages and pages give them, and while they pass."""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ahocorasick
import redis

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
_LOOK_EVERY_S = 0.002


def spellings(secret: str) -> set[bytes]:
    """As it is, in a URL, in JSON, in HTML."""
    inside_json = json.dumps(secret)[1:-1]
    found = {secret, quote(secret, safe=""), inside_json, inside_json.replace("/", "\\/")}
    found |= {secret.replace("&", "&amp;"), quote(quote(secret, safe=""), safe="")}
    return {text.encode() for text in found}


def revealed(content: bytes) -> bytes:
    """The content, and what of it is base64, as the bodies of Celery's messages are."""
    opened = [content]
    for match in _BASE64.finditer(content):
        text = match[0].replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        try:
            opened.append(base64.b64decode(text + b"=" * (-len(text) % 4)))
        except (binascii.Error, ValueError):
            continue
    return b"\n".join(opened)


def leaks_in(places: Iterable[tuple[str, bytes]], secrets: Iterable[str]) -> list[str]:
    """Each place in which one of the secrets lies in clear, with the secret's beginning."""
    # Of text: a byte is a character of latin-1. A pattern of thousands of words would be tried word by word at every byte.
    words = ahocorasick.Automaton()
    for word in set().union(*map(spellings, secrets)):
        words.add_word(word.decode("latin-1"), word)
    if not words:
        return []
    words.make_automaton()
    return [
        f"{place}: {found[1][:12].decode(errors='replace')}…"
        for place, content in places
        if (found := next(words.iter(revealed(content).decode("latin-1")), None))
    ]


class Eavesdropper:
    """Hears every message that passes: files below `folder`, and every command that Redis is told."""

    def __init__(self, folder: Path, redis_url: str = "") -> None:
        self._folder = folder
        self._redis_url = redis_url
        self._over = threading.Event()
        self._heard: dict[str, bytes] = {}
        self._threads = [threading.Thread(target=self._watch, daemon=True)]
        if redis_url:
            self._threads.append(threading.Thread(target=self._listen, daemon=True))

    def __enter__(self) -> Eavesdropper:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def heard(self) -> Iterator[tuple[str, bytes]]:
        yield from list(self._heard.items())

    def _watch(self) -> None:
        """Messages are written once and complete, so each file is read once."""
        while not self._over.wait(_LOOK_EVERY_S):
            for file in self._folder.rglob("*.msg*"):
                name = f"message {file.name}"
                if name not in self._heard:
                    try:
                        self._heard[name] = file.read_bytes()
                    except OSError:
                        continue  # taken meanwhile

    def _listen(self) -> None:
        with redis.Redis.from_url(self._redis_url) as client, client.monitor() as monitor:
            # One command of our own ends the wait for the next.
            threading.Thread(target=self._interrupt, daemon=True).start()
            for number, command in enumerate(monitor.listen()):
                if self._over.is_set():
                    return
                self._heard[f"redis command {number}"] = command["command"].encode(
                    errors="surrogateescape"
                )

    def _interrupt(self) -> None:
        self._over.wait()
        time.sleep(0.05)
        with redis.Redis.from_url(self._redis_url) as client:
            client.ping()


def redis_values(redis_url: str) -> Iterator[tuple[str, bytes]]:
    """Everything that Redis holds now."""
    with redis.Redis.from_url(redis_url) as client:
        reads: dict[bytes, Callable[[bytes], Any]] = {
            b"string": client.get,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"hash": client.hgetall,
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1),
            b"stream": client.xrange,
        }
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            value = reads[kind](key) if kind in reads else b""
            text = value if isinstance(value, bytes) else _joined(value)
            yield f"redis key {key.decode(errors='replace')}", key + b"\n" + text


def _joined(value: Any) -> bytes:
    """The strings inside, however deep."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    return (
        b"\n".join(_joined(part) for part in value)
        if isinstance(value, list | tuple | set)
        else b""
    )
