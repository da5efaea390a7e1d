"""Whatever an upstream answers: every dialect makes a whole answer and a stream of it that its clients can read."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest

from apiproxy import signatures
from apiproxy.dialects import DIALECTS
from apiproxy.wire.thoughts import without_thoughts
from apiproxy.wire.types import Action, Framing, Usage
from apiproxy.wire.usage import delivers, draws, finished, usage_of
from gateway.lib.errors import GatewayError, StreamBroken
from tests.apiproxy.dialects.events import events_of
from tests.apiproxy.dialects.mutations import JUNK, copied, kinds_of_places, mutated
from tests.apiproxy.dialects.support import HEAD, cases, resolve

ENDS = ("message_stop", "response.completed", "response.incomplete", "response.failed")


def recorded(dialect):
    """Cases in the form that `kinds_of_places` reads, with the replies in the place of the request."""
    return [
        {**case, "asked": case["request"], "request": case["replies"]}
        for case in cases(dialect)
        if "replies" in case
    ]


def seen(replies):
    """What the service does with replies on their way to the dialect."""
    for reply in replies:
        signatures.harvest(reply, lambda: "call_new")
        without_thoughts(reply)
        finished(reply), delivers(reply), draws(reply), usage_of(reply)
    return replies


def check(dialect, call, replies):
    with contextlib.suppress(GatewayError):
        json.loads(DIALECTS[dialect].render(call, seen(copied(replies))))
    if call.action is not Action.GENERATE or not call.stream:
        return
    renderer = DIALECTS[dialect].stream(call)
    out = b"".join(map(renderer.feed, seen(copied(replies))))
    events = events_of(dialect, call, out + renderer.close(Usage(1, 2, 0, 0)))
    if dialect in ("openai-responses", "anthropic-messages"):
        assert events[-1]["type"] in ENDS
        assert sum(event["type"] in ENDS for event in events) == 1
    if call.framing is Framing.SSE and dialect != "gemini":
        broken = DIALECTS[dialect].stream(call)
        out = b"".join(map(broken.feed, seen(copied(replies))))
        assert events_of(dialect, call, out + broken.error(StreamBroken("it broke off")))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_field_of_an_answer_with_everything_that_does_not_belong_there(dialect):
    failures = []
    for case, path in kinds_of_places(recorded(dialect)):
        head = msgspec.structs.replace(HEAD, **case.get("head", {}))
        for name, junk in JUNK.items():
            replies = mutated(case["request"], path, junk)
            replies = [reply for reply in replies if isinstance(reply, dict)]
            if not replies:
                # An upstream that says nothing at all is an error before any dialect hears of it.
                continue
            call = DIALECTS[dialect].parse(copied(case["asked"]), head, resolve)
            if dialect in ("openai-chat", "openai-responses", "anthropic-messages"):
                call.stream = True
            try:
                check(dialect, call, replies)
            except Exception as failure:  # noqa: BLE001 - all of them are to be seen at once
                failures.append(f"{case['name']} {path} {name}: {failure!r}"[:300])
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures[:40])
