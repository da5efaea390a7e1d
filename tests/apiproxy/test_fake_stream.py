from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.dialects.replies import merge
from apiproxy.fake_stream import cut, text_pieces

LONG = "word " * 40
SIGNATURE = "c2lnbmF0dXJl"


def reply_of(*parts, **candidate):
    content = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"content": content, "finishReason": "STOP", **candidate}]}


def parts_of(pieces, index=0):
    return [
        part
        for piece in pieces
        for candidate in piece["candidates"]
        if candidate["index"] == index
        for part in candidate["content"]["parts"]
    ]


def test_thoughts_and_text_come_in_pieces_and_in_order():
    pieces = cut(reply_of({"text": LONG, "thought": True}, {"text": LONG}))
    parts = parts_of(pieces)
    kinds = [part.get("thought", False) for part in parts]
    assert kinds == sorted(kinds, reverse=True)
    assert "".join(part["text"] for part in parts) == LONG * 2
    assert max(len(part["text"]) for part in parts) == 50
    assert all(
        len(candidate["content"]["parts"]) == 1 for [candidate] in (p["candidates"] for p in pieces)
    )


def test_only_the_last_piece_ends_the_answer():
    reply = reply_of(
        {"text": LONG}, groundingMetadata={"webSearchQueries": ["w"]}, finishMessage="done"
    )
    reply |= {"usageMetadata": {"promptTokenCount": 3}, "modelVersion": "m", "responseId": "r"}
    *before, last = cut(reply)
    for piece in before:
        assert piece.keys() == {"candidates", "modelVersion", "responseId", "usageMetadata"}
        assert piece["candidates"][0].keys() == {"content", "index"}
    assert last["usageMetadata"] == {"promptTokenCount": 3}
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["candidates"][0]["groundingMetadata"] == {"webSearchQueries": ["w"]}


def test_every_piece_says_what_the_answer_cost():
    """A client that leaves in the middle has had the whole answer made."""
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 70}
    pieces = cut(reply_of({"text": LONG}) | {"usageMetadata": usage})
    assert len(pieces) > 1
    assert [piece["usageMetadata"] for piece in pieces] == [usage] * len(pieces)


def test_calls_pictures_and_code_stay_whole():
    parts = [
        {"text": "x" * 60, "thoughtSignature": SIGNATURE},
        {
            "functionCall": {"id": "1", "name": "f", "args": {"text": LONG}},
            "thoughtSignature": SIGNATURE,
        },
        {"functionCall": {"id": "2", "name": "g", "args": {}}},
        {"inlineData": {"mimeType": "image/png", "data": "A" * 1000}},
        {"executableCode": {"language": "PYTHON", "code": LONG}},
        {"text": "", "thoughtSignature": SIGNATURE},
    ]
    got = parts_of(cut(reply_of(*parts)))
    assert got[:2] == [
        {"text": "x" * 50},
        {"text": "x" * 10, "thoughtSignature": SIGNATURE},
    ]
    assert got[2:] == parts[1:]


def test_every_candidate_has_its_own_pieces_and_end():
    reply = {
        "candidates": [
            {"content": {"parts": [{"text": LONG}]}, "finishReason": "STOP", "index": 0},
            {"content": {"parts": [{"text": "two"}]}, "finishReason": "MAX_TOKENS"},
        ],
        "usageMetadata": {"totalTokenCount": 9},
    }
    pieces = cut(reply)
    assert "".join(part["text"] for part in parts_of(pieces, 0)) == LONG
    assert parts_of(pieces, 1) == [{"text": "two"}]
    ends = [c["finishReason"] for p in pieces for c in p["candidates"] if "finishReason" in c]
    assert ends == ["STOP", "MAX_TOKENS"]
    assert all(piece["usageMetadata"] == {"totalTokenCount": 9} for piece in pieces)


@pytest.mark.parametrize(
    "reply",
    [
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}},
        {"candidates": []},
        {"candidates": None, "usageMetadata": {}},
    ],
)
def test_an_answer_without_candidates_is_left_as_it_is(reply):
    assert cut(reply) == [reply]


@pytest.mark.parametrize("candidate", [{}, {"content": {}}, {"content": {"role": "model"}}])
def test_an_answer_without_parts_still_has_its_end(candidate):
    [piece] = cut({"candidates": [{**candidate, "finishReason": "MAX_TOKENS"}]})
    assert piece["candidates"] == [{**candidate, "finishReason": "MAX_TOKENS", "index": 0}]


def test_the_answer_itself_is_not_changed():
    reply = reply_of({"text": LONG}, {"text": "", "thoughtSignature": SIGNATURE})
    before = copy.deepcopy(reply)
    cut(reply)
    assert reply == before


@pytest.mark.parametrize(
    "character",
    [
        "e\u0301",
        "\r\n",
        "👩\u200d👩\u200d👧\u200d👦",
        "👍🏽",
        "🇨🇭",
        "1\ufe0f\u20e3",
        "क्षि",
        "\u1112\u1161\u11ab",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_what_a_reader_sees_as_one_character_stays_one(character):
    for shift in range(len(character) + 1):
        text = "a" * (50 - shift) + character * 3 + "b" * 60
        pieces = text_pieces(text)
        assert "".join(pieces) == text
        assert sum(piece.count(character) for piece in pieces) == 3


def test_flags_are_cut_between_flags():
    assert [len(piece) for piece in text_pieces("a" + "🇨🇭" * 60)] == [51, 50, 20]


@given(st.text(max_size=600))
@settings(max_examples=200, deadline=None)
def test_no_text_is_lost(text):
    pieces = cut(reply_of({"text": text}, {"text": text, "thought": True}))
    assert "".join(part["text"] for part in parts_of(pieces)) == text * 2
    joined = merge(pieces)
    assert joined["candidates"][0]["finishReason"] == "STOP"


def test_a_very_long_text_comes_in_larger_pieces():
    assert 300 <= len(text_pieces("x" * 1_000_000)) <= 401
