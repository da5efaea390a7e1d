"""The edge: bodies, routes, shapes, clients that leave."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from asgiref.sync import sync_to_async

from accounts.services import allow_models, revoke_key
from apiproxy import asgi
from apiproxy.request import Reply, StreamReply
from gateway.lib.errors import UpstreamOverloaded
from gateway.lib.tasks import spawn
from quotas.models import Balance, Price

CHAT = "/v1/chat/completions"


async def test_an_answer_carries_its_request_id_and_what_is_left(edge, lent, key):
    answer = await edge.chat(key.text)
    assert answer.status == 200
    assert answer.json["choices"][0]["message"]["content"]
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-credits-remaining"] == "98"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_stream_comes_in_pieces_and_ends_once(edge, lent, key):
    answer = await edge.chat(key.text, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(answer.pieces) > 1
    assert answer.body.count(b"[DONE]") == 1
    assert answer.complete


async def test_a_gemini_body_is_answered_in_its_own_shape(edge, lent, key):
    body = {"model": "gemini-2.5-flash", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    answer = await edge.post(CHAT, body, key=key.text)
    assert answer.json["candidates"][0]["content"]["parts"]


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", "/gemini/v1beta"])
async def test_the_native_surface_is_on_every_prefix(edge, lent, key, prefix):
    path = f"{prefix}/models/gemini-2.5-flash:generateContent"
    answer = await edge.post(path, {"contents": [{"parts": [{"text": "hi"}]}]}, key=key.text)
    assert answer.status == 200
    counted = await edge.post(
        path.replace("generateContent", "countTokens"),
        {"contents": [{"parts": [{"text": "hi"}]}]},
        key=key.text,
    )
    assert counted.json["totalTokens"] > 0
    assert (await edge.receipt(counted)) is None


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer {}"}, ""),
        ({"authorization": "bearer {}"}, ""),
        ({"x-goog-api-key": "{}"}, ""),
        ({"x-api-key": "{}"}, ""),
        ({}, "key={}"),
    ],
)
async def test_a_key_is_taken_from_wherever_a_client_puts_it(edge, key, headers, query):
    sent = {name: value.format(key.text) for name, value in headers.items()}
    answer = await edge.get("/v1/models", headers=sent, query=query.format(key.text))
    assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "headers", "shape"),
    [
        ("/v1/models", {"authorization": "Bearer {}"}, "data"),
        ("/v1/models", {"x-goog-api-key": "{}"}, "models"),
        ("/v1beta/models", {"authorization": "Bearer {}"}, "models"),
    ],
)
async def test_the_model_list_has_the_shape_its_caller_reads(edge, key, path, headers, shape):
    sent = {name: value.format(key.text) for name, value in headers.items()}
    listed = (await edge.get(path, headers=sent)).json
    assert shape in listed
    one = (await edge.get(f"{path}/gemini-2.5-flash", headers=sent)).json
    assert one["id" if shape == "data" else "name"].endswith("gemini-2.5-flash")


BAD = [
    ("not JSON", b"{", 400, "not valid JSON"),
    ("empty", b"", 400, "not valid JSON"),
    ("a list", b"[]", 400, "JSON object"),
    ("too deep", b'{"a":' * 300 + b"1" + b"}" * 300, 400, "nested deeper"),
    ("beyond every parser's depth", b"[" * 100_000, 400, "not valid JSON"),
    ("broken UTF-8", b'{"model":"\xff"}', 400, "not valid JSON"),
    ("no model", b'{"messages":[]}', 400, "model"),
    ("no messages", b'{"model":"gemini-2.5-flash","messages":[]}', 400, "messages"),
    (
        "unknown model",
        b'{"model":"gpt-9","messages":[{"role":"user","content":"x"}]}',
        404,
        "gpt-9",
    ),
]


@pytest.mark.parametrize(
    ("body", "status", "words"), [case[1:] for case in BAD], ids=[c[0] for c in BAD]
)
async def test_a_bad_body_is_refused_in_words_and_costs_nothing(
    edge, lent, key, body, status, words
):
    answer = await edge.post(CHAT, body, key=key.text)
    assert answer.status == status
    error = answer.json["error"]
    assert words in error["message"]
    assert answer.headers["x-request-id"] in error["message"]
    assert (await edge.receipt(answer)) is None
    assert (await edge.log(answer)).status == status


async def test_an_oversized_body_is_refused_before_it_is_read(edge, key, settings):
    answer = await edge.post(CHAT, b"{}", key=key.text, headers={"content-length": "99999999999"})
    assert answer.status == 413
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "status", "gemini"),
    [
        ("POST", "/v1/nothing", 404, False),
        ("GET", CHAT, 405, False),
        ("POST", "/v1beta/models/gemini-2.5-flash", 405, True),
        ("POST", "/v1beta/models/gemini-2.5-flash:dance", 404, True),
        ("DELETE", "/v1beta/models", 405, True),
        ("GET", "/v1beta/other", 404, True),
        ("GET", "/v1beta/models/gpt-9", 404, True),
    ],
)
async def test_what_is_not_here_is_said_in_the_dialect_of_the_path(
    edge, key, method, path, status, gemini
):
    answer = await edge.exchange(method, path, key=key.text, body=b"{}").run()
    assert answer.status == status
    error = answer.json["error"]
    assert ("status" in error) is gemini
    assert "message" in error


async def test_a_browser_may_ask_first(edge):
    answer = await edge.exchange("OPTIONS", CHAT, body=b"").run()
    assert answer.status == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]
    origins = [v for k, v in answer.messages[0]["headers"] if k == b"access-control-allow-origin"]
    assert origins == [b"*"]


@pytest.mark.parametrize("presented", ["", "wrong", "sk-short", "sk-" + "x" * 48])
async def test_a_wrong_key_is_refused_and_told_how(edge, presented):
    answer = await edge.chat(presented)
    assert answer.status == 401
    assert answer.json["error"]["code"] == "invalid_api_key"
    assert presented not in answer.body.decode() or not presented


async def test_a_revoked_key_is_refused_soon(edge, lent, key):
    assert (await edge.chat(key.text)).status == 200
    await sync_to_async(revoke_key)(key=key.row)
    await edge.runtime.feed.update()
    answer = await edge.chat(key.text)
    assert answer.status == 401
    assert "revoked" in answer.json["error"]["message"]


async def test_a_key_covers_only_its_models(edge, lent, key):
    await sync_to_async(allow_models)(key=key.row, allowed_models=["gemini-2.5-flash*"])
    await sync_to_async(key.row.save)()
    assert (await edge.chat(key.text)).status == 200
    answer = await edge.chat(key.text, model="gemini-2.5-pro")
    assert answer.status == 403
    assert answer.json["error"]["param"] == "model"


async def test_an_empty_key_is_told_and_not_asked_to_try_again(edge, lent, key):
    await sync_to_async(Balance.objects.filter(pk=key.balance_id).update)(
        total_micros=1, remaining_micros=1
    )
    answer = await edge.chat(key.text)
    assert answer.status == 429
    assert answer.json["error"]["code"] == "insufficient_quota"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-credits-remaining"] == "0.000001"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_failed_tells_what_is_left_too(edge, fake, lent, key, stream):
    fake.script("error", error="bad_request", times=1)
    failed = await edge.chat(key.text, stream=stream)
    assert failed.status == 400
    assert failed.headers["x-credits-remaining"] == "100"


async def test_the_api_password_is_a_key_without_limit(edge, lent, settings):
    edge.runtime.admission._api_password = b"let me in"
    answer = await edge.chat("let me in")
    assert answer.status == 200
    assert "x-credits-remaining" not in answer.headers


class TestAClientThatLeaves:
    @pytest.fixture
    def exchange(self, edge, lent, key):
        messages = [{"role": "user", "content": "x"}]
        body = {"model": "gemini-2.5-flash", "stream": True, "messages": messages}
        return edge.exchange("POST", CHAT, key=key.text, body=body)

    async def test_before_the_first_byte_pays_nothing_and_closes_the_upstream(
        self, edge, fake, key, exchange
    ):
        fake.script("silence", silence_s=30)
        running = spawn(exchange.run(), name="exchange")
        [record] = await asyncio.to_thread(fake.wait_for_calls, 1)
        exchange.leave()
        await running
        await asyncio.to_thread(fake.wait_disconnected, record)
        await edge.settled()
        assert exchange.messages == []
        balance = await sync_to_async(Balance.objects.get)(pk=key.balance_id)
        assert (balance.used_micros, balance.reserved_micros) == (0, 0)
        assert await edge.proves()

    async def test_after_the_first_byte_pays_the_call(self, edge, fake, exchange):
        fake.script("slow", interval_s=0.2, count=50)
        running = spawn(exchange.run(), name="exchange")
        while len(exchange.pieces) < 2:
            exchange.news.clear()
            await exchange.news.wait()
        exchange.leave()
        await running
        log = await edge.log(exchange)
        assert (log.status, log.attempts[0]["outcome"]) == (499, "client_gone")
        receipt = await edge.receipt(exchange)
        assert (receipt.state, receipt.settled_micros) == ("settled", 2_000_000)
        assert await edge.proves()

    async def test_while_an_error_is_written_ends_the_call_quietly(self, edge, key, monkeypatch):
        monkeypatch.setattr(asgi, "_LISTEN_AFTER_S", 0.0)
        exchange = edge.exchange("POST", CHAT, key=key.text, body=b"{}")
        send = exchange.send

        async def send_slowly(message):
            await send(message)
            exchange.leave()
            await asyncio.sleep(30)

        exchange.send = send_slowly
        await exchange.run()
        assert exchange.status == 400


@pytest.fixture
def impatient(settings):
    settings.KEEPALIVE_INTERVAL_S = 0.05


async def test_a_silent_stream_is_kept_alive(impatient, edge, fake, lent, key):
    fake.script("silence", silence_s=0.5)
    answer = await edge.chat(key.text, stream=True)
    assert answer.pieces[0] == b": keep-alive\n\n"
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_an_error_after_the_first_keepalive_comes_inside_the_stream(
    impatient, edge, fake, lent, key
):
    fake.script("error", error="bad_request", silence_s=0.5, silence_at="headers")
    answer = await edge.chat(key.text, stream=True)
    assert answer.status == 200
    assert b'"invalid_request_error"' in answer.body
    assert (await edge.receipt(answer)).state == "refunded"


async def test_bytes_of_the_stream_are_events(edge, lent, key):
    answer = await edge.chat(key.text, stream=True, stream_options={"include_usage": True})
    events = [e for e in answer.body.decode().split("\n\n") if e]
    assert events[-1] == "data: [DONE]"
    usage = json.loads(events[-2].removeprefix("data: "))["usage"]
    assert usage["total_tokens"] > 0


async def test_no_number_of_a_client_is_too_large_for_the_ledger(edge, lent, key):
    await sync_to_async(Price.objects.create)(
        pattern="gemini-2.5-flash", output_micros_per_million=10**12
    )
    body = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 10**40},
    }
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    answer = await edge.post(path, body, key=key.text)
    assert answer.status == 429
    assert (await edge.chat(key.text, model="gemini-2.5-pro")).status == 200
    assert await edge.proves()


async def test_what_a_client_calls_its_fields_does_not_spoil_the_log(edge, lent, key):
    answer = await edge.chat(key.text, **{"odd\x00field": 1})
    assert (await edge.log(answer)).dropped == ["oddfield"]


async def test_a_keepalive_that_comes_due_with_an_error_does_not_end_up_inside_it():
    """It may have been started, but not have run, when the stream fails."""
    sent = []

    async def send(message):
        sent.append(message)
        await asyncio.sleep(0)

    outlet = asgi._Outlet(send, "req_1", 60.0)
    loop = asyncio.get_running_loop()

    async def pieces():
        outlet._last_write = loop.time() - 60.0
        outlet._tick(loop, b": keep-alive\n\n")
        raise UpstreamOverloaded("busy")
        yield b""

    reply = StreamReply([], b": keep-alive\n\n", pieces(), lambda error: b"data: error\n\n")
    with suppress(UpstreamOverloaded):
        await outlet.stream(reply)
    if not outlet.committed:
        await outlet.write_whole(Reply(503, [], b"busy"))
    await asyncio.sleep(0.01)
    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert not sent[-1].get("more_body")
    if sent[0]["status"] == 503:
        assert [message.get("body") for message in sent[1:]] == [b"busy"]
    else:
        assert sent[-2]["body"] == b"data: error\n\n"
