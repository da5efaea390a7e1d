"""What can be done about a request that the upstream refused, so that one more try is worth it. Pure.

Each repair works on a copy and is made at most once a call. What else is wrong with a request is the client's to mend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Struct

from apiproxy.dialects import schema
from apiproxy.dialects.fields import either
from apiproxy.dialects.history import CONTINUE
from apiproxy.dialects.schema_openapi import as_openapi
from apiproxy.signatures import STAND_IN
from apiproxy.wire.types import Json, Verdict
from apiproxy.wire.usage import parts
from gateway.lib.errors import InvalidRequest

_SCHEMA_REFUSED = re.compile(
    r"json_?schema|function_?declaration|response_?schema|\bschema\b", re.IGNORECASE
)
_FIELD_UNKNOWN = re.compile(r'unknown name "?(?:parameters|response)_?json_?schema', re.IGNORECASE)
_LAST_TURN_REFUSED = re.compile(
    r"requests? (?:ending|ends?|that end) with a (?:model|user)|\bprefill", re.IGNORECASE
)
_SIGNED = ("inlineData", "inline_data", "toolCall", "tool_call", "toolResponse", "tool_response")
"""Parts of a model that may be refused without a signature (reference 3.3 rules 1 and 6)."""


class Repair(Struct, frozen=True):
    kind: str
    body: Json
    note: str


SCHEMAS = "schemas"


def mend(body: Json, verdict: Verdict, done: Collection[str]) -> Repair | None:
    """`done`: kinds that were tried. None when nothing here would change the upstream's mind."""
    for kind, applies, change, note in _REPAIRS:
        if kind not in done and applies(verdict):
            changed = change(body)
            if changed is not None:
                return Repair(kind, changed, note)
    return None


def knows_no_json_schema(verdict: Verdict) -> bool:
    """The upstream lacks the fields, whatever is in them: it will refuse those of the next client as well."""
    return _is_refusal(verdict) and _FIELD_UNKNOWN.search(verdict.message) is not None


def older_schemas(body: Json) -> Repair | None:
    """As `mend` would, for an upstream that is known to refuse JSON Schema."""
    changed = _with_older_schemas(body)
    return None if changed is None else Repair(SCHEMAS, changed, _OLDER_SCHEMAS)


def _about_signatures(verdict: Verdict) -> bool:
    return verdict.reason == "thought_signature"


def _about_schemas(verdict: Verdict) -> bool:
    return _is_refusal(verdict) and _SCHEMA_REFUSED.search(verdict.message) is not None


def _about_last_turn(verdict: Verdict) -> bool:
    return _is_refusal(verdict) and _LAST_TURN_REFUSED.search(verdict.message) is not None


def _is_refusal(verdict: Verdict) -> bool:
    return verdict.status == 400 and verdict.reason == "invalid_request"


# ---------------------------------------------------------------------- signatures


def _with_stand_ins(body: Json) -> Json | None:
    contents = body.get("contents")
    if not isinstance(contents, list):
        return None
    changed = [_resigned(content) for content in contents]
    return None if changed == contents else {**body, "contents": changed}


def _resigned(content: Any) -> Any:
    """The first call of a step gets the stand-in; where no signature is needed there shall be none."""
    if not isinstance(content, dict) or content.get("role") != "model":
        return content
    made: list[Json] = []
    called = False
    for part in parts({"content": content}):
        call = either(part, "functionCall", "function_call") is not None
        needed = not called if call else any(key in part for key in _SIGNED)
        called = called or call
        made.append(_signed_anew(part, needed))
    return {**content, "parts": made} if made else content


def _signed_anew(part: Json, needed: bool) -> Json:
    bare = {k: v for k, v in part.items() if k not in ("thoughtSignature", "thought_signature")}
    return {**bare, "thoughtSignature": STAND_IN} if needed else bare


# ---------------------------------------------------------------------- schemas


def _with_older_schemas(body: Json) -> Json | None:
    """Code Assist may refuse the JSON-Schema fields for a model (not verified, reference 9)."""
    try:
        tools = _older_tools(body.get("tools"))
        generation = _older_generation(body)
    except InvalidRequest:
        # A native request's own schema, which nobody cleaned before: the upstream's words are the better ones.
        return None
    changed = {**body}
    if tools is not None:
        changed["tools"] = tools
    if generation is not None:
        changed |= generation
    return None if tools is None and generation is None else changed


def _older_tools(tools: Any) -> list[Any] | None:
    if not isinstance(tools, list):
        return None
    changed = [_older_tool(tool) for tool in tools]
    return None if changed == tools else changed


def _older_tool(tool: Any) -> Any:
    for key in ("functionDeclarations", "function_declarations"):
        if isinstance(tool, dict) and isinstance(declared := tool.get(key), list):
            return {**tool, key: [_older_declaration(function) for function in declared]}
    return tool


def _older_declaration(function: Any) -> Any:
    for key in ("parametersJsonSchema", "parameters_json_schema"):
        if isinstance(function, dict) and key in function:
            older = {name: value for name, value in function.items() if name != key}
            if (parameters := schema.parameters(function[key], key)) is not None:
                older["parameters"], _ = as_openapi(parameters)
            return older
    return function


def _older_generation(body: Json) -> Json | None:
    config = body.get("generationConfig")
    for key in ("responseJsonSchema", "response_json_schema"):
        if isinstance(config, dict) and key in config:
            older = {name: value for name, value in config.items() if name != key}
            older["responseSchema"], _ = as_openapi(schema.clean(config[key], key))
            return {"generationConfig": older}
    return None


# ---------------------------------------------------------------------- the last turn


def _with_a_user_turn(body: Json) -> Json | None:
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents or not isinstance(contents[-1], dict):
        return None
    if contents[-1].get("role") != "model":
        return None
    return {**body, "contents": [*contents, {"role": "user", "parts": [{"text": CONTINUE}]}]}


_OLDER_SCHEMAS = (
    "the upstream refused JSON Schema: the schemas were sent in its older form, which says less"
)

_REPAIRS: tuple[tuple[str, Callable[[Verdict], bool], Callable[[Json], Json | None], str], ...] = (
    (
        "signatures",
        _about_signatures,
        _with_stand_ins,
        "the upstream refused a thought signature: all were replaced by the stand-in",
    ),
    (
        SCHEMAS,
        _about_schemas,
        _with_older_schemas,
        _OLDER_SCHEMAS,
    ),
    (
        "last_turn",
        _about_last_turn,
        _with_a_user_turn,
        "the upstream continues no turn of its own: a short user turn was added",
    ),
)
