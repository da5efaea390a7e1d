"""Whatever stands in a request: it becomes a call, or an error of the client that names a field of that request."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apiproxy import capabilities, shaping, signatures, truncation
from apiproxy.dialects import DIALECTS, gemini, openai_images, simple
from apiproxy.providers import PROVIDERS, sandbox
from apiproxy.wire import codec
from apiproxy.wire.types import Action, Head, Variant
from gateway.lib.errors import GatewayError
from tests.apiproxy.dialects.mutations import JUNK, copied, kinds_of_places, mutated, paths_of
from tests.apiproxy.dialects.support import HEAD, cases, resolve
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive
from tests.fakes.google_generate import parse_public
from tests.fakes.google_models import PUBLIC_MODELS
from tests.fakes.google_rules import check_request
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_status import Refused
from tests.fakes.google_turns import Scope

VARIANT = Variant(
    fake_stream=True, anti_truncation=True, thinking="high", search=True, image_size="4K"
)
SITE = shaping.Site(safety_default="OFF", compatibility=True, attempts=3)
PICTURE = "data:image/png;base64,iVBORw0KGgo="
DRAWING = {"model": "gemini-3.1-flash-image", "prompt": "a cat", "size": "1024x1024"}


class Entrance(msgspec.Struct):
    """A way in: a dialect's own, or one of those that a dialect has beside it."""

    dialect: str
    parse: Any
    cases: list[dict]


ENTRANCES = {
    **{name: Entrance(name, dialect.parse, cases(name)) for name, dialect in DIALECTS.items()},
    "simple, images": Entrance(
        "simple",
        simple.parse_images,
        [
            {
                "name": "drawing",
                "request": {**DRAWING, "count": 2, "response_type": "url", "image": [PICTURE]},
            }
        ],
    ),
    "openai-images, edits": Entrance(
        "openai-images",
        openai_images.parse_edit,
        [{"name": "edit", "request": {**DRAWING, "n": 2, "image": [PICTURE], "quality": "high"}}],
    ),
    "gemini, at the address of chats": Entrance(
        "gemini",
        gemini.parse_chat_body,
        [
            {
                "name": "chat",
                "request": {
                    "model": "gemini-2.5-flash",
                    "stream": True,
                    "contents": [{"parts": [{"text": "Hi"}]}],
                },
            }
        ],
    ),
}

every_entrance = pytest.mark.parametrize("entrance", ENTRANCES.values(), ids=ENTRANCES)

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def head_of(case) -> Head:
    return msgspec.structs.replace(HEAD, **case.get("head", {}))


def outcome(entrance, body, head):
    """The call, or None when it was refused as it must be."""
    error = None
    try:
        call = entrance.parse(copied(body), head, resolve)
    except GatewayError as refused:
        error = refused
    if error is None:
        return call
    assert 400 <= error.status < 500, error
    assert error.message
    shown = DIALECTS[entrance.dialect].render_error(error, "req_0042")
    assert "req_0042" in json.dumps(json.loads(shown))
    if isinstance(body, dict):
        assert_names_a_field(error.param, body)
    return None


def assert_names_a_field(param, body):
    """Every step of the path is in the request, but for the last, which may be what is missing."""
    assert param, "no field is named"
    *steps, last = [int(place) if place else name for name, place in _STEP.findall(param)]
    holder = body
    for step in steps:
        if isinstance(holder, dict):
            # Google's fields have two spellings.
            holder = {_spelt(key): value for key, value in holder.items()}.get(_spelt(str(step)))
        elif isinstance(holder, list) and isinstance(step, int) and step < len(holder):
            holder = holder[step]
        else:
            holder = None
        assert holder is not None, f"{param} is not in the request"


def _spelt(name: str) -> str:
    return name.replace("_", "").lower()


def send(call):
    """What is accepted reaches every upstream as JSON, and the strict one answers it or refuses it in words."""
    with contextlib.suppress(GatewayError):
        capabilities.check(call)
    signatures.restore(call.body, {}.get, strict=call.model.strict_signatures)
    for name, provider in PROVIDERS.items():
        _, outgoing = drive(provider.exchange(call, CREDENTIAL, ENDPOINTS))
        json.loads(outgoing.body)
        if name == "sandbox":
            list(sandbox.respond(outgoing).frames)
    if call.action is not Action.GENERATE or call.model.id not in PUBLIC_MODELS:
        return
    _, outgoing = drive(PROVIDERS["gemini_api"].exchange(call, CREDENTIAL, ENDPOINTS))
    # Whatever else it raises is a rule of Google's that cannot be said in words.
    with contextlib.suppress(Refused):
        parsed = parse_public("GenerateContentRequest", json.loads(outgoing.body))
        check_request(parsed, Scope(PUBLIC_MODELS[call.model.id], False, SignatureBook()))
    shape(msgspec.structs.replace(call, model=msgspec.structs.replace(call.model, variant=VARIANT)))


def shape(call):
    """The same request under a name that asks for all a name can ask for, on a site that changes all it can."""
    shaping.shape(call, SITE)
    shaping.features(call)
    for as_user in (True, False):
        body = truncation.instructed(call.body, "the mark", compatibility=as_user)
        body = truncation.continuation(body, [{"text": "Half"}], "the mark", as_user=as_user)
        json.loads(codec.encode(body))


@every_entrance
def test_every_field_with_everything_that_does_not_belong_there(entrance):
    places = kinds_of_places(entrance.cases)
    assert len(places) > 2, "record cases of this dialect"
    failures = []
    for case, path in places:
        for name, junk in JUNK.items():
            body = mutated(case["request"], path, junk)
            try:
                call = outcome(entrance, body, head_of(case))
                if call is not None:
                    send(call)
            except Exception as failure:  # noqa: BLE001 - all of them are to be seen at once
                failures.append(f"{case['name']} {path} {name}: {failure!r}"[:300])
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures[:40])


@every_entrance
@pytest.mark.parametrize("body", [None, True, 7, 0.5, "text", [], [{}], {}], ids=repr)
def test_what_is_no_request_at_all(entrance, body):
    assert outcome(entrance, body, HEAD) is None


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "role", "name", "url", "data", "id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@every_entrance
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_several_wrong_fields_at_once(entrance, data):
    case = data.draw(st.sampled_from(entrance.cases), label="case")
    body = case["request"]
    for _ in range(data.draw(st.integers(1, 3))):
        paths = paths_of(body)
        if paths:
            path = data.draw(st.sampled_from(paths))
            body = mutated(body, path, data.draw(_VALUES | st.sampled_from(list(JUNK.values()))))
    call = outcome(entrance, body, head_of(case))
    if call is not None:
        send(call)
