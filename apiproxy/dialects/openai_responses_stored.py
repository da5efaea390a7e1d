"""What is stored of a Responses call, and the ways to look at it (shapes: openai-python `resources/responses`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from apiproxy.dialects.fields import as_integer, wrong
from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

_MOST_LISTED = 100
_USUALLY_LISTED = 20
_ENCRYPTED = "reasoning.encrypted_content"


class Stored(Struct, frozen=True):
    input: list[Json]
    """Input items, those of the responses it continued included."""
    response: Json
    """The response object, with encrypted contents."""
    size_bytes: int

    def history(self) -> list[Json]:
        """What a response that continues it begins with."""
        output: list[Json] = self.response["output"]
        return [*self.input, *output]

    def listed_input(self) -> list[Json]:
        """The input items as OpenAI lists them: every one with an id and a type."""
        token = self.response["id"].removeprefix("resp_")
        return [_listed(item, f"{token}_i{number}") for number, item in enumerate(self.input)]

    def items(self) -> dict[str, Json]:
        """By id: all that a reference may mean."""
        output = self.response["output"]
        return {item["id"]: item for item in [*self.listed_input(), *output]}


def _listed(item: Json, tail: str) -> Json:
    kind = item.get("type") or "message"
    listed = {**item, "id": item.get("id") or f"{_PREFIXES.get(kind, 'item')}_{tail}", "type": kind}
    if kind == "message" and isinstance(item.get("content"), str):
        text = "output_text" if item.get("role") == "assistant" else "input_text"
        listed["content"] = [{"type": text, "text": item["content"]}]
    return listed


_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


def is_reference(item: Json) -> bool:
    """Its type may be left out (openai-python `ItemReference`)."""
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "id" in item and "role" not in item)


def references(body: Json) -> Iterator[tuple[str, str]]:
    """(where it stands, the id) of the items of `input` that only refer to stored ones."""
    given = body.get("input")
    for number, item in enumerate(given if isinstance(given, list) else ()):
        if isinstance(item, dict) and is_reference(item):
            name, at = item.get("id"), f"input[{number}].id"
            if not isinstance(name, str):
                raise wrong(at, name, "a string")
            yield at, name


def response_of(item_id: str) -> str:
    """The id of the response that an item's id names; one that exists nowhere where the id is none of ours."""
    return "resp_" + "".join(item_id.split("_")[1:2])


def shown(response: Json, query: Mapping[str, str]) -> Json:
    """The object as GET answers it: encrypted contents only where `include` asks for them."""
    if any(key.startswith("include") and _ENCRYPTED in value for key, value in query.items()):
        return response
    output = [_without_encrypted(item) for item in response["output"]]
    return {**response, "output": output}


def _without_encrypted(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "encrypted_content"}


def item_list(items: list[Json], query: Mapping[str, str]) -> Json:
    """A page of input items: `limit`, `order` (newest first unless "asc") and `after`, an item's id."""
    order = query.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise wrong("order", order, "asc or desc")
    limit = _limit(query.get("limit"))
    found = items if order == "asc" else items[::-1]
    if after := query.get("after"):
        places = [number for number, item in enumerate(found) if item["id"] == after]
        if not places:
            raise InvalidRequest("after must be the id of an item of this list", param="after")
        found = found[places[0] + 1 :]
    page = found[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(found) > len(page),
    }


def _limit(value: str | None) -> int:
    if not value:
        return _USUALLY_LISTED
    number: Any = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value
    return as_integer(number, "limit", 1, _MOST_LISTED)
