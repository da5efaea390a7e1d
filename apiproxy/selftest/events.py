"""Event streams, read as strictly as the pickiest SDK does (reference 4.4)."""

from __future__ import annotations

from collections.abc import Collection

from apiproxy.selftest.talk import Json, Wrong, demand
from apiproxy.wire import codec


def blocks_of(data: bytes, fillers: Collection[bytes] = ()) -> list[str]:
    """The events of a finished stream, without the empty line that ends each; `fillers` keep a silent one alive."""
    text = data.decode("utf-8")
    demand(not {"\u0085", "\u2028", "\u2029", "\r"} & set(text), "a line separator stands raw")
    *blocks, rest = text.split("\n\n")
    demand(rest == "", f"the last event is not ended by an empty line: {rest[:60]!r}")
    return [block for block in blocks if f"{block}\n\n".encode() not in fillers]


def data_events(blocks: list[str]) -> list[Json]:
    """Events that are one `data:` line and nothing else."""
    for block in blocks:
        demand(block.startswith("data: {") and "\n" not in block, f"not an event: {block[:60]!r}")
    return [_loads(block[6:]) for block in blocks]


def named_events(blocks: list[str]) -> list[Json]:
    """Events with a name, which the `type` of their data repeats."""
    events: list[Json] = []
    for block in blocks:
        name, _, data = block.partition("\n")
        demand(
            name.startswith("event: ") and data.startswith("data: {"), f"no event: {block[:60]!r}"
        )
        event = _loads(data[6:])
        demand(event.get("type") == name[7:], f"the event {name[7:]} holds a {event.get('type')}")
        events.append(event)
    return events


def _loads(text: str) -> Json:
    try:
        value = codec.loads(text)
    except codec.DecodeError as exc:
        raise Wrong(f"an event is not JSON: {text[:60]!r}") from exc
    demand(isinstance(value, dict), "an event is no object")
    found: Json = value
    return found
