import contextlib
import copy
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.dialects import gemini
from apiproxy.providers import PROVIDERS
from apiproxy.wire.types import Action, Framing, Usage
from gateway.lib import errors
from tests.apiproxy.dialects.support import HEAD, resolve
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive
from tests.fakes.google_models import CODE_ASSIST_MODELS, PUBLIC_MODELS
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_turns import Scope, check_contents

CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
BODY = {"contents": CONTENTS}


def head(**fields):
    return msgspec.structs.replace(HEAD, **fields)


def parse(body, **fields):
    return gemini.parse(copy.deepcopy(body), head(**fields), resolve)


def streamed(*, sse=True):
    return gemini.stream(parse(BODY, path_method="streamGenerateContent", sse=sse))


COUNT = {"path_method": "countTokens"}

MALFORMED = [
    ([], {}, None),
    ("x", {}, None),
    (None, {}, None),
    ({}, {}, "contents"),
    ({"contents": None}, {}, "contents"),
    ({"contents": 5}, {}, "contents"),
    ({"contents": "Hi"}, {}, "contents"),
    ({"contents": []}, {}, "contents"),
    ({"contents": ["Hi"]}, {}, "contents[0]"),
    ({"contents": [*CONTENTS, None]}, {}, "contents[1]"),
    (BODY | {"generationConfig": []}, {}, "generationConfig"),
    (BODY | {"generation_config": 5}, {}, "generationConfig"),
    ({}, COUNT, "contents"),
    ({"generateContentRequest": []}, COUNT, "generateContentRequest"),
    ({"generateContentRequest": {}}, COUNT, "generateContentRequest.contents"),
    (
        {"generate_content_request": {"contents": [5]}},
        COUNT,
        "generateContentRequest.contents[0]",
    ),
]


@pytest.mark.parametrize(("body", "fields", "param"), MALFORMED)
def test_a_malformed_body_names_its_field(body, fields, param):
    with pytest.raises(errors.InvalidRequest) as caught:
        parse(body, **fields)
    assert caught.value.param == param


@settings(max_examples=200, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["contents", "generationConfig", "generation_config", "model", "stream"]
                )
                | st.text(),
                inner,
            )
        ),
        max_leaves=12,
    ),
    method=st.sampled_from(["generateContent", "countTokens", "embedContent"]),
)
def test_any_json_value_is_parsed_or_refused(value, method):
    with contextlib.suppress(errors.GatewayError):
        gemini.parse(value, head(path_method=method), resolve)
    with contextlib.suppress(errors.GatewayError):
        gemini.parse_chat_body(value, HEAD, resolve)


def test_an_unknown_method_is_no_route():
    with pytest.raises(errors.UnknownRoute):
        parse(BODY, path_method="dance")


def test_the_path_decides_model_action_and_stream():
    call = parse(BODY, path_model="models/gemini-2.5-pro", path_method="streamGenerateContent")
    assert (call.model.id, call.requested_model) == ("gemini-2.5-pro", "models/gemini-2.5-pro")
    assert (call.action, call.stream, call.framing) == (Action.GENERATE, True, Framing.SSE)
    assert parse(BODY, **COUNT).action is Action.COUNT_TOKENS


@pytest.mark.parametrize("method", ["generateContent", "countTokens"])
def test_a_single_message_stands_for_a_list_of_one(method):
    """As in Google's own examples for curl, which leave the role out as well; Code Assist wants one."""
    body = {
        "contents": {"parts": {"text": "Hi"}, "later": 1},
        "system_instruction": {"parts": {"text": "Be brief."}},
        "tools": {"google_search": {}},
        "safety_settings": {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"},
    }
    assert parse(body, path_method=method).body == {
        "contents": [turn("user", {"text": "Hi"}) | {"later": 1}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"google_search": {}}],
        "safetySettings": [body["safety_settings"]],
    }


def test_googles_own_example_reaches_either_upstream():
    call = parse({"contents": [{"parts": [{"text": "Explain how AI works"}]}]})
    for name in ("gemini_api", "code_assist"):
        _, outgoing = drive(PROVIDERS[name].exchange(call, CREDENTIAL, ENDPOINTS))
        sent = json.loads(outgoing.body)
        private = name == "code_assist"
        model = (CODE_ASSIST_MODELS if private else PUBLIC_MODELS)[call.model.id]
        contents = (sent["request"] if private else sent)["contents"]
        check_contents(contents, Scope(model, private, SignatureBook()))


def test_what_follows_results_of_an_older_role_is_the_users():
    contents = [*CONTENTS, turn("model", CALLS[0]), turn("function", RESULTS[0]), *CONTENTS]
    joined = parse({"contents": contents}).body["contents"]
    assert joined[2:] == [turn("user", RESULTS[0], {"text": "Hi"})]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"generationConfig": {"a": 1}, "generation_config": {"b": 1}}, "generation_config"),
        (
            {"generationConfig": {"imageConfig": {}, "image_config": {"imageSize": "4K"}}},
            "generationConfig.image_config",
        ),
        (
            {"generationConfig": {"imageConfig": {"imageSize": "1K", "image_size": "4K"}}},
            "generationConfig.imageConfig.image_size",
        ),
    ],
)
def test_both_spellings_at_once_are_refused(fields, param):
    """Which of them counts upstream nobody knows, and what counts has its price."""
    with pytest.raises(errors.InvalidRequest) as caught:
        parse(BODY | fields)
    assert caught.value.param == param


def test_a_null_in_the_other_spelling_is_none():
    body = parse(BODY | {"generationConfig": None, "generation_config": {"seed": 1}}).body
    assert body == BODY | {"generationConfig": {"seed": 1}}


def turn(role, *parts):
    return {"role": role, "parts": list(parts)}


CALLS = [{"functionCall": {"name": "f", "id": "a"}}, {"function_call": {"name": "f", "id": "b"}}]
RESULTS = [{"functionResponse": {"name": "f", "id": name, "response": {}}} for name in "ab"]


@pytest.mark.parametrize("fields", [{}, COUNT])
def test_a_turn_that_a_client_keeps_in_pieces_is_one_content(fields):
    pieces = [turn("model", part) for part in ({"text": "I look."}, *CALLS, {"text": ""})]
    answers = [turn("user", RESULTS[0]), turn("function", RESULTS[1]), {"parts": [{"text": "so?"}]}]
    contents = [*CONTENTS, *pieces, *answers]
    call = parse({"contents": contents}, **fields)
    assert call.body["contents"] == [
        *CONTENTS,
        turn("model", {"text": "I look."}, *CALLS, {"text": ""}),
        turn("user", *RESULTS, {"text": "so?"}),
    ]


@pytest.mark.parametrize(
    "contents",
    [
        [turn("user", {"text": "a"}), turn("user", {"text": "b"})],
        [*CONTENTS, turn("model", *CALLS), turn("model"), {"role": "model"}],
        [*CONTENTS, turn("model", *CALLS), {"role": "model", "parts": "x"}],
        [turn("user", None), turn("user", "x")],
    ],
)
def test_contents_without_calls_and_malformed_ones_stay_as_they_are(contents):
    assert parse({"contents": contents}).body["contents"] == contents


def test_a_result_that_stands_there_twice_is_sent_once():
    results = [*RESULTS, RESULTS[0], {"functionResponse": {"name": "g", "response": {}}}]
    call = parse({"contents": [*CONTENTS, turn("model", *CALLS), turn("user", *results)]})
    assert call.body["contents"][-1] == turn("user", *RESULTS, results[-1])
    assert call.dropped == ["the result for the call 'a' stood there twice"]


def test_calls_that_share_an_id_keep_a_result_each():
    calls, results = [CALLS[0], CALLS[0]], [RESULTS[0], RESULTS[0]]
    contents = [*CONTENTS, turn("model", *calls), turn("user", *results)]
    call = parse({"contents": contents})
    assert (call.body["contents"], call.dropped) == (contents, [])


def test_a_native_body_on_the_chat_route_brings_model_and_stream():
    body = BODY | {"model": "gemini-2.5-flash", "stream": True}
    assert gemini.is_gemini_body(body)
    call = gemini.parse_chat_body(body, HEAD, resolve)
    assert (call.dialect, call.requested_model, call.stream) == ("gemini", "gemini-2.5-flash", True)
    assert call.framing is Framing.SSE
    assert call.body == BODY


@pytest.mark.parametrize("body", [{"messages": []}, {"messages": [], "contents": []}, [], None])
def test_chat_bodies_are_not_taken_for_native_ones(body):
    assert not gemini.is_gemini_body(body)


@pytest.mark.parametrize("field", ["model", "stream"])
def test_a_native_body_on_the_chat_route_names_a_bad_field(field):
    body = BODY | {"model": "gemini-2.5-flash", field: 5}
    with pytest.raises(errors.InvalidRequest) as caught:
        gemini.parse_chat_body(body, HEAD, resolve)
    assert caught.value.param == field


def test_events_are_framed_exactly():
    stream = streamed()
    assert stream.feed({"candidates": [{"index": 0}]}) == (
        b'data: {"candidates":[{"index":0}]}\n\n'
    )
    assert stream.keepalive == b"\n\n"
    assert stream.close(Usage()) == b""


def test_an_error_inside_an_event_stream_is_bare_and_begins_with_its_key():
    data = streamed().error(errors.StreamBroken("it broke off"))
    assert data.startswith(b'{"error":{"code":502,')
    assert data.endswith(b"}\n\n")
    assert b"\n" not in data[:-2]


def test_an_array_may_be_padded_between_its_elements():
    stream = streamed(sse=False)
    data = stream.keepalive
    for number in range(3):
        data += stream.feed({"n": number}) + stream.keepalive
    assert json.loads(data + stream.close(Usage())) == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize("before", [[], [{"n": 0}]])
def test_an_error_closes_the_array(before):
    stream = streamed(sse=False)
    data = b"".join(stream.feed(item) for item in before)
    *elements, last = json.loads(data + stream.error(errors.StreamBroken("it broke off")))
    assert elements == before
    assert last["error"]["status"] == "UNAVAILABLE"


def test_an_array_is_no_event_stream():
    call = parse(BODY, path_method="streamGenerateContent", sse=False)
    assert dict(gemini.stream_headers(call))[b"content-type"].startswith(b"application/json")
    call = parse(BODY, path_method="streamGenerateContent")
    assert dict(gemini.stream_headers(call))[b"content-type"].startswith(b"text/event-stream")


TYPE = "type.googleapis.com/google.rpc."


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("m"), "INVALID_ARGUMENT"),
        (errors.AuthenticationFailed("m"), "UNAUTHENTICATED"),
        (errors.PermissionDenied("m"), "PERMISSION_DENIED"),
        (errors.UnknownModel("m"), "NOT_FOUND"),
        (errors.BodyTooLarge("m"), "INVALID_ARGUMENT"),
        (errors.QuotaExhausted("m"), "RESOURCE_EXHAUSTED"),
        (errors.InternalError("m"), "INTERNAL"),
        (errors.UpstreamFailed("m"), "UNAVAILABLE"),
        (errors.PoolExhausted("m"), "UNAVAILABLE"),
        (errors.UpstreamTimeout("m"), "DEADLINE_EXCEEDED"),
    ],
)
def test_each_error_has_googles_status(error, status):
    shown = json.loads(gemini.render_error(error, "req_1"))
    assert list(shown) == ["error"]
    first, *_ = shown["error"].pop("details")
    assert first == {"@type": TYPE + "RequestInfo", "requestId": "req_1"}
    assert shown["error"] == {
        "code": error.status,
        "message": "m (request id: req_1)",
        "status": status,
    }


def test_an_exhausted_quota_says_that_waiting_does_not_help():
    details = json.loads(gemini.render_error(errors.QuotaExhausted("used up"), "req_1"))
    reasons = [detail.get("reason") for detail in details["error"]["details"]]
    assert "QUOTA_EXHAUSTED" in reasons
    details = json.loads(gemini.render_error(errors.RateLimited("wait", retry_after_s=2), "req_1"))
    assert "QUOTA_EXHAUSTED" not in str(details)


def test_an_error_tells_the_field_and_the_wait():
    error = errors.RateLimited("slow down", param="contents", retry_after_s=2.5)
    details = json.loads(gemini.render_error(error, "req_1"))["error"]["details"]
    assert details[1]["fieldViolations"] == [{"field": "contents", "description": "slow down"}]
    assert details[2] == {"@type": TYPE + "RetryInfo", "retryDelay": "2.5s"}


def test_a_wait_until_the_next_month_is_written_in_digits():
    error = errors.QuotaExhausted("used up", retry_after_s=2_592_000.25)
    details = json.loads(gemini.render_error(error, "req_1"))["error"]["details"]
    assert details[-1]["retryDelay"] == "2592000.25s"
