"""Idempotency-Key over the wire: retries of a real SDK, several processes, and one that is killed while it answers."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import openai
import pytest

from tests.e2e.dialects import MODEL, OPENAI, only_postgres
from tests.e2e.gateway import HOLDER_LEASE_S, client_of
from tests.e2e.processes import eventually

HELLO = [{"role": "user", "content": "hello"}]
KEY = {"idempotency-key": "order-1"}


@pytest.fixture
def lanes(gateway):
    """A client for each web process."""
    with ExitStack() as stack:
        yield [stack.enter_context(gateway.lane(pid)) for pid in gateway.web_pids()]


class LosesTheFirst(httpx.BaseTransport):
    """A network whose first answer never arrives; each try takes another way in."""

    def __init__(self, lanes):
        self.lanes = itertools.cycle(lanes)
        self.answers = []

    def handle_request(self, request):
        request.read()
        answer = next(self.lanes).send(
            httpx.Request(
                request.method, request.url, headers=request.headers, content=request.content
            )
        )
        self.answers.append(answer)
        if len(self.answers) == 1:
            raise httpx.ReadError("the connection was lost", request=request)
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name not in ("content-encoding", "content-length", "transfer-encoding")
        }
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


@pytest.mark.parametrize("stream", [False, True])
def test_an_sdk_that_asks_again_is_charged_once(gateway, google, lanes, stream):
    gateway.lend("gemini_api")
    network = LosesTheFirst(lanes)
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1",
        api_key=gateway.key(),
        max_retries=2,
        http_client=httpx.Client(transport=network),
    ) as chat:
        answer = chat.chat.completions.create(
            model=MODEL, messages=HELLO, stream=stream, extra_headers=KEY
        )
        text = (
            "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
            if stream
            else answer.choices[0].message.content
        )
        assert text == "You said: hello"
        first, second = network.answers
        assert first.content == second.content
        assert second.headers["idempotent-replayed"] == "true"
        assert second.headers["x-original-request-id"] == first.headers["x-request-id"]
        assert len(google.calls()) == 1
        assert gateway.balance(chat.api_key)["used"] == 2


async def test_many_at_once_are_one_call(gateway, google):
    google.script("silence", silence_s=0.5, silence_at="headers")
    gateway.lend("gemini_api")
    key = gateway.key()
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as client:
        answers = await asyncio.gather(
            *[
                client.post(OPENAI.path(), json=OPENAI.body(), headers=OPENAI.headers(key) | KEY)
                for _ in range(40)
            ]
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert len(google.calls()) == 1
    assert gateway.balance(key)["used"] == 2
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1


@only_postgres
def test_what_a_killed_process_had_begun_is_made_again_and_charged_once(gateway, google):
    gateway.lend("gemini_api")
    google.script("silence", silence_s=20, silence_at="headers", times=1)
    key = gateway.key()
    victim, *_ = gateway.web_pids()
    headers = OPENAI.headers(key) | KEY
    with gateway.lane(victim) as client, ThreadPoolExecutor(1) as thread:
        doomed = thread.submit(client.post, OPENAI.path(), json=OPENAI.body(), headers=headers)
        google.wait_for_calls(1, timeout_s=10)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            doomed.result(timeout=20)
    with client_of(gateway.url) as other:

        def again():
            answer = other.post(OPENAI.path(), json=OPENAI.body(), headers=headers)
            if answer.status_code == 409:
                assert answer.json()["error"]["code"] == "idempotency_key_in_use"
                return None
            return answer

        answer = eventually(again, "the key is free again", 10 * HOLDER_LEASE_S)
        assert answer.status_code == 200
        repeat = other.post(OPENAI.path(), json=OPENAI.body(), headers=headers)
        assert repeat.content == answer.content
    gateway.settled()
    assert gateway.balance(key)["used"] == 2
