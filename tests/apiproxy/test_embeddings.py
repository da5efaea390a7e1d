"""Embeddings through the edge: both shapes, batches, charges, and models that are asked for the wrong thing."""

from __future__ import annotations

import base64
import math
import struct

import pytest
from asgiref.sync import sync_to_async

from quotas.models import Price

MODEL = "gemini-embedding-001"


async def embed(edge, key, value, **fields):
    body = {"model": MODEL, "input": value, **fields}
    return await edge.post("/v1/embeddings", body, key=key.text)


def vectors(answer):
    return [item["embedding"] for item in answer.json["data"]]


async def test_a_text_becomes_a_vector(edge, fake, lent, key):
    answer = await embed(edge, key, "hello world")
    assert answer.status == 200
    assert answer.json.keys() == {"object", "data", "model", "usage"}
    [item] = answer.json["data"]
    assert (item["object"], item["index"], len(item["embedding"])) == ("embedding", 0, 3072)
    assert answer.json["model"] == MODEL
    # An estimate of four bytes a token: Google counts none.
    assert answer.json["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    [call] = fake.calls("embed")
    assert call.path.endswith(f"{MODEL}:batchEmbedContents")


async def test_smaller_vectors_have_unit_length_all_the_same(edge, lent, key):
    [vector] = vectors(await embed(edge, key, "hello", dimensions=256))
    assert len(vector) == 256
    assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-9)


async def test_base64_holds_the_same_numbers_in_little_endian_float32(edge, lent, key):
    [numbers] = vectors(await embed(edge, key, "hello", dimensions=8))
    [text] = vectors(await embed(edge, key, "hello", dimensions=8, encoding_format="base64"))
    assert struct.unpack("<8f", base64.b64decode(text)) == pytest.approx(numbers, rel=1e-6)


async def test_more_texts_than_google_takes_at_once_come_back_in_order(edge, fake, lent, key):
    texts = [f"text {number}" for number in range(230)]
    answer = await embed(edge, key, texts, dimensions=4, input_type="query")
    assert [item["index"] for item in answer.json["data"]] == list(range(230))
    [alone] = vectors(await embed(edge, key, texts[217], dimensions=4, input_type="query"))
    assert vectors(answer)[217] == alone
    *batches, _ = fake.calls("embed")
    assert sorted(len(call.body["requests"]) for call in batches) == [30, 100, 100]
    assert {request["taskType"] for call in batches for request in call.body["requests"]} == {
        "RETRIEVAL_QUERY"
    }
    assert (await edge.receipt(answer)).settled_micros == 3_000_000


async def test_one_batch_that_fails_fails_them_all_and_costs_nothing(edge, fake, lent, key):
    fake.script("error", error="bad_request", times=1, on="embed")
    answer = await embed(edge, key, ["a"] * 150)
    assert answer.status == 400
    receipt = await edge.receipt(answer)
    assert (receipt.reserved_micros, receipt.settled_micros) == (2_000_000, 0)
    assert await edge.proves()


async def test_estimated_tokens_are_charged_where_tokens_have_a_price(edge, lent, key):
    prices = Price.objects.update_or_create
    await sync_to_async(prices)(
        pattern="gemini-embedding-*",
        defaults={"per_call_micros": 5, "input_micros_per_million": 1_000_000},
    )
    answer = await embed(edge, key, ["x" * 400, "y" * 4])
    assert answer.json["usage"]["prompt_tokens"] == 101
    log = await edge.log(answer)
    assert (log.input_tokens, log.cost_micros) == (101, 106)
    assert await edge.proves()


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", "/gemini/v1beta"])
async def test_native_requests_pass_through(edge, fake, lent, key, prefix):
    body = {"content": {"parts": [{"text": "hello"}]}, "output_dimensionality": 4}
    path = f"{prefix}/models/{MODEL}"
    answer = await edge.post(f"{path}:embedContent", body, key=key.text)
    assert answer.json.keys() == {"embedding"}
    assert len(answer.json["embedding"]["values"]) == 4
    request = {"model": f"models/{MODEL}", "content": body["content"], "taskType": "CLUSTERING"}
    answer = await edge.post(
        f"{path}:batchEmbedContents", {"requests": [request] * 2}, key=key.text
    )
    assert [len(one["values"]) for one in answer.json["embeddings"]] == [3072, 3072]
    assert fake.calls("embed")[-1].body["requests"][1]["taskType"] == "CLUSTERING"
    log = await edge.log(answer)
    assert (log.action, log.dialect, log.input_tokens) == ("embed", "gemini", 4)


async def test_the_sandbox_embeds_without_a_credential(edge, key):
    near, far, same = vectors(
        await embed(edge, key, ["a red fox", "blue whales", "a red fox"], model="sandbox-embed")
    )
    assert near == same
    assert math.isclose(math.hypot(*near), 1, rel_tol=1e-9)
    assert math.sumprod(near, far) < 0.5 if hasattr(math, "sumprod") else near != far


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/embeddings", {"model": "gemini-2.5-flash", "input": "x"}, "makes no embeddings"),
        (
            "/v1/chat/completions",
            {"model": MODEL, "messages": [{"role": "user", "content": "x"}]},
            "only makes embeddings",
        ),
        (
            f"/v1beta/models/{MODEL}:generateContent",
            {"contents": [{"parts": [{"text": "x"}]}]},
            "only makes embeddings",
        ),
        (
            "/v1beta/models/gemini-2.5-flash:embedContent",
            {"content": {"parts": [{"text": "x"}]}},
            "makes no embeddings",
        ),
    ],
)
async def test_a_model_that_cannot_is_named(edge, fake, lent, key, path, body, words):
    answer = await edge.post(path, body, key=key.text)
    assert answer.status == 400
    message = answer.json["error"]["message"]
    assert words in message
    assert "gemini-" in message
    assert fake.calls("embed") == []


async def test_a_name_that_only_passes_through_may_embed(edge, fake, lent, key):
    answer = await embed(edge, key, "x", model="gemini-embedding-9")
    assert answer.status == 404
    assert fake.calls("embed")[0].path.endswith("gemini-embedding-9:batchEmbedContents")


async def test_the_list_says_who_embeds(edge, key):
    answer = await edge.get(f"/v1beta/models/{MODEL}", key=key.text)
    assert answer.json["supportedGenerationMethods"] == [
        "embedContent",
        "batchEmbedContents",
        "countTokens",
    ]
