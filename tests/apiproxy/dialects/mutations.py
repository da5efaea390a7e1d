"""Right requests made wrong: every field of the recorded requests in turn, with everything that does not belong there."""

from __future__ import annotations

from typing import Any

DEEP: Any = "deep"
for _ in range(150):
    DEEP = [DEEP]

DEEP_SCHEMA: Any = {"type": "string"}
for _ in range(30):
    inside = {"type": "object", "properties": {"type": {"items": DEEP_SCHEMA}}}
    DEEP_SCHEMA = {"anyOf": [inside, {"$ref": "#"}]}

MISSING = object()

JUNK = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -1,
    "fraction": 0.5,
    "huge": 10**40,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "empty text": "",
    "blank": " \t\n",
    "text": "banana",
    "number as text": "7",
    "NUL": "a\x00b",
    "lone surrogate": "a\ud800b",
    "line ends": "a\u2028b\u0085c\r\n",
    "right to left and joiners": "\u202e\u200d\ufeff\U0001f468\u200d\U0001f469",
    "json text": '{"a": [1]}',
    "not base64": "data:image/png;base64,****",
    "half a data URL": "data:;base64,",
    "half an address": "https://[half",
    "a port beyond all": "https://example.com:99999/x.png",
    "a mark of ours": "ws1:gemini-2:",
    "an id of ours": "resp_" + "0" * 28,
    "long text": "x" * 5000,
    "empty list": [],
    "empty object": {},
    "list of null": [None],
    "list of numbers": [1, 2.5],
    "list of texts": ["a", "b"],
    "list of objects": [{}],
    "list in lists": [[[]]],
    "object": {"type": "banana", "text": 7},
    "object of junk": {"": None, "\x00": {"a": [{}]}, "type": []},
    "deep": DEEP,
    "deep schema": DEEP_SCHEMA,
}


def paths_of(value: Any, at: tuple = ()) -> list[tuple]:
    """Every place below `value`: keys and positions."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for step, inner in below:
        found.append((*at, step))
        if isinstance(inner, dict | list):
            found += paths_of(inner, (*at, step))
    return found


def copied(value: Any) -> Any:
    """Of JSON, many times faster than the copy module."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def mutated(body: Any, path: tuple, junk: Any) -> Any:
    """`body` with `junk` at `path`; what lies beside the path is shared with `body`."""
    first, *rest = path
    changed = dict(body) if isinstance(body, dict) else list(body)
    if rest:
        changed[first] = mutated(body[first], tuple(rest), junk)
    elif junk is MISSING:
        del changed[first]
    else:
        changed[first] = junk
    return changed


def kinds_of_places(cases: list[dict]) -> list[tuple[dict, tuple]]:
    """(case, path): one for each kind of place in the recorded requests. Positions in lists are of one kind, and so are
    parts of the same type."""
    found: dict[tuple, tuple[dict, tuple]] = {}
    for case in cases:
        for path in paths_of(case["request"]):
            found.setdefault(_kind(case["request"], path), (case, path))
    return list(found.values())


def _kind(body: Any, path: tuple) -> tuple:
    kind: list[Any] = []
    holder = body
    for step in path:
        if isinstance(holder, dict):
            kind += [holder.get("type") if isinstance(holder.get("type"), str) else "", step]
        else:
            kind.append("*")
        holder = holder[step]
    return tuple(kind)
