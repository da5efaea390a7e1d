from __future__ import annotations

import copy

import pytest

from apiproxy.stretch import Stretch
from apiproxy.truncation import mark_of

MARK = mark_of("req_1")
CALL = {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}


def reply_of(*parts, **candidate):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]}


def text(words, **fields):
    return {"text": words, **fields}


def played(*replies, before=None):
    """(the stretch, the parts that a client was shown)."""
    stretch = Stretch(MARK, before)
    shown = [one for reply in replies if (one := stretch.show(reply)) is not None]
    if (rest := stretch.close()) is not None:
        shown.append(rest)
    return stretch, [part for reply in shown for part in parts_of(reply)]


def parts_of(reply):
    return [
        part
        for candidate in reply.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
    ]


def end_of(stretch):
    reply = stretch.ending(cut=True)
    return None if reply is None else reply["candidates"][0].get("finishReason")


def test_a_marked_answer_is_complete():
    stretch, shown = played(reply_of(text("The end.\n")), reply_of(text(MARK), finishReason="STOP"))
    assert shown == [text("The end.")]
    assert not stretch.goes_on(may_stop=False)
    assert end_of(stretch) == "STOP"


def test_a_mark_counts_whatever_the_upstream_says_after_it():
    stretch, _ = played(reply_of(text(f"The end.\n{MARK}"), finishReason="MAX_TOKENS"))
    assert not stretch.goes_on(may_stop=False)
    assert end_of(stretch) == "STOP"


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "STOP", None])
def test_an_answer_without_the_mark_goes_on(reason):
    end = {"finishReason": reason} if reason else {}
    stretch, shown = played(reply_of(text("Once upon "), **end))
    assert shown == [text("Once upon"), text(" ")]
    assert stretch.said == [text("Once upon ")]
    assert stretch.goes_on(may_stop=False)


def test_a_word_of_the_clients_may_have_stopped_it():
    stretch, _ = played(reply_of(text("Once"), finishReason="STOP"))
    assert not stretch.goes_on(may_stop=True)
    assert end_of(stretch) == "STOP"
    stretch, _ = played(reply_of(text("Once"), finishReason="MAX_TOKENS"))
    assert stretch.goes_on(may_stop=True)


@pytest.mark.parametrize(
    "reason", ["SAFETY", "PROHIBITED_CONTENT", "RECITATION", "MALFORMED_FUNCTION_CALL", "OTHER"]
)
def test_other_ends_are_ends(reason):
    stretch, _ = played(reply_of(text("Once"), finishReason=reason, finishMessage="why"))
    assert not stretch.goes_on(may_stop=False)
    [candidate] = stretch.ending(cut=True)["candidates"]
    assert (candidate["finishReason"], candidate["finishMessage"]) == (reason, "why")


def test_a_blocked_prompt_is_passed_on_and_ends_it():
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    stretch = Stretch(MARK)
    stretch.show(reply_of(text("Once")))
    assert stretch.show(blocked) == blocked
    assert not stretch.goes_on(may_stop=False)
    assert stretch.ending(cut=True) is None


def test_a_call_is_the_end_and_stays_whole():
    stretch, shown = played(reply_of(text("I look. ")), reply_of(CALL, finishReason="STOP"))
    assert shown == [text("I look."), text(" "), CALL]
    assert stretch.called
    assert not stretch.goes_on(may_stop=False)
    assert end_of(stretch) == "STOP"


def test_a_call_without_an_end_gets_none():
    stretch, _ = played(reply_of(CALL))
    assert stretch.ending(cut=True) is None


@pytest.mark.parametrize(
    "parts",
    [[], [text("")], [text("  \n")], [text("I think", thought=True)], [text(MARK)]],
)
def test_without_new_text_nothing_is_gained_by_asking_again(parts):
    stretch, _ = played(reply_of(*parts, finishReason="MAX_TOKENS"))
    assert not stretch.goes_on(may_stop=False)


def test_thoughts_are_shown_without_marks_and_never_said():
    stretch, shown = played(
        reply_of(text(f"I must write {MARK[:5]}", thought=True)),
        reply_of(text(f"{MARK[5:]} last", thought=True)),
        reply_of(text("Hello")),
    )
    assert "".join(part["text"] for part in shown if part.get("thought")) == "I must write  last"
    assert stretch.said == [text("Hello")]


def test_an_end_is_held_back_and_what_comes_with_it_is_not():
    stretch = Stretch(MARK)
    shown = stretch.show(
        reply_of(text("Hi"), finishReason="STOP", groundingMetadata={"webSearchQueries": ["q"]})
    )
    [candidate] = shown["candidates"]
    assert candidate.keys() == {"content", "groundingMetadata"}


def test_code_is_gone_on_from_too():
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    stretch, shown = played(reply_of(text("See:\n"), code, text("so")))
    assert shown == [text("See:"), text("\n"), code, text("so")]
    assert stretch.said == [text("See:\n"), code, text("so")]


def test_a_signature_on_an_empty_text_is_kept():
    signed = text("", thoughtSignature="c2ln")
    stretch, shown = played(reply_of(text("Hi")), reply_of(signed, finishReason="STOP"))
    assert shown == [text("Hi"), signed]
    assert stretch.said == [text("Hi")]


def test_usage_grows_over_the_stretches():
    spent = {"promptTokenCount": 10, "candidatesTokenCount": 4}
    before, _ = played(reply_of(text("w")) | {"usageMetadata": spent})
    stretch = Stretch(MARK, before)
    for count in (1, 3):
        usage = {"promptTokenCount": 12, "candidatesTokenCount": count}
        shown = stretch.show(reply_of(text("x")) | {"usageMetadata": usage, "modelVersion": "m"})
        assert shown["usageMetadata"]["candidatesTokenCount"] == 4 + count
    assert stretch.spent == {"promptTokenCount": 22, "candidatesTokenCount": 7}
    ending = stretch.ending(cut=True)
    assert ending["usageMetadata"] == stretch.spent
    assert ending["modelVersion"] == "m"


def test_all_that_was_said_is_gone_on_from_but_only_new_text_counts():
    before, _ = played(reply_of(text("One ")))
    stretch, _ = played(reply_of(text("two ")), before=before)
    assert stretch.said == [text("One two ")]
    assert before.said == [text("One ")]
    assert not played(reply_of(text(" ")), before=stretch)[0].goes_on(may_stop=False)


def test_sources_are_counted_on():
    def grounded(source, start, end):
        segment = {"startIndex": start, "endIndex": end} if start else {"endIndex": end}
        return {
            "webSearchQueries": [source],
            "groundingChunks": [{"web": {"uri": source}}],
            "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
        }

    before, _ = played(reply_of(text("Zürich "), groundingMetadata=grounded("a", 0, 7)))
    stretch = Stretch(MARK, before)
    shown = stretch.show(reply_of(text("liegt"), groundingMetadata=grounded("b", 1, 5)))
    grounding = shown["candidates"][0]["groundingMetadata"]
    assert grounding["webSearchQueries"] == ["a", "b"]
    assert [chunk["web"]["uri"] for chunk in grounding["groundingChunks"]] == ["a", "b"]
    assert grounding["groundingSupports"] == [
        {"segment": {"endIndex": 7}, "groundingChunkIndices": [0]},
        {"segment": {"startIndex": 9, "endIndex": 13}, "groundingChunkIndices": [1]},
    ]


def test_without_usage_none_is_made_up():
    stretch, _ = played(reply_of(text("x"), finishReason="STOP"))
    assert "usageMetadata" not in stretch.ending(cut=True)


def test_an_upstream_that_went_away_has_cut_the_answer_unless_there_is_none():
    stretch, _ = played(reply_of(text("x")))
    assert end_of(stretch) == "MAX_TOKENS"
    stretch, _ = played(reply_of())
    assert stretch.ending(cut=False) is None


def test_what_the_upstream_said_is_not_changed():
    reply = reply_of(text(f"a {MARK}"), CALL, finishReason="STOP") | {"usageMetadata": {"x": 1}}
    before = copy.deepcopy(reply)
    played(reply, before=played(reply)[0])
    assert reply == before


@pytest.mark.parametrize(
    "reply",
    [
        {"candidates": [{"content": "x"}]},
        {"candidates": [{"content": {"parts": [{"text": 5}, {"thought": True}]}}]},
        {"candidates": [None], "usageMetadata": 3},
        {"usageMetadata": {"promptTokenCount": None}},
    ],
)
def test_any_shape_of_an_upstreams_reply_is_survived(reply):
    before, _ = played({"usageMetadata": {"promptTokenCount": 1}})
    stretch, _ = played(reply, before=before)
    assert not stretch.goes_on(may_stop=False) or stretch.said
