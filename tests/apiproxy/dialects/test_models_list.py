import pytest
from anthropic.types import ModelInfo

from apiproxy.dialects.models_list import (
    anthropic_model,
    anthropic_models,
    gemini_model,
    gemini_models,
    openai_model,
    openai_models,
)
from apiproxy.wire.types import Model, Thinking
from gateway.lib.errors import InvalidRequest

CHAT = Model(
    id="gemini-2.5-pro",
    providers=("gemini_api",),
    display_name="Gemini 2.5 Pro",
    thinking=Thinking(control="budget"),
    created=1_750_000_000,
)
ECHO = Model(id="sandbox-echo", providers=("sandbox",))
MANY = [Model(id=f"m{number}", providers=("gemini_api",)) for number in range(120)]


def test_the_openai_list():
    listed = openai_models([CHAT, ECHO])
    assert listed["object"] == "list"
    assert (
        listed["data"][0].items()
        >= {
            "id": "gemini-2.5-pro",
            "object": "model",
            "created": 1_750_000_000,
            "owned_by": "google",
        }.items()
    )
    assert openai_model(ECHO)["owned_by"] == "sandbox"


def test_the_gemini_entry():
    assert gemini_model(CHAT) == {
        "name": "models/gemini-2.5-pro",
        "baseModelId": "gemini-2.5-pro",
        "version": "001",
        "displayName": "Gemini 2.5 Pro",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }


def test_a_model_that_does_not_think_or_chat():
    entry = gemini_model(Model(id="e", providers=("gemini_api",), capabilities=frozenset()))
    assert entry["supportedGenerationMethods"] == []
    assert "thinking" not in entry


@pytest.mark.parametrize(("size", "pages"), [("", 3), ("0", 3), ("40", 3), ("120", 1), ("9999", 1)])
def test_pages_cover_the_list_once(size, pages):
    names, token, seen = [], "", 0
    while True:
        page = gemini_models(MANY, size, token)
        names += [entry["name"] for entry in page["models"]]
        seen += 1
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert names == [f"models/m{number}" for number in range(120)]
    assert seen == pages


@pytest.mark.parametrize("size", ["x", "-1", "1.5", "٣", "9" * 30])
def test_a_bad_page_size_is_named(size):
    with pytest.raises(InvalidRequest) as caught:
        gemini_models(MANY, size)
    assert caught.value.param == "pageSize"


def test_an_unknown_token_is_named():
    with pytest.raises(InvalidRequest) as caught:
        gemini_models(MANY, "", "models/gone")
    assert caught.value.param == "pageToken"


def test_the_anthropic_entry():
    entry = anthropic_model(CHAT)
    assert (
        entry.items()
        >= {
            "type": "model",
            "id": "gemini-2.5-pro",
            "display_name": "Gemini 2.5 Pro",
            "created_at": "2025-06-15T15:06:40Z",
            "max_tokens": 65_536,
        }.items()
    )
    assert ModelInfo.model_validate(entry).created_at.year == 2025


def test_anthropic_pages_lead_through_the_list_both_ways():
    first = anthropic_models(MANY, {})
    assert [entry["id"] for entry in first["data"]] == [f"m{number}" for number in range(20)]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, "m0", "m19")
    last = anthropic_models(MANY, {"limit": "100", "after_id": "m19"})
    assert (len(last["data"]), last["has_more"], last["last_id"]) == (100, False, "m119")
    before = anthropic_models(MANY, {"limit": "2", "before_id": "m2"})
    assert ([entry["id"] for entry in before["data"]], before["has_more"]) == (["m0", "m1"], False)
    assert anthropic_models(MANY, {"limit": "2", "before_id": "m3"})["has_more"]


def test_anthropic_lists_what_can_be_talked_to():
    mute = Model(id="e", providers=("gemini_api",), capabilities=frozenset({"embedding"}))
    page = anthropic_models([mute], {})
    assert page == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    "query", [{"limit": "x"}, {"limit": "-1"}, {"after_id": "gone"}, {"before_id": "gone"}]
)
def test_a_bad_anthropic_page_is_named(query):
    with pytest.raises(InvalidRequest) as caught:
        anthropic_models(MANY, query)
    assert caught.value.param == next(iter(query))
