"""A cleaned schema is remembered and stands in many requests at once: whatever is made of one of them, it stays."""

import copy
import itertools

import msgspec
import pytest

from apiproxy import signatures, truncation
from apiproxy.dialects import DIALECTS, schema
from apiproxy.providers import PROVIDERS, sandbox
from apiproxy.repairs import mend, older_schemas
from apiproxy.shaping import Site, features, shape
from apiproxy.wire.types import Fault, Variant, Verdict
from tests.apiproxy.dialects.schemas import recorded
from tests.apiproxy.dialects.support import HEAD, MODELS
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive

ARGUMENTS = {
    "type": "object",
    "properties": {
        "node": {"$ref": "#/$defs/Node"},
        "colour": {"type": "string", "enum": ["r", "g"], "default": "r"},
        "either": {"oneOf": [{"type": "string"}, {"type": ["integer", "null"]}]},
        "record": {"type": "object", "additionalProperties": {"type": "number"}},
        "list": {"type": "array", "items": [{"type": "string"}], "uniqueItems": True},
        "options": {"type": "object", "default": {"deep": [1]}, "properties": {"deep": {}}},
    },
    "required": ["node", "options"],
    "$defs": {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}},
    },
}
SCHEMAS = {"arguments": ARGUMENTS, **{name: case["schema"] for name, case in recorded().items()}}

USER = {"role": "user", "content": "Hi"}
VARIANTS = [
    Variant(),
    Variant(fake_stream=True, anti_truncation=True, thinking="high", search=True),
]
SITES = [Site(), Site(safety_default="OFF", compatibility=True, attempts=3)]
REFUSALS = [
    Verdict(Fault.CLIENT_FAULT, "client", "thought_signature", "Corrupted.", 400),
    Verdict(Fault.CLIENT_FAULT, "client", "invalid_request", 'Unknown name "parameters"', 400),
    Verdict(Fault.CLIENT_FAULT, "client", "invalid_request", "schema is refused", 400),
    Verdict(Fault.CLIENT_FAULT, "client", "invalid_request", "Requests ending with a model", 400),
]


def requests(written, *, with_tools):
    """(dialect, body)s that use the schema, for arguments or for the answer."""
    function = {"name": "f", "parameters": written}
    if with_tools:
        yield (
            "openai-chat",
            {"messages": [USER], "tools": [{"type": "function", "function": function}]},
        )
        yield "openai-responses", {"input": "Hi", "tools": [{"type": "function", **function}]}
        tool = {"name": "f", "input_schema": written}
        yield "anthropic-messages", {"messages": [USER], "max_tokens": 9, "tools": [tool]}
        return
    form = {"name": "n", "schema": written}
    yield (
        "openai-chat",
        {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": form}},
    )
    yield (
        "openai-responses",
        {"input": "Hi", "text": {"format": {"type": "json_schema", **form}}},
    )


def parse(dialect, body, variant, model):
    named = msgspec.structs.replace(MODELS[model], variant=variant)
    body = copy.deepcopy({**body, "model": model, "stream": True})
    return DIALECTS[dialect].parse(body, HEAD, lambda name: named)


def schemas_in(body):
    for tool in body.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            yield function["parametersJsonSchema"]
    if (wanted := body.get("generationConfig", {}).get("responseJsonSchema")) is not None:
        yield wanted


def use(call):
    """All that is done with a request on its way, and to what came of it."""
    features(call)
    signatures.restore(call.body, lambda call_id: None, strict=True)
    repairs = [*(mend(call.body, refusal, ()) for refusal in REFUSALS), older_schemas(call.body)]
    bodies = [call.body, *(repair.body for repair in repairs if repair is not None)]
    bodies.append(truncation.instructed(call.body, "[[END:x]]", compatibility=False))
    said = [{"text": "so far"}]
    bodies.append(truncation.continuation(bodies[-1], said, "[[END:x]]", as_user=True))
    for body, provider in itertools.product(bodies, PROVIDERS.values()):
        one = msgspec.structs.replace(call, body=body)
        drive(provider.exchange(one, CREDENTIAL, ENDPOINTS))
    _play(call)


def _play(call):
    """The sandbox calls the function, or writes what the schema describes; both are rendered."""
    model = msgspec.structs.replace(
        call.model, id="sandbox-tools" if call.body.get("tools") else "sandbox-echo"
    )
    one = msgspec.structs.replace(call, model=model)
    _, outgoing = drive(sandbox.exchange(one, CREDENTIAL, ENDPOINTS))
    decoder = sandbox.decoder(one)
    replies = [
        reply for _, frame in sandbox.respond(outgoing).frames for reply in decoder.feed(frame)
    ]
    for reply in [*replies, *decoder.close()]:
        signatures.harvest(reply, lambda: "call_1")
        stream = DIALECTS[one.dialect].stream(one)
        stream.feed(reply)


@pytest.mark.parametrize("name", SCHEMAS)
def test_nothing_changes_it(name):
    written = SCHEMAS[name]
    for with_tools in (True, False):
        shown = schema.parameters if with_tools else schema.clean
        before = copy.deepcopy(shown(written, "p"))
        if before is None:
            continue
        shared = shown(written, "p")
        for dialect, body in requests(written, with_tools=with_tools):
            for variant, site, model in itertools.product(
                VARIANTS, SITES, ("gemini-2.5-flash", "gemini-3-flash-preview")
            ):
                call = parse(dialect, body, variant, model)
                shape(call, site)
                assert any(one is shared for one in schemas_in(call.body))
                use(call)
        assert shared == before
