import msgspec
import pytest

from gateway.lib.errors import InvalidRequest
from tests.apiproxy.dialects.support import HEAD, parse

CONTENT = {"parts": [{"text": "x"}]}


def embed(body, method):
    head = msgspec.structs.replace(HEAD, path_model="gemini-embedding-001", path_method=method)
    return parse(body, "gemini", head)


@pytest.mark.parametrize(
    ("method", "body", "param"),
    [
        ("embedContent", {}, "content"),
        ("embedContent", {"content": "x"}, "content"),
        ("embedContent", {"content": {}}, "content.parts"),
        ("embedContent", {"content": {"parts": ["x"]}}, "content.parts[0]"),
        ("embedContent", {"content": CONTENT, "requests": []}, "requests"),
        ("batchEmbedContents", {}, "requests"),
        ("batchEmbedContents", {"requests": []}, "requests"),
        ("batchEmbedContents", {"requests": [{"content": CONTENT}] * 101}, "requests"),
        ("batchEmbedContents", {"requests": ["x"]}, "requests[0]"),
        (
            "batchEmbedContents",
            {"requests": [{"content": CONTENT}, {"content": None}]},
            "requests[1].content",
        ),
    ],
)
def test_a_malformed_body_names_its_field(method, body, param):
    with pytest.raises(InvalidRequest) as caught:
        embed(body, method)
    assert caught.value.param == param


def test_a_single_part_stands_for_a_list_of_one():
    single = {"content": {"parts": {"text": "x"}}}
    assert embed(single, "embedContent").body == {"content": CONTENT}


def test_what_is_not_looked_at_stays():
    body = {"content": CONTENT, "taskType": "CLUSTERING", "later": {"x": 1}}
    assert embed(body, "embedContent").body == body
