from __future__ import annotations

from apiproxy.wire.thoughts import without_thoughts


def reply(*parts):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0}]}


def test_thoughts_are_left_out_and_the_original_stays():
    thought, said = {"text": "hm", "thought": True}, {"text": "yes"}
    original = reply(thought, said)
    assert without_thoughts(original) == reply(said)
    assert original == reply(thought, said)


def test_a_reply_without_thoughts_is_the_same_object():
    for same in (reply({"text": "yes"}), {}, {"candidates": None}, {"candidates": [{}, 1]}):
        assert without_thoughts(same) is same
