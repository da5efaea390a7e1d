from __future__ import annotations

import asyncio
import copy

import msgspec
import pytest

from apiproxy.continued import Continued
from apiproxy.truncation import mark_of
from apiproxy.wire.types import Action, Call, Variant
from gateway.lib.errors import StreamBroken, UpstreamOverloaded, UpstreamRefused
from tests.apiproxy.dialects.support import HEAD, MODELS

MARK = mark_of(HEAD.request_id)
CALL_PART = {"functionCall": {"id": "1", "name": "f", "args": {}}}


def reply_of(*parts, end=None, tokens=None):
    said = [{"text": part} if isinstance(part, str) else part for part in parts]
    candidate = {
        "content": {"role": "model", "parts": said},
        **({"finishReason": end} if end else {}),
    }
    usage = {} if tokens is None else {"usageMetadata": {"candidatesTokenCount": tokens}}
    return {"candidates": [candidate], **usage}


class Upstream:
    """Plays its answers one after the other: lists of replies, with an exception where it breaks."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []
        self.closed = 0

    async def open(self, call):
        self.asked.append(call.body)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Played(self, answer)


class Played:
    def __init__(self, upstream, answer):
        self._upstream = upstream
        self._rest = iter(answer[1:])
        self.first = [answer[0]]

    async def more(self):
        item = next(self._rest, None)
        if isinstance(item, Exception):
            raise item
        return [] if item is None else [item]

    def close(self):
        self._upstream.closed += 1


def call_of(*, attempts=3, model="gemini-2.5-flash", **config):
    return Call(
        head=HEAD,
        dialect="gemini",
        model=msgspec.structs.replace(MODELS[model], variant=Variant(anti_truncation=True)),
        requested_model="m",
        action=Action.GENERATE,
        stream=True,
        body={
            "contents": [{"role": "user", "parts": [{"text": "Tell me"}]}],
            "generationConfig": config,
        },
        attempts=attempts,
    )


async def replies_of(upstream, call):
    continued = Continued(upstream.open, call, compatibility=False)
    await continued.start()
    replies = list(continued.first)
    while batch := await continued.more():
        replies += batch
    assert await continued.more() == []
    return replies


async def told(upstream, call):
    """(the text, the finish reasons, the last usage)."""
    replies = await replies_of(upstream, call)
    parts = [p for r in replies for c in r.get("candidates", []) for p in c["content"]["parts"]]
    ends = [c["finishReason"] for r in replies for c in r["candidates"] if "finishReason" in c]
    usages = [r["usageMetadata"] for r in replies if "usageMetadata" in r]
    said = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    return said, ends, usages[-1] if usages else None


async def test_an_answer_is_gone_on_with_until_it_is_complete():
    upstream = Upstream(
        [reply_of("One ", tokens=1), reply_of("two ", end="MAX_TOKENS", tokens=2)],
        [reply_of("three "), reply_of("four", end="STOP", tokens=4)],
        [reply_of(" five.\n" + MARK, end="STOP", tokens=8)],
    )
    call = call_of()
    before = copy.deepcopy(call.body)
    said, ends, usage = await told(upstream, call)
    assert (said, ends) == ("One two three four five.", ["STOP"])
    assert usage == {"candidatesTokenCount": 2 + 4 + 8}
    assert call.body == before
    assert upstream.closed == 3


async def test_each_attempt_goes_on_from_all_that_was_said_once():
    upstream = Upstream(
        [reply_of("One ", {"text": "hm", "thought": True}, end="MAX_TOKENS")],
        [reply_of("two ", end="MAX_TOKENS")],
        [reply_of("three", end="MAX_TOKENS")],
    )
    said, ends, _ = await told(upstream, call_of())
    assert (said, ends) == ("One two three", ["MAX_TOKENS"])
    turns = [[turn["role"] for turn in body["contents"]] for body in upstream.asked]
    assert turns == [["user"], ["user", "model"], ["user", "model"]]
    assert upstream.asked[1]["contents"][1]["parts"] == [{"text": "One "}]
    last = upstream.asked[2]["contents"][1]["parts"]
    assert "".join(part["text"] for part in last) == "One two "
    for body in upstream.asked:
        assert MARK in body["systemInstruction"]["parts"][-1]["text"]


async def test_the_third_generation_is_told_to_go_on():
    upstream = Upstream([reply_of("One ", end="MAX_TOKENS")], [reply_of("two" + MARK, end="STOP")])
    said, _, _ = await told(upstream, call_of(model="gemini-3-flash-preview"))
    assert said == "One two"
    assert [turn["role"] for turn in upstream.asked[1]["contents"]] == ["user", "model", "user"]


async def test_a_refused_beginning_becomes_words_of_the_user():
    upstream = Upstream(
        [reply_of("One ", end="MAX_TOKENS")],
        UpstreamRefused("a request may not end with the model's turn"),
        [reply_of("two ", end="MAX_TOKENS")],
        [reply_of("three" + MARK, end="STOP")],
    )
    said, ends, _ = await told(upstream, call_of())
    assert (said, ends) == ("One two three", ["STOP"])
    assert [len(body["contents"]) for body in upstream.asked] == [1, 2, 3, 3]


async def test_an_answer_that_is_complete_at_once_is_asked_for_once():
    upstream = Upstream([reply_of("All of it."), reply_of("\n" + MARK, end="STOP")])
    assert (await told(upstream, call_of()))[:2] == ("All of it.", ["STOP"])
    assert len(upstream.asked) == 1


async def test_a_stream_that_breaks_off_is_gone_on_with():
    upstream = Upstream(
        [reply_of("One "), StreamBroken("cut")],
        [reply_of("two")],
        [reply_of(" three" + MARK, end="STOP")],
    )
    call = call_of()
    assert (await told(upstream, call))[:2] == ("One two three", ["STOP"])
    assert call.dropped == ["anti-truncation, an attempt failed: cut"]


@pytest.mark.parametrize(
    "later", [UpstreamOverloaded("busy"), [reply_of(""), StreamBroken("cut again")]]
)
async def test_what_cannot_be_gone_on_with_ends_as_a_cut_answer(later):
    upstream = Upstream([reply_of("One ", end="STOP")], later)
    call = call_of()
    said, ends, _ = await told(upstream, call)
    assert (said, ends) == ("One ", ["MAX_TOKENS"])
    assert len(call.dropped) == 1


async def test_a_stream_that_breaks_off_in_the_last_attempt_ends_as_a_cut_answer():
    upstream = Upstream([reply_of("One "), StreamBroken("cut")])
    assert (await told(upstream, call_of(attempts=1)))[:2] == ("One ", ["MAX_TOKENS"])


async def test_an_error_before_there_is_anything_is_the_clients():
    with pytest.raises(UpstreamOverloaded):
        await told(Upstream(UpstreamOverloaded("busy")), call_of())
    thoughts = reply_of({"text": "hm", "thought": True})
    with pytest.raises(StreamBroken):
        await told(Upstream([thoughts, StreamBroken("cut")]), call_of())


async def test_a_break_after_a_call_is_an_error():
    """Nobody may take a call for complete that may not be."""
    with pytest.raises(StreamBroken):
        await told(Upstream([reply_of("I look.", CALL_PART), StreamBroken("cut")]), call_of())


async def test_a_call_ends_it():
    upstream = Upstream([reply_of("I look.", CALL_PART, end="STOP")])
    assert (await told(upstream, call_of()))[:2] == ("I look.", ["STOP"])


async def test_attempts_that_bring_nothing_new_are_the_last():
    upstream = Upstream([reply_of("One", end="STOP")], [reply_of("\n", end="STOP")])
    assert (await told(upstream, call_of(attempts=9)))[:2] == ("One\n", ["STOP"])


async def test_a_word_to_stop_at_is_respected():
    upstream = Upstream([reply_of("One", end="STOP")])
    assert (await told(upstream, call_of(stopSequences=["two"])))[1] == ["STOP"]


async def test_a_blocked_continuation_ends_it():
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    upstream = Upstream([reply_of("One", end="MAX_TOKENS")], [blocked])
    replies = await replies_of(upstream, call_of())
    assert replies[-1] == blocked


async def test_a_client_that_leaves_takes_the_upstream_along():
    upstream = Upstream([reply_of("One"), reply_of(" two")])
    continued = Continued(upstream.open, call_of(), compatibility=False)
    await continued.start()
    continued.close()
    assert upstream.closed == 1


async def test_a_client_that_leaves_before_there_is_anything_does_too():
    upstream = Upstream()

    class Silent(Played):
        async def more(self):
            await asyncio.Event().wait()

    async def open_silent(call):
        return Silent(upstream, [reply_of("\n")])

    started = asyncio.ensure_future(Continued(open_silent, call_of(), compatibility=False).start())
    await asyncio.sleep(0)
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    assert upstream.closed == 1
