"""The items of a Responses answer, each with the events that build it up in a stream (reference 5.5).

An item is open from its making to `close`; nothing of another item comes in between. `emit` takes an event's type and
fields; an answer that is not streamed is built by the same steps, with nobody listening.
"""

from __future__ import annotations

from typing import Protocol

from apiproxy.dialects.content import arguments_text, as_written, call_name
from apiproxy.dialects.openai_responses_client_tools import CLIENT_TOOLS
from apiproxy.dialects.tools import custom_input
from apiproxy.wire.types import Call, Json, ToolForm


class Emit(Protocol):
    def __call__(self, kind: str, **fields: object) -> None: ...


class Place:
    """Where an item stands in the answer; its id holds the response's, so that it can be found again."""

    def __init__(self, emit: Emit, token: str, index: int) -> None:
        self._emit = emit
        self._token = token
        self.index = index

    def item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._token}_{self.index}"

    def added(self, item: Json) -> None:
        self._emit("response.output_item.added", output_index=self.index, item=item)

    def done(self, item: Json) -> Json:
        self._emit("response.output_item.done", output_index=self.index, item=item)
        return item

    def event(self, kind: str, item_id: str, **fields: object) -> None:
        self._emit(kind, item_id=item_id, output_index=self.index, **fields)


class Reasoning:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._id = place.item_id("rs")
        self._texts: list[str] = []
        self.signature = ""
        """The last one its thoughts carried; that of what follows them is better."""
        place.added({"id": self._id, "type": "reasoning", "summary": []})

    def think(self, text: str, signature: str) -> None:
        self.signature = signature or self.signature
        if not text:
            return
        if not self._texts:
            self._part("response.reasoning_summary_part.added", part=_summary(""))
        self._texts.append(text)
        self._part("response.reasoning_summary_text.delta", delta=text)

    def close(self, encrypted: str | None) -> Json:
        """`encrypted`: None where the client did not ask for it."""
        item: Json = {"id": self._id, "type": "reasoning", "summary": []}
        if self._texts:
            text = "".join(self._texts)
            part = _summary(text)
            self._part("response.reasoning_summary_text.done", text=text)
            self._part("response.reasoning_summary_part.done", part=part)
            item["summary"] = [part]
        if encrypted is not None:
            item["encrypted_content"] = encrypted
        return self._place.done(item)

    def _part(self, kind: str, **fields: object) -> None:
        self._place.event(kind, self._id, summary_index=0, **fields)


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}


class Message:
    """One text. `begins_at`: the character of the whole answer it begins with."""

    def __init__(self, place: Place, begins_at: int) -> None:
        self._place = place
        self._id = place.item_id("msg")
        self._texts: list[str] = []
        self._logprobs: list[Json] = []
        self.begins_at = begins_at
        place.added(self._item("in_progress", []))
        self._event("response.content_part.added", part=_output_text("", [], []))

    def say(self, text: str, logprobs: list[Json]) -> None:
        self._texts.append(text)
        self._logprobs += logprobs
        self._event("response.output_text.delta", delta=text, logprobs=logprobs)

    def close(self, status: str, annotations: list[Json]) -> Json:
        text = "".join(self._texts)
        for number, annotation in enumerate(annotations):
            self._event(
                "response.output_text.annotation.added",
                annotation_index=number,
                annotation=annotation,
            )
        part = _output_text(text, annotations, self._logprobs)
        self._event("response.output_text.done", text=text, logprobs=self._logprobs)
        self._event("response.content_part.done", part=part)
        return self._place.done(self._item(status, [part]))

    def _event(self, kind: str, **fields: object) -> None:
        self._place.event(kind, self._id, content_index=0, **fields)

    def _item(self, status: str, content: list[Json]) -> Json:
        return _message(self._id, status, content)


def _message(item_id: str, status: str, content: list[Json]) -> Json:
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _output_text(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    return {
        "type": "output_text",
        "text": text,
        "annotations": annotations,
        "logprobs": logprobs,
    }


def refusal(place: Place, text: str) -> Json:
    item_id = place.item_id("msg")
    place.added(_message(item_id, "in_progress", []))
    part = {"type": "refusal", "refusal": text}

    def event(kind: str, **fields: object) -> None:
        place.event(kind, item_id, content_index=0, **fields)

    event("response.content_part.added", part={**part, "refusal": ""})
    event("response.refusal.delta", delta=text)
    event("response.refusal.done", refusal=text)
    event("response.content_part.done", part=part)
    return place.done(_message(item_id, "completed", [part]))


def tool_call(place: Place, part: Json, call: Call) -> Json:
    """The upstream gives a call whole, so its item is opened and closed at once."""
    upstream_name = as_written(part["functionCall"].get("name"))
    forms = call.responses.tool_forms if call.responses else {}
    form = forms.get(upstream_name) or ToolForm("function_call", call_name(part, call))
    if form.item == "function_call":
        return _written_call(place, part, form, "fc", "arguments", arguments_text(part))
    arguments = part["functionCall"].get("args")
    if form.item == "custom_tool_call":
        return _written_call(place, part, form, "ctc", "input", custom_input(arguments))
    return _client_call(place, part, form, arguments if isinstance(arguments, dict) else {})


def _written_call(
    place: Place, part: Json, form: ToolForm, prefix: str, key: str, text: str
) -> Json:
    """`key`: the field that holds what the model wrote for the tool."""
    item: Json = {
        "id": place.item_id(prefix),
        "type": form.item,
        "status": "in_progress",
        "call_id": part["functionCall"].get("id"),
        "name": form.name,
        key: "",
    }
    if form.namespace:
        item["namespace"] = form.namespace
    events = "response." + (
        "function_call_arguments" if key == "arguments" else "custom_tool_call_input"
    )
    place.added(item)
    place.event(f"{events}.delta", item["id"], delta=text)
    name = {"name": form.name} if key == "arguments" else {}
    place.event(f"{events}.done", item["id"], **name, **{key: text})
    return place.done({**item, "status": "completed", key: text})


def _client_call(place: Place, part: Json, form: ToolForm, arguments: Json) -> Json:
    item: Json = {
        "id": place.item_id("tc"),
        "type": form.item,
        "status": "in_progress",
        "call_id": part["functionCall"].get("id"),
        **CLIENT_TOOLS[form.name].fields(arguments),
    }
    place.added(item)
    return place.done({**item, "status": "completed"})


def picture(place: Place, part: Json) -> Json:
    blob = part["inlineData"]
    item: Json = {
        "id": place.item_id("ig"),
        "type": "image_generation_call",
        "status": "in_progress",
        "result": None,
    }
    place.added(item)
    for stage in ("in_progress", "generating", "completed"):
        place.event(f"response.image_generation_call.{stage}", item["id"])
    return place.done(
        {
            **item,
            "status": "completed",
            "output_format": as_written(blob.get("mimeType")).removeprefix("image/"),
            "result": as_written(blob.get("data")),
        }
    )


def is_picture(part: Json) -> bool:
    blob = part.get("inlineData")
    return isinstance(blob, dict) and as_written(blob.get("mimeType")).startswith("image/")
