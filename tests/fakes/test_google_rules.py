"""What the fake refuses, each in Google's words."""

import base64
import re

import pytest

from tests.fakes.conftest import parts, said, turns
from tests.fakes.google_signatures import STAND_INS

PIXEL = base64.b64encode(b"pixel").decode()


def function(name="look", **more):
    return {"functionDeclarations": [{"name": name, **more}]}


def configured(**config):
    return said("hello", generationConfig=config)


def schema(**more):
    return said("hello", tools=[function(parameters={"type": "OBJECT", **more})])


CALL = {"functionCall": {"name": "look", "args": {}}}
RESULT = {"functionResponse": {"name": "look", "response": {"ok": 1}}}
ASK = ("user", {"text": "look there"})
BLOB = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}

PRO = "gemini-2.5-pro"
THIRD = "gemini-3.1-pro-preview"


# (what is wrong, part of the message, model or None for gemini-2.5-flash)
REFUSED = {
    "contents missing": ({}, "at least one contents|contents is not specified", None),
    "empty parts": (turns(("user",)), "parts must not be empty", None),
    "part without data": (turns(("user", {"thought": True})), "oneof field 'data'", None),
    "two data fields": (turns(("user", {"text": "a", **BLOB})), "is already set", None),
    "role": (turns(("assistant", {"text": "a"})), "valid role: user, model", None),
    "unknown in config": (configured(foo=1), "Unknown name \"foo\" at '.*generation_config'", None),
    "unknown in part": (
        turns(("user", {"text": "a", "cache_control": {}})),
        "parts\\[0\\]': Cannot",
        None,
    ),
    "wrong spelling": (said("a", generationconfig={}), 'Unknown name "generationconfig"', None),
    "text not a string": (turns(("user", {"text": 5})), "TYPE_STRING\\), 5", None),
    "temperature text": (configured(temperature="hot"), "TYPE_FLOAT", None),
    "temperature bool": (configured(temperature=True), "TYPE_FLOAT\\), true", None),
    "temperature range": (configured(temperature=2.5), "range \\[0.0, 2.0\\]", None),
    "seed range": (configured(seed=2**31), "TYPE_INT32", None),
    "fraction": (configured(maxOutputTokens=1.5), "TYPE_INT32", None),
    "message expected": (said("a", generationConfig=5), "type.googleapis.com", None),
    "list for message": (said("a", generationConfig=[]), "Proto field is not repeating", None),
    "args not an object": (
        turns(ASK, ("model", {"functionCall": {"name": "f", "args": "{}"}}), ("user", RESULT)),
        "google.protobuf.Struct",
        None,
    ),
    "data not base64": (
        turns(("user", {"inlineData": {"mimeType": "image/png", "data": "a-_="}})),
        "inline_data.data' \\(TYPE_BYTES\\), Base64 decoding failed",
        None,
    ),
    "no mime type": (
        turns(("user", {"inlineData": {"data": PIXEL}})),
        "Unsupported MIME type",
        None,
    ),
    "call first": (turns(("model", CALL), ("user", RESULT)), "function call turn comes", None),
    "call after model": (
        turns(ASK, ("model", {"text": "hm"}), ("model", CALL), ("user", RESULT)),
        "function call turn comes",
        None,
    ),
    "answer without call": (turns(ASK, ("user", RESULT)), "response turn comes", None),
    "answers missing": (
        turns(ASK, ("model", CALL, CALL), ("user", RESULT)),
        "number of function",
        None,
    ),
    "answers split": (
        turns(ASK, ("model", CALL, CALL), ("user", RESULT), ("user", RESULT)),
        "number of function",
        None,
    ),
    "answers too many": (turns(ASK, ("model", CALL), ("user", RESULT, RESULT)), "number of", None),
    "call unanswered": (turns(ASK, ("model", CALL)), "number of function", None),
    "call followed by text": (turns(ASK, ("model", CALL), ASK), "number of function", None),
    "call without name": (
        turns(ASK, ("model", {"functionCall": {"args": {}}}), ("user", RESULT)),
        "Name cannot be empty",
        None,
    ),
    "many candidates on 3.x": (configured(candidateCount=2), "Multiple candidates", THIRD),
    "nine candidates": (configured(candidateCount=9), "range \\[1, 8\\]", None),
    "presence": (configured(presencePenalty=0.5), "Penalty is not enabled", None),
    "frequency": (configured(frequencyPenalty=-1), "Penalty is not enabled", THIRD),
    "logprobs": (configured(responseLogprobs=True), "Logprobs is not", None),
    "stops": (configured(stopSequences=list("abcdef")), "at most 5 stop", None),
    "empty stop": (configured(stopSequences=["a", ""]), "must not be empty", None),
    "both thinking": (
        configured(thinkingConfig={"thinkingBudget": 128, "thinkingLevel": "low"}),
        "only one of thinking",
        THIRD,
    ),
    "level before 3": (configured(thinkingConfig={"thinkingLevel": "LOW"}), "not supported", PRO),
    "level the model lacks": (
        configured(thinkingConfig={"thinkingLevel": "minimal"}),
        "Thinking level MINIMAL",
        THIRD,
    ),
    "level unknown": (configured(thinkingConfig={"thinkingLevel": "max"}), "ThinkingLevel", THIRD),
    "pro budget 0": (configured(thinkingConfig={"thinkingBudget": 0}), "only works|to 0", PRO),
    "pro budget low": (configured(thinkingConfig={"thinkingBudget": 127}), "128", PRO),
    "pro budget high": (configured(thinkingConfig={"thinkingBudget": 32769}), "32768", PRO),
    "flash budget high": (configured(thinkingConfig={"thinkingBudget": 24577}), "24576", None),
    "lite budget low": (
        configured(thinkingConfig={"thinkingBudget": 511}),
        "512",
        "gemini-2.5-flash-lite",
    ),
    "model without thinking": (
        configured(thinkingConfig={"includeThoughts": True}),
        "Thinking is not enabled",
        "gemma-4-31b-it",
    ),
    "both response schemas": (
        configured(
            responseMimeType="application/json",
            responseSchema={"type": "STRING"},
            responseJsonSchema={"type": "string"},
        ),
        "Only one of response_schema",
        None,
    ),
    "schema without JSON": (configured(responseJsonSchema={}), "response_json_schema: only", None),
    "mime": (configured(responseMimeType="application/yaml"), "allowed mimetypes", None),
    "image from a text model": (
        configured(responseModalities=["IMAGE"]),
        "modalities: image",
        None,
    ),
    "image size for text": (
        configured(imageConfig={"imageSize": "1K"}),
        "Image config is not",
        None,
    ),
    "both parameters": (
        said(
            "a",
            tools=[
                function(
                    parameters={"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
                    parametersJsonSchema={},
                )
            ],
        ),
        "only one of parameters",
        None,
    ),
    "$schema": (schema(**{"$schema": "x"}), 'Unknown name "\\$schema" at \'.*tools\\[0\\]', None),
    "additionalProperties": (
        schema(properties={"a": {"type": "STRING", "additionalProperties": False}}),
        "additionalProperties\" at '.*parameters.properties\\[0\\].value'",
        None,
    ),
    "type list": (
        schema(properties={"a": {"type": ["STRING", "NULL"]}}),
        "Proto field is not repeating, cannot start list",
        None,
    ),
    "numeric enum": (
        schema(properties={"a": {"type": "STRING", "enum": [1]}}),
        "TYPE_STRING",
        None,
    ),
    "enum of integer": (
        schema(properties={"a": {"type": "INTEGER", "enum": ["1"]}}),
        "only allowed for STRING",
        None,
    ),
    "array without items": (schema(properties={"a": {"type": "ARRAY"}}), "items: missing", None),
    "object without properties": (schema(), "should be non-empty for OBJECT", None),
    "required undefined": (
        schema(properties={"a": {"type": "STRING"}}, required=["b"]),
        "property is not defined",
        None,
    ),
    "string format": (
        schema(properties={"a": {"type": "STRING", "format": "uri"}}),
        "only 'enum' and 'date-time'",
        None,
    ),
    "no type": (schema(properties={"a": {"description": "?"}}), "type: must be specified", None),
    "function name": (said("a", tools=[function("9lives")]), "Invalid function name", None),
    "function name with blank": (said("a", tools=[function("a b")]), "Invalid function name", None),
    "function name length": (said("a", tools=[function("a" * 65)]), "maximum length of 64", None),
    "function twice": (said("a", tools=[function(), function()]), "Duplicate function", None),
    "empty tool": (said("a", tools=[{}]), "tool_type", None),
    "config without functions": (
        said("a", toolConfig={"functionCallingConfig": {"mode": "AUTO"}}),
        "set without function_declarations",
        None,
    ),
    "allowed names with AUTO": (
        said(
            "a",
            tools=[function()],
            toolConfig={
                "functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["look"]}
            },
        ),
        "only be set when mode is ANY",
        None,
    ),
    "allowed names unknown": (
        said(
            "a",
            tools=[function()],
            toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}},
        ),
        "without a function declaration: x",
        None,
    ),
    "built-in with functions": (
        said("a", tools=[function(), {"googleSearch": {}}]),
        "Tool use with function calling is unsupported",
        None,
    ),
    "functions with JSON": (
        said("a", tools=[function()], generationConfig={"responseMimeType": "application/json"}),
        "Function calling with a response mime type",
        None,
    ),
    "search with JSON": (
        said(
            "a",
            tools=[{"googleSearch": {}}],
            generationConfig={"responseMimeType": "application/json"},
        ),
        "Tool use with a response mime type",
        None,
    ),
    "category twice": (
        said(
            "a", safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}] * 2
        ),
        "more than one safety setting",
        None,
    ),
    "category unknown": (
        said("a", safetySettings=[{"category": "HARM_CATEGORY_X", "threshold": "OFF"}]),
        'HarmCategory\\), "HARM_CATEGORY_X"',
        None,
    ),
    "threshold unknown": (
        said("a", safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "LOW"}]),
        "HarmBlockThreshold",
        None,
    ),
    "system without parts": (said("a", systemInstruction={"parts": []}), "must not be empty", None),
    "cache with system": (
        said("a", cachedContent="cachedContents/1", systemInstruction={"parts": [{"text": "s"}]}),
        "CachedContent can not be used",
        None,
    ),
    "unsigned call": (
        turns(ASK, ("model", CALL), ("user", RESULT)),
        "missing a `?thought_signature",
        THIRD,
    ),
    "second step unsigned": (
        turns(
            ASK,
            ("model", {**CALL, "thoughtSignature": STAND_INS[0]}),
            ("user", RESULT),
            ("model", CALL),
            ("user", RESULT),
        ),
        "missing a `?thought_signature",
        THIRD,
    ),
    "foreign signature": (
        turns(ASK, ("model", {**CALL, "thoughtSignature": "Zm9yZWlnbg=="}), ("user", RESULT)),
        "Corrupted thought signature",
        THIRD,
    ),
    "signature not base64": (
        turns(ASK, ("model", {**CALL, "thoughtSignature": "%%%"}), ("user", RESULT)),
        "thought_signature' \\(TYPE_BYTES\\), Base64 decoding failed",
        THIRD,
    ),
    "server tool unsigned": (
        turns(ASK, ("model", {"toolCall": {}}), ASK),
        "Tool call part is missing thought_signature",
        THIRD,
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused(caller, fault):
    body, words, model = REFUSED[fault]
    message = caller.refusal(body, model=model or "gemini-2.5-flash")
    assert re.search(words, message), message


GOOD_SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "format": "date-time"}}}
ACCEPTED = {
    "snake case": (
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [{"inline_data": {"mime_type": "image/png", "data": PIXEL}}],
                }
            ],
            "generation_config": {
                "max_output_tokens": 5,
                "thinking_config": {"thinking_budget": 0},
            },
            "system_instruction": {"parts": {"text": "be brief"}},
        },
        None,
    ),
    "null means unset": (configured(temperature=None, seed=None), None),
    "numbers as text": (configured(maxOutputTokens="5", temperature="0.5"), None),
    "zero penalties": (configured(presencePenalty=0, frequencyPenalty=0.0), None),
    "dynamic budget": (configured(thinkingConfig={"thinkingBudget": -1}), PRO),
    "budget to a 3 model": (configured(thinkingConfig={"thinkingBudget": 8192}), THIRD),
    "level in any case": (configured(thinkingConfig={"thinkingLevel": "HIGH"}), THIRD),
    "lower-case types": (said("a", tools=[function(parameters=GOOD_SCHEMA)]), None),
    "property named like a keyword": (schema(properties={"$schema": {"type": "STRING"}}), None),
    "JSON Schema keywords": (
        said(
            "a",
            tools=[
                function(
                    parametersJsonSchema={"$schema": "x", "type": ["object", "null"], "oneOf": []}
                )
            ],
        ),
        None,
    ),
    "same role twice": (turns(ASK, ASK), None),
    "function role": (turns(ASK, ("model", CALL), ("function", RESULT)), None),
    "unsigned call before 3": (turns(ASK, ("model", CALL), ("user", RESULT)), None),
    "unsigned call of an earlier turn": (
        turns(ASK, ("model", CALL), ("user", RESULT), ("model", {"text": "there"}), ASK),
        THIRD,
    ),
    "only the first of a step is signed": (
        turns(
            ASK,
            ("model", {**CALL, "thoughtSignature": STAND_INS[1]}, CALL),
            ("user", RESULT, RESULT),
        ),
        THIRD,
    ),
    "empty text with a signature": (
        turns(ASK, ("model", {"text": "", "thoughtSignature": STAND_INS[0]}), ASK),
        THIRD,
    ),
    "encoded stand-in": (
        turns(
            ASK,
            (
                "model",
                {**CALL, "thoughtSignature": base64.b64encode(STAND_INS[0].encode()).decode()},
            ),
            ("user", RESULT),
        ),
        THIRD,
    ),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(caller, case):
    body, model = ACCEPTED[case]
    response = caller.send(body, model=model or "gemini-2.5-flash")
    assert response.status_code == 200, response.text


def test_built_in_tools_beside_functions_on_3(caller):
    both = {"tools": [function(), {"googleSearch": {}}]}
    switch = {"toolConfig": {"includeServerSideToolInvocations": True}}
    if caller.code_assist:
        assert "cannot be combined" in caller.refusal(said("a", **both, **switch), model=THIRD)
    else:
        refusal = caller.refusal(said("a", **both), model=THIRD)
        assert "include_server_side_tool_invocations" in refusal
        assert caller.send(said("a", **both, **switch), model=THIRD).status_code == 200


def test_several_faults_are_told_at_once(caller):
    response = caller.send(configured(foo=1, bar=2))
    error = response.json()["error"]
    prefix = "request." if caller.code_assist else ""
    (detail,) = error["details"]
    assert [v["field"] for v in detail["fieldViolations"]] == [f"{prefix}generation_config"] * 2
    assert error["message"].count("Cannot find field.") == 2


def test_own_signatures_pass_and_those_of_another_family_do_not(fake, caller):
    fake.script("tool_call")
    model = "gemini-3-flash-preview"
    signed = parts(caller.answer(said("look"), model=model))[0]
    older = parts(caller.answer(said("look"), model=PRO))[0]
    answer = {"functionResponse": {"name": signed["functionCall"]["name"], "response": {}}}
    good = turns(ASK, ("model", signed), ("user", answer))
    assert caller.send(good, model=model).status_code == 200
    bad = turns(ASK, ("model", older), ("user", answer))
    assert "Corrupted" in caller.refusal(bad, model=model)
    cut = {**signed, "thoughtSignature": signed["thoughtSignature"][:-8] + "AAAAAAA="}
    assert "Corrupted" in caller.refusal(turns(ASK, ("model", cut), ("user", answer)), model=model)


def test_an_image_model_wants_its_pictures_back_signed(gemini):
    model = "gemini-3.1-flash-image"
    text, image = parts(gemini.answer(said("a cat"), model=model))
    history = turns(ASK, ("model", text, image), ASK)
    assert gemini.send(history, model=model).status_code == 200
    del image["thoughtSignature"]
    assert "Image part is missing" in gemini.refusal(history, model=model)


@pytest.mark.parametrize(
    ("config", "model", "status"),
    [
        ({"aspectRatio": "21:9"}, "gemini-2.5-flash-image", 200),
        ({"aspectRatio": "1:8"}, "gemini-2.5-flash-image", 400),
        ({"imageSize": "1K"}, "gemini-2.5-flash-image", 400),
        ({"aspectRatio": "1:8", "imageSize": "2K"}, "gemini-3.1-flash-image", 200),
        ({"imageSize": "2k"}, "gemini-3.1-flash-image", 400),
    ],
)
def test_image_config(gemini, config, model, status):
    assert gemini.send(configured(imageConfig=config), model=model).status_code == status


@pytest.mark.parametrize(
    ("ratio", "model", "status"),
    [
        ("1:8", "gemini-3.1-flash-image", 200),
        ("1:8", "gemini-3-pro-image", 400),
        ("21:9", "gemini-3-pro-image", 200),
    ],
)
def test_only_one_model_draws_very_long_shapes(gemini, ratio, model, status):
    sent = configured(imageConfig={"aspectRatio": ratio})
    assert gemini.send(sent, model=model).status_code == status


@pytest.mark.parametrize(
    ("modalities", "status"), [(["AUDIO"], 200), (["TEXT"], 400), (["TEXT", "AUDIO"], 400)]
)
def test_a_model_that_speaks_does_nothing_else(gemini, modalities, status):
    answer = gemini.send(
        configured(responseModalities=modalities), model="gemini-2.5-flash-preview-tts"
    )
    assert answer.status_code == status
    if status == 200:
        part = answer.json()["candidates"][0]["content"]["parts"][0]
        assert part["inlineData"]["mimeType"].startswith("audio/L16")
