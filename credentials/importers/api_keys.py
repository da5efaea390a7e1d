"""Gemini API keys in any text: lists, `NAME=key` lines, prose with keys in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from credentials.identity import fingerprint
from credentials.importers.found import Found, Item, Unusable

_GOOGLE_KEY = re.compile(r"(?<![0-9A-Za-z_-])AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])")
_ONE_WORD = re.compile(
    r"(?:[-*•]\s+|\d+[.)]\s+)?"
    r"(?:(?:export\s+)?[\"']?(?P<name>[A-Za-z][\w.-]{0,63})[\"']?\s*[=:]\s*)?"
    r"[\"'`]?(?P<word>[^\s\"'`,;]+)[\"'`]?[,;]?"
)
_KEY_NAME = re.compile(r"api_?key|(?:gemini|google)\w*key", re.IGNORECASE)
_KEY_OF_ANOTHER_FORM = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[0-9A-Za-z._-]{20,256}")
SHORTEST = 8
"""Shorter lines are neither a key nor the beginning of one, and a file may have millions of them."""
_COMMENTS = ("#", "//", ";")
_NOT_GEMINI = {
    "sk-": "an OpenAI-style key, not one of the Gemini API",
    "ya29.": "an access token, which dies within the hour: import the credential file",
    "1//": "a bare refresh token: import the credential file",
    "eyJ": "a JSON web token, not an API key",
}


def read(text: str, *, source: str) -> Iterator[Item]:
    """Every key in the order of the text, repeated ones too.

    A line that is one long word with letters and digits counts as a key of a form not known yet, alone or after a name
    like API_KEY. Prose and comments are passed over.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) >= SHORTEST:
            yield from _line(line.strip(), f"{source}:{number}")


def read_certain(text: str, *, source: str) -> Iterator[Item]:
    """Only keys of Google's known form, wherever they stand."""
    for match in _GOOGLE_KEY.finditer(text):
        yield _found(match[0], source)


def is_key_name(name: str) -> bool:
    """Whether a field of that name is expected to hold API keys."""
    return _KEY_NAME.search(name) is not None or name.lower() in ("key", "keys")


def _line(line: str, source: str) -> Iterator[Item]:
    if _GOOGLE_KEY.search(line):
        yield from read_certain(line, source=source)
    elif not line.startswith(_COMMENTS) and (match := _ONE_WORD.fullmatch(line)):
        name, word = match["name"], match["word"]
        if name is None or is_key_name(name):
            yield from _word(word, source)


def _word(word: str, source: str) -> Iterator[Item]:
    for prefix, reason in _NOT_GEMINI.items():
        if word.startswith(prefix):
            yield Unusable(source, f"this is {reason}")
            return
    if word.startswith("AIza"):
        yield Unusable(source, f"a Google API key has 39 characters, this has {len(word)}")
    elif _KEY_OF_ANOTHER_FORM.fullmatch(word):
        yield _found(word, source)


def _found(key: str, source: str) -> Found:
    return Found(
        provider="gemini_api",
        secret={"api_key": key},
        source=source,
        label=f"key {fingerprint(key)[:8]}",
    )
