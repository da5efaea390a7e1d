"""Histories whose tool results are missing, doubled or in another order: mended, and said so, in every dialect that has them.

What comes out is what Google takes: the strict fake checks it.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apiproxy import signatures
from tests.apiproxy.dialects.support import parse
from tests.fakes.google_generate import parse_public
from tests.fakes.google_models import PUBLIC_MODELS
from tests.fakes.google_rules import check_request
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_turns import Scope

MODELS = ("gemini-2.5-flash", "gemini-3-flash-preview")
TOOL = {"name": "look", "description": "Looks", "parameters": {"type": "object", "properties": {}}}


def chat(steps, model):
    messages = []
    for kind, value in steps:
        if kind == "calls":
            function = {"name": "look", "arguments": "{}"}
            calls = [{"id": one, "type": "function", "function": function} for one in value]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        elif kind == "result":
            call_id, text = value
            messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
        else:
            messages.append({"role": kind, "content": value})
    return {"model": model, "messages": messages, "tools": [{"type": "function", "function": TOOL}]}


def responses(steps, model):
    items = []
    for kind, value in steps:
        if kind == "calls":
            call = {"type": "function_call", "name": "look", "arguments": "{}"}
            items += [{**call, "call_id": one} for one in value]
        elif kind == "result":
            call_id, text = value
            items.append({"type": "function_call_output", "call_id": call_id, "output": text})
        else:
            items.append({"role": kind, "content": value})
    return {"model": model, "input": items, "tools": [{"type": "function", **TOOL}]}


def anthropic(steps, model):
    messages = []
    for kind, value in steps:
        if kind == "calls":
            blocks = [{"type": "tool_use", "id": one, "name": "look", "input": {}} for one in value]
            messages.append({"role": "assistant", "content": blocks})
        elif kind == "result":
            call_id, text = value
            block = {"type": "tool_result", "tool_use_id": call_id, "content": text}
            messages.append({"role": "user", "content": [block]})
        else:
            messages.append({"role": kind, "content": value})
    tool = {"name": TOOL["name"], "description": TOOL["description"]}
    tool["input_schema"] = TOOL["parameters"]
    return {"model": model, "messages": messages, "max_tokens": 100, "tools": [tool]}


WRITERS = {"openai-chat": chat, "openai-responses": responses, "anthropic-messages": anthropic}


@st.composite
def histories(draw):
    """Steps that begin with the user: groups of calls, each followed by results of any call so far, or by none."""
    steps = [("user", "Begin.")]
    known = []
    for _ in range(draw(st.integers(1, 3))):
        group = [f"call_{len(known) + number}" for number in range(draw(st.integers(1, 3)))]
        known += group
        steps.append(("calls", group))
        answered = draw(st.lists(st.sampled_from([*known, "call_nobody_made"]), max_size=4))
        steps += [("result", (one, f"result {len(steps) + n}")) for n, one in enumerate(answered)]
        spoken = draw(st.sampled_from([None, "user", "assistant"]))
        if spoken:
            steps.append((spoken, f"words {len(steps)}"))
    return steps


def canonical(dialect, steps, model):
    call = parse(WRITERS[dialect](steps, model), dialect)
    signatures.restore(call.body, {}.get, strict=call.model.strict_signatures)
    return call


def check(call):
    body = parse_public("GenerateContentRequest", json.loads(json.dumps(call.body)))
    check_request(body, Scope(PUBLIC_MODELS[call.model.id], False, SignatureBook()))


A, B = "call_0", "call_1"
MISSING = [("user", "Begin."), ("calls", [A, B]), ("result", (B, "result of B")), ("user", "Go on")]
DOUBLED = [("user", "Begin."), ("calls", [A]), ("result", (A, "one")), ("result", (A, "two"))]
REORDERED = [("user", "Begin."), ("calls", [A, B]), ("result", (B, "b")), ("result", (A, "a"))]
LATE = [("user", "Begin."), ("calls", [A]), ("user", "Wait"), ("result", (A, "late"))]
SPLIT = [*REORDERED[:3], ("user", "Meanwhile"), ("result", (A, "a"))]
RIGHT = [("user", "Begin."), ("calls", [A, B]), ("result", (A, "a")), ("result", (B, "b"))]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", WRITERS)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@example(steps=MISSING)
@example(steps=DOUBLED)
@example(steps=REORDERED)
@example(steps=LATE)
@example(steps=SPLIT)
@given(steps=histories())
def test_google_takes_whatever_is_left_of_it(dialect, model, steps):
    call = canonical(dialect, steps, model)
    check(call)
    told = json.dumps(call.body)
    results = [value for kind, value in steps if kind == "result"]
    for _, text in results:
        assert text in told, "a result was lost"
    made = [one for kind, value in steps if kind == "calls" for one in value]
    if Counter(made) != Counter(call_id for call_id, _ in results):
        assert call.dropped, "nothing says what was mended"


@pytest.mark.parametrize("dialect", WRITERS)
@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (MISSING, "call_0"),
        (DOUBLED, "call_0"),
        (REORDERED, "call_0"),
        (LATE, "call_0"),
        (RIGHT[:2], "no results"),
    ],
    ids=["missing", "doubled", "reordered", "late", "none at all"],
)
def test_what_was_mended_is_said(dialect, steps, words):
    call = canonical(dialect, steps, MODELS[0])
    assert any(words in note for note in call.dropped), call.dropped


@pytest.mark.parametrize("dialect", WRITERS)
def test_a_history_that_is_right_is_left_alone(dialect):
    call = canonical(dialect, RIGHT, MODELS[0])
    assert call.dropped == []
    answers = call.body["contents"][-1]["parts"]
    assert [answer["functionResponse"]["id"] for answer in answers] == [A, B]
