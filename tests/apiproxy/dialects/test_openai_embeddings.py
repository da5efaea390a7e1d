import base64
import struct

import pytest

from apiproxy.dialects import openai_embeddings
from apiproxy.dialects.embeddings import input_tokens
from gateway.lib.errors import InvalidRequest, UpstreamFailed
from tests.apiproxy.dialects.support import parse

MODEL = "gemini-embedding-001"


def embed(**fields):
    return parse({"model": MODEL, "input": "x", **fields}, "openai-embeddings")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": [True]}, "input[0]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "3"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": 1}, "encoding_format"),
        ({"input_type": "guess"}, "input_type"),
        ({"task_type": ["query"]}, "task_type"),
        ({"stream": True}, "stream"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_malformed_body_names_its_field(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        embed(**fields)
    assert caught.value.param == param


def test_token_numbers_are_explained():
    with pytest.raises(InvalidRequest, match="check_embedding_ctx_length=False"):
        embed(input=[[1, 2, 3]])


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"embeddings": []},
        {"embeddings": None},
        {"embeddings": [{"values": [1.0]}] * 2},
        {"embeddings": [{}]},
        {"embeddings": [{"values": None}]},
        {"embeddings": [{"values": ["a"]}]},
        {"embeddings": [None]},
    ],
)
def test_an_answer_that_does_not_fit_is_the_upstreams_failure(reply):
    with pytest.raises(UpstreamFailed):
        openai_embeddings.render(embed(), [reply])


def test_a_number_too_large_for_float32_is_the_upstreams_failure():
    large = {"embeddings": [{"values": [10**400, 0]}]}
    with pytest.raises(UpstreamFailed):
        openai_embeddings.render(embed(encoding_format="base64"), [large])


def test_base64_is_little_endian_float32():
    answer = openai_embeddings.render(
        embed(encoding_format="base64"), [{"embeddings": [{"values": [0.6, -0.8]}]}]
    )
    text = answer.partition(b'"embedding":"')[2].partition(b'"')[0]
    assert struct.unpack("<2f", base64.b64decode(text)) == pytest.approx((0.6, -0.8))


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"content": {"parts": [{"text": "x" * 9}]}}, 3),
        ({"content": {"parts": [{"text": ""}]}}, 1),
        ({"content": {"parts": [{"inlineData": {"data": "A" * 10_000}}]}}, 258),
        ({"requests": [{"content": {"parts": [{"text": "東京"}, {"text": "a"}]}}] * 2}, 6),
        ({"requests": "none"}, 0),
        ({"requests": [None, {"content": None}, {"content": {"parts": [1]}}]}, 0),
        ({}, 0),
    ],
)
def test_tokens_are_estimated(body, tokens):
    assert input_tokens(body) == tokens
