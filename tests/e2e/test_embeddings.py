"""Embeddings through the SDKs of OpenAI and Google."""

from __future__ import annotations

import math

import openai
import pytest
from google.genai import types

from tests.e2e.dialects import MODEL as CHAT_MODEL

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

MODEL = "gemini-embedding-001"


def test_the_sdk_reads_the_base64_it_asks_for(gateway, chat, google):
    gateway.lend("gemini_api")
    answer = chat.embeddings.create(model=MODEL, input=["hello", "world"], dimensions=256)
    assert [item.index for item in answer.data] == [0, 1]
    for item in answer.data:
        assert len(item.embedding) == 256
        assert math.isclose(math.hypot(*item.embedding), 1, rel_tol=1e-6)
    plain = chat.embeddings.create(
        model=MODEL, input="hello", dimensions=256, encoding_format="float"
    )
    assert answer.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6)
    assert plain.usage.prompt_tokens == 2
    assert gateway.balance(chat.api_key)["used"] == 2


def test_a_long_list_is_one_answer(gateway, chat, google):
    gateway.lend("gemini_api", "gemini_api")
    answer = chat.embeddings.create(model=MODEL, input=["hello"] * 201, dimensions=4)
    assert len(answer.data) == 201
    assert len(google.calls("embed")) == 3
    assert gateway.balance(chat.api_key)["used"] == 3


def test_mistakes_are_the_sdks_own_exceptions(gateway, chat):
    gateway.lend("gemini_api")
    with pytest.raises(openai.BadRequestError, match="token numbers"):
        chat.embeddings.create(model=MODEL, input=[[1, 2, 3]])
    with pytest.raises(openai.BadRequestError, match="makes no embeddings"):
        chat.embeddings.create(model=CHAT_MODEL, input="hello")
    assert gateway.balance(chat.api_key)["used"] == 0


async def test_googles_sdk(gateway, gemini, google):
    gateway.lend("gemini_api")
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=8)
    answer = await gemini.aio.models.embed_content(
        model=MODEL, contents=["hello", "world"], config=config
    )
    assert [len(one.values) for one in answer.embeddings] == [8, 8]
    [call] = google.calls("embed")
    assert {request["taskType"] for request in call.body["requests"]} == {"RETRIEVAL_QUERY"}
    alone = await gemini.aio.models.embed_content(model="gemini-embedding-2", contents="hello")
    assert len(alone.embeddings[0].values) == 3072
