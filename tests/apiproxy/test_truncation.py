from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy import truncation
from apiproxy.truncation import Unmarked, continuation, instructed, mark_of, total
from tests.apiproxy.dialects.support import chat, parse

MARK = mark_of("req_1")

BODY = {"contents": [{"role": "user", "parts": [{"text": "Tell me"}]}], "generationConfig": {}}
SAID = [{"text": "Once upon a time"}]


def unmarked(*chunks):
    """(what was shown chunk by chunk, whether it ended with the mark)."""
    text = Unmarked(MARK)
    shown = [text.feed(chunk) for chunk in chunks]
    rest, complete = text.close()
    return [*shown, rest], complete


def test_the_mark_is_new_for_each_request_and_always_the_same_for_one():
    assert mark_of("req_1") == MARK
    assert mark_of("req_2") != MARK


@pytest.mark.parametrize("cut", range(1, len(MARK)))
def test_a_mark_in_two_chunks_never_shows(cut):
    shown, complete = unmarked("The end.\n" + MARK[:cut], MARK[cut:] + "\n")
    assert ("".join(shown), complete) == ("The end.", True)


def test_a_mark_that_comes_letter_by_letter_never_shows():
    shown, complete = unmarked(*("The end.\n\n" + MARK))
    assert ("".join(shown), complete) == ("The end.", True)


def test_text_is_shown_as_it_comes():
    shown, _ = unmarked("one ", "two", " [[x]] three")
    assert shown == ["one", " two", " [[x]] three", ""]


@pytest.mark.parametrize(
    "text",
    ["[done]", "[[END:", "a [[END:zz]] b", "tail  \n\n", "[", "x[[", f"{MARK[:-1]}x", "  "],
)
def test_what_is_no_mark_is_never_taken_away(text):
    shown, complete = unmarked(*text)
    assert ("".join(shown), complete) == (text, False)


def test_a_mark_within_the_text_goes_but_does_not_end_it():
    shown, complete = unmarked(f"one\n{MARK}\ntwo", " three")
    assert ("".join(shown), complete) == ("one\n\ntwo three", False)
    shown, complete = unmarked(f"one\n{MARK}", f"\ntwo\n{MARK}")
    assert ("".join(shown), complete) == ("one\n\ntwo", True)


def test_most_of_a_mark_is_one():
    """The answer was cut while it said that it had ended."""
    assert unmarked("The end.\n", MARK[:9]) == (["The end.", "", ""], True)
    shown, complete = unmarked("The end.\n", MARK[:5])
    assert ("".join(shown), complete) == ("The end.\n" + MARK[:5], False)


def test_endless_white_space_is_not_kept_for_ever():
    text = Unmarked(MARK)
    assert len("".join(text.feed(" " * 1000) for _ in range(50))) >= 49_000


@given(
    st.lists(st.sampled_from(["a", " ", "\n", "[[", "[[END:", MARK[:8], MARK, "]]"]), max_size=12),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300, deadline=None)
def test_however_the_text_is_cut_the_same_is_shown(pieces, random):
    text = "".join(pieces)
    chunks, start = [], 0
    while start < len(text):
        end = start + random.randint(1, 7)
        chunks.append(text[start:end])
        start = end
    shown, complete = unmarked(*chunks)
    at_once, complete_at_once = unmarked(text)
    assert "".join(shown) == "".join(at_once)
    assert complete == complete_at_once
    assert MARK not in "".join(shown)


def test_the_rule_is_added_to_a_copy_of_the_request():
    body = {**BODY, "systemInstruction": {"parts": [{"text": "Be kind."}]}}
    before = copy.deepcopy(body)
    asked = instructed(body, MARK, compatibility=False)
    assert asked["systemInstruction"]["parts"][0] == {"text": "Be kind."}
    assert MARK in asked["systemInstruction"]["parts"][1]["text"]
    assert body == before


@pytest.mark.parametrize(
    ("body", "compatibility"),
    [(BODY, True), ({**BODY, "cachedContent": "cachedContents/1"}, False)],
)
def test_where_there_may_be_no_system_instruction_the_user_says_it(body, compatibility):
    asked = instructed(body, MARK, compatibility=compatibility)
    assert "systemInstruction" not in asked
    [turn] = asked["contents"]
    assert MARK in turn["parts"][0]["text"]
    assert turn["parts"][1] == {"text": "Tell me"}
    assert len(BODY["contents"][0]["parts"]) == 1


@pytest.mark.parametrize("system", ["words", {"parts": "words"}, 5])
def test_a_system_instruction_that_cannot_be_read_is_left_for_the_upstream(system):
    asked = instructed({**BODY, "systemInstruction": system}, MARK, compatibility=False)
    assert asked["systemInstruction"] == system


def test_a_model_goes_on_from_its_own_turn():
    body = continuation(BODY, SAID, MARK, as_user=False)
    assert body["contents"] == [*BODY["contents"], {"role": "model", "parts": SAID}]


def test_a_model_is_told_to_go_on():
    body = continuation(BODY, [{"text": "x" * 300 + "y" * 100}], MARK, as_user=True)
    *_, model, user = body["contents"]
    assert model["role"] == "model"
    assert user["role"] == "user"
    said = user["parts"][0]["text"]
    assert "y" * 100 in said
    assert "x" not in said.replace("exactly", "")
    assert MARK in said


def test_a_beginning_the_client_gave_is_part_of_the_turn():
    contents = [*BODY["contents"], {"role": "model", "parts": [{"text": "It was "}]}]
    body = {**BODY, "contents": contents}
    assert continuation(body, SAID, MARK, as_user=False)["contents"] == [
        BODY["contents"][0],
        {"role": "model", "parts": [{"text": "It was "}, *SAID]},
    ]
    assert contents[1]["parts"] == [{"text": "It was "}]


def test_usage_is_added_up():
    first = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 5,
        "totalTokenCount": 15,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}],
        "trafficType": "A",
    }
    second = {
        "promptTokenCount": 15,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 17,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 12},
            {"modality": "IMAGE", "tokenCount": 3},
        ],
        "trafficType": "B",
    }
    assert total(first, second) == {
        "promptTokenCount": 25,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 32,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 22},
            {"modality": "IMAGE", "tokenCount": 3},
        ],
        "trafficType": "B",
    }
    assert total({}, second) == second


@pytest.mark.parametrize(
    ("fields", "obstacle"),
    [
        ({}, ""),
        ({"max_tokens": 5, "n": 1, "modalities": ["text"]}, ""),
        ({"response_format": {"type": "json_object"}}, "with JSON mode"),
        ({"n": 2}, "with several candidates"),
        ({"modalities": ["text", "audio"]}, "with pictures or sound"),
        ({"model": "gemini-2.5-flash-image"}, "with a model that draws"),
    ],
)
def test_what_cannot_be_continued(fields, obstacle):
    assert truncation.obstacle(parse(chat(**fields))) == obstacle


@pytest.mark.parametrize(
    "config",
    [
        {"response_mime_type": "application/json"},
        {"responseMimeType": "text/x.enum"},
        {"response_schema": {"type": "OBJECT"}},
        {"candidate_count": 3},
        {"response_modalities": ["IMAGE"]},
    ],
)
def test_native_requests_in_either_spelling(config):
    body = {**copy.deepcopy(BODY), "generationConfig": config}
    assert truncation.obstacle(parse(body, "gemini"))
