"""A thought signature on its way through a client: in the `signature` of a thinking block, in `encrypted_content`.

What a client brings back is used only when this gateway issued it for the same family of models: a foreign signature is
a 400 upstream (reference 3.3 rule 7).
"""

from __future__ import annotations

import re

_MARK = "ws1"
_FAMILY = re.compile(r"(?:models/)?([a-z]+-?\d*)")


def carry(signature: str, model: str) -> str:
    """`signature` may be "": clients drop thoughts whose signature is empty, so it is never empty here."""
    return f"{_MARK}:{_family(model)}:{signature}"


def carried(value: str, model: str) -> str | None:
    """The signature, "" when ours carries none; None for what was not issued here for this family."""
    mark, _, rest = value.partition(":")
    family, _, signature = rest.partition(":")
    return signature if mark == _MARK and family == _family(model) else None


def _family(model: str) -> str:
    """gemini-3.1-pro-preview and gemini-3-flash are one: signatures change with the generation (reference 3.3)."""
    found = _FAMILY.match(model)
    return found[1] if found else model
