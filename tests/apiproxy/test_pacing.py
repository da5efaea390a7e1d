"""Limits on pace, through the edge."""

from __future__ import annotations

import asyncio
import base64
import json
import time

import pytest
from asgiref.sync import sync_to_async

from accounts import selectors
from accounts.keys import public_id_of
from accounts.models import ApiKey, User
from accounts.services import issue_key
from apiproxy import asgi
from quotas.limiter import LEASE_S, Refused
from quotas.models import Limits, Passage
from tests.apiproxy.scripted_upstream import until


@pytest.fixture
def limited(database):
    """A key with these limits."""

    def make(owner=None, **limits):
        row, text = issue_key(quota_micros=100_000_000, owner=owner)
        row.limits = Limits.objects.create(**limits)
        row.save()
        return text

    return sync_to_async(make)


@pytest.fixture
def wait(settings):
    settings.LIMIT_WAIT_S = 10.0
    return settings


async def test_over_its_requests_a_minute_a_key_is_told_when_to_come_again(edge, lent, limited):
    key = await limited(rpm=2)
    first = await edge.chat(key)
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"] == "1m0s"
    await edge.chat(key)
    refused = await edge.chat(key)
    assert refused.status == 429
    assert refused.json["error"]["code"] == "rate_limit_exceeded"
    assert "2 requests a minute" in refused.json["error"]["message"]
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    # Neither charged nor held.
    assert await edge.receipt(refused) is None
    assert await edge.proves()


async def test_each_dialect_names_what_is_left_in_its_own_words(edge, lent, limited):
    key = await limited(rpm=10, tpm=100_000)
    message = {
        "model": "gemini-2.5-flash",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hi"}],
    }
    answer = await edge.post("/v1/messages", message, key=key)
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert answer.headers["anthropic-ratelimit-tokens-limit"] == "100000"
    assert answer.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    answer = await edge.post("/v1beta/models/gemini-2.5-flash:generateContent", contents, key=key)
    assert answer.headers["x-ratelimit-remaining-requests"] == "8"
    assert "x-ratelimit-remaining-tokens" in answer.headers


async def test_a_key_without_limits_has_no_such_headers(edge, lent, key):
    answer = await edge.chat(key.text)
    assert not [name for name in answer.headers if "ratelimit" in name]
    assert not await sync_to_async(Passage.objects.exists)()


async def test_calls_wait_for_their_turn(wait, edge, lent, limited):
    key = await limited(concurrency=1)
    passage = await busy(key)
    running = [asyncio.ensure_future(edge.chat(key)) for _ in range(6)]
    await until(
        lambda: (
            sum(queue.waiting(passage.scope) for queue in edge.runtime.pacing._queues.values()) == 6
        )
    )
    await asyncio.sleep(0.02)
    await sync_to_async(passage.delete)()
    answers = await asyncio.gather(*running)
    assert [answer.status for answer in answers] == [200] * 6
    assert all([(await edge.log(answer)).waited_ms > 0 for answer in answers])
    assert await edge.proves()


async def test_a_stream_that_waits_gets_its_headers_all_the_same(wait, edge, lent, limited):
    key = await limited(concurrency=1, rpm=100)
    first, second = await asyncio.gather(edge.chat(key, stream=True), edge.chat(key, stream=True))
    assert first.status == second.status == 200
    left = {one.headers["x-ratelimit-remaining-requests"] for one in (first, second)}
    assert left == {"99", "98"}
    assert {first.headers["x-credits-remaining"], second.headers["x-credits-remaining"]}


async def test_a_stream_that_waits_is_kept_alive(wait, edge, lent, limited, monkeypatch):
    key = await limited(concurrency=1)
    pacing, turn = edge.runtime.pacing, asyncio.Event()

    async def busy(take):
        return Refused(take.scopes[0], "concurrency", 1, 1, 0.0)

    async def at_its_turn(take, passing=pacing._pass):
        await turn.wait()
        return await passing(take)

    monkeypatch.setattr(pacing, "take", busy)
    monkeypatch.setattr(pacing, "_pass", at_its_turn)
    outlet = asgi._Outlet
    monkeypatch.setattr(asgi, "_Outlet", lambda send, name, _: outlet(send, name, 0.01))
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
    exchange = edge.exchange("POST", "/v1/chat/completions", key=key, body=body | {"stream": True})
    running = asyncio.ensure_future(exchange.run())
    await until(lambda: exchange.pieces)
    assert exchange.status == 200
    assert exchange.pieces[0].startswith(b":")
    turn.set()
    await running
    assert exchange.body.count(b"[DONE]") == 1


async def test_a_client_that_leaves_the_queue_takes_nothing(wait, edge, lent, limited):
    key = await limited(concurrency=1)
    await edge.chat(key)
    # A call of another process.
    passage = await sync_to_async(Passage.objects.get)()
    await sync_to_async(Passage.objects.filter(pk=passage.pk).update)(lease_until=passage.at + 30)
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
    exchange = edge.exchange("POST", "/v1/chat/completions", key=key, body=body)
    running = asyncio.ensure_future(exchange.run())
    await until(lambda: edge.runtime.pacing._queues)
    exchange.leave()
    await running
    await edge.settled()
    assert not exchange.messages
    await until(lambda: not edge.runtime.pacing._queues)
    assert await sync_to_async(Passage.objects.count)() == 1
    assert await edge.proves()


async def test_who_cannot_pay_has_not_called(edge, lent, limited):
    key = await limited(rpm=1, day_micros=1)
    refused = await edge.chat(key)
    assert refused.json["error"]["code"] == "insufficient_quota"
    assert "for this day" in refused.json["error"]["message"]
    assert int(refused.headers["retry-after"]) <= 24 * 3600
    await edge.settled()
    assert not await sync_to_async(Passage.objects.exists)()


async def test_a_person_and_all_their_keys_share_the_persons_limit(edge, lent, limited, settings):
    alice = await sync_to_async(User.objects.create_user)("alice")
    alice.limits = await sync_to_async(Limits.objects.create)(rpm=1)
    await sync_to_async(alice.save)()
    one, other = await limited(owner=alice), await limited(owner=alice)
    assert (await edge.chat(one)).status == 200
    refused = await edge.chat(other)
    assert refused.status == 429
    assert "its owner" in refused.json["error"]["message"]


async def test_only_from_its_networks_and_in_its_dialects(edge, lent, limited):
    key = await limited(allowed_networks=["10.0.0.0/8"], allowed_dialects=["anthropic"])
    refused = await edge.chat(key)
    assert refused.status == 403
    assert "address" in refused.json["error"]["message"]
    key = await limited(allowed_dialects=["anthropic"])
    refused = await edge.chat(key)
    assert refused.status == 403
    assert "dialect" in refused.json["error"]["message"]


async def test_wrong_keys_from_one_address_are_not_looked_up_for_ever(edge, monkeypatch):
    edge.runtime.admission._strangers._clock = lambda: 1000.0
    asked = []
    look_up = selectors.principals_by_public_id
    monkeypatch.setattr(
        selectors,
        "principals_by_public_id",
        lambda ids: asked.append(ids) or look_up(ids),
    )
    unknown = [f"sk-{number:012d}{'x' * 36}" for number in range(80)]
    statuses = [(await edge.chat(key)).status for key in unknown]
    assert len(asked) == 60
    assert statuses.count(401) == 60
    assert statuses[-1] == 429


HELLO = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}


async def busy(key):
    """A call of another process runs with it, and is renewed."""
    row = await sync_to_async(ApiKey.objects.get)(public_id=public_id_of(key))
    now = time.time()
    return await sync_to_async(Passage.objects.create)(
        scope=f"k{row.pk}", request_id="req_elsewhere", at=now, lease_until=now + LEASE_S
    )


@pytest.mark.parametrize(
    ("path", "retry"), [("/v1/chat/completions", "retry-after"), ("/v1/messages", "retry-after")]
)
async def test_a_stream_that_waited_in_vain_is_a_proper_429(
    settings, edge, lent, limited, path, retry
):
    edge.runtime.pacing.wait_s = 0.05
    key = await limited(concurrency=1, rpm=1)
    await busy(key)
    answer = await edge.post(path, {**HELLO, "max_tokens": 5, "stream": True}, key=key)
    assert answer.status == 429
    assert int(answer.headers[retry]) >= 1
    assert "of this key is 1 " in answer.json["error"]["message"]
    assert (await edge.log(answer)).waited_ms >= 0
    assert await edge.receipt(answer) is None


async def test_a_stream_that_was_kept_alive_in_vain_is_told_in_the_stream(
    edge, lent, limited, monkeypatch
):
    edge.runtime.pacing.wait_s = 0.3
    key = await limited(concurrency=1)
    await busy(key)
    outlet = asgi._Outlet
    monkeypatch.setattr(asgi, "_Outlet", lambda send, name, _: outlet(send, name, 0.01))
    answer = await edge.post("/v1/chat/completions", {**HELLO, "stream": True}, key=key)
    assert answer.status == 200
    assert answer.pieces[0].startswith(b":")
    assert b"rate_limit_exceeded" in answer.body
    assert answer.complete
    assert (await edge.log(answer)).waited_ms >= 200


@pytest.mark.parametrize(
    ("path", "body", "before", "told"),
    [
        (
            "/v1/messages",
            {**HELLO, "max_tokens": 5, "stream": True},
            b"event: ping",
            b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error"',
        ),
        (
            "/v1/responses",
            {"model": "gemini-2.5-flash", "input": "hi", "stream": True},
            b":",
            b"rate_limit_exceeded",
        ),
        (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            {"contents": [{"parts": [{"text": "hi"}]}]},
            b"\n",
            b'[{"error":{"code":429',
        ),
    ],
)
async def test_each_dialect_is_told_so_in_its_own_way(
    edge, lent, limited, monkeypatch, path, body, before, told
):
    edge.runtime.pacing.wait_s = 0.3
    key = await limited(concurrency=1)
    await busy(key)
    outlet = asgi._Outlet
    monkeypatch.setattr(asgi, "_Outlet", lambda send, name, _: outlet(send, name, 0.01))
    answer = await edge.post(path, body, key=key)
    assert answer.status == 200
    assert answer.pieces[0].startswith(before)
    assert told in answer.body
    assert answer.complete


async def test_a_client_that_leaves_a_stream_that_waits_takes_nothing(wait, edge, lent, limited):
    key = await limited(concurrency=1)
    await busy(key)
    body = {**HELLO, "stream": True}
    exchange = edge.exchange("POST", "/v1/chat/completions", key=key, body=body)
    running = asyncio.ensure_future(exchange.run())
    await until(lambda: edge.runtime.pacing._queues)
    exchange.leave()
    await running
    await until(lambda: not edge.runtime.pacing._queues)
    await edge.settled()
    assert await sync_to_async(Passage.objects.count)() == 1
    assert await edge.proves()


async def test_an_error_after_it_passed_tells_what_is_left_too(edge, fake, lent, limited):
    key = await limited(rpm=5)
    fake.script("error", error="bad_request", times=1)
    failed = await edge.chat(key)
    assert failed.status == 400
    assert failed.headers["x-ratelimit-remaining-requests"] == "4"
    # It was a request all the same.
    assert (await edge.chat(key)).headers["x-ratelimit-remaining-requests"] == "3"


async def test_what_is_malformed_has_not_called(edge, lent, limited):
    key = await limited(rpm=5, allowed_models=["gemini-2.5-flash"])
    for body in ({}, {"model": "gemini-2.5-flash", "messages": []}, {**HELLO, "model": "gpt-9"}):
        assert (await edge.post("/v1/chat/completions", body, key=key)).status in (400, 404)
    forbidden = await edge.post(
        "/v1/chat/completions", {**HELLO, "model": "gemini-2.5-pro"}, key=key
    )
    assert forbidden.status == 403
    assert (await edge.chat(key)).headers["x-ratelimit-remaining-requests"] == "4"


async def test_counting_tokens_is_a_request(edge, lent, limited):
    key = await limited(rpm=1)
    assert (await edge.post("/v1/messages/count_tokens", HELLO, key=key)).status == 200
    assert (await edge.chat(key)).status == 429


async def test_the_upstreams_count_takes_the_place_of_the_estimate(edge, fake, lent, limited):
    key = await limited(tpm=1_000)
    long = "word " * 300
    fake.script("error", error="bad_request", times=1)
    estimated = await edge.chat(key, messages=[{"role": "user", "content": long}])
    assert int(estimated.headers["x-ratelimit-remaining-tokens"]) < 650
    await edge.settled()
    # No upstream answered: it took none.
    answer = await edge.chat(key)
    before = int(answer.headers["x-ratelimit-remaining-tokens"])
    assert before > 950
    await edge.settled()
    row = await sync_to_async(Passage.objects.filter(tokens__gt=0).get)()
    assert row.tokens == answer.json["usage"]["total_tokens"]
    assert row.lease_until == 0


async def test_more_tokens_than_a_minute_has_are_refused_at_once(wait, edge, lent, limited):
    key = await limited(tpm=100)
    refused = await edge.chat(key, messages=[{"role": "user", "content": "word " * 200}])
    assert refused.status == 429
    assert "send less at once" in refused.json["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert (await edge.log(refused)).waited_ms < 1000


async def test_a_picture_takes_no_more_tokens_than_pictures_take(edge, fake, lent, limited):
    """Its base64 is no text."""
    key = await limited(tpm=20_000)
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(300_000)).decode()
    content = [
        {"type": "text", "text": "word " * 300},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
    ]
    answer = await edge.chat(key, messages=[{"role": "user", "content": content}])
    assert answer.status == 200, answer.body
    left = int(answer.headers["x-ratelimit-remaining-tokens"])
    assert 18_500 < left < 19_400


@pytest.mark.parametrize(
    ("dialect", "path", "body"),
    [
        ("openai", "/v1/chat/completions", HELLO),
        ("openai", "/v1/responses", {"model": "gemini-2.5-flash", "input": "hi"}),
        ("openai", "/v1/embeddings", {"model": "gemini-embedding-001", "input": "hi"}),
        ("openai", "/v1/images/generations", {"prompt": "a cat"}),
        ("anthropic", "/v1/messages", {**HELLO, "max_tokens": 5}),
        (
            "gemini",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": [{"parts": [{"text": "hi"}]}]},
        ),
        ("simple", "/v1/generate", {"model": "gemini-2.5-flash", "prompt": "hi"}),
    ],
)
async def test_each_dialect_can_be_forbidden(edge, lent, limited, dialect, path, body):
    others = {"openai", "anthropic", "gemini", "simple"} - {dialect}
    refused = await edge.post(path, body, key=await limited(allowed_dialects=sorted(others)))
    assert refused.status == 403
    assert "dialect" in json.dumps(refused.json)
    key = await limited(allowed_dialects=[dialect], allowed_models=["none"])
    assert "dialect" not in json.dumps((await edge.post(path, body, key=key)).json)
