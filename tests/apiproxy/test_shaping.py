from __future__ import annotations

import copy
import json

import msgspec
import pytest

from apiproxy.dialects import DIALECTS
from apiproxy.providers import PROVIDERS
from apiproxy.shaping import Site, features, safety_settings, shape
from apiproxy.wire.types import Variant
from tests.apiproxy.dialects.support import HEAD, MODELS, chat
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, drive
from tests.fakes.google_generate import parse_code_assist, parse_public

TALK = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SITE = Site(attempts=3)


def shaped(
    body,
    *,
    model="gemini-2.5-flash",
    site=SITE,
    dialect="openai-chat",
    stream=False,
    **variant,
):
    """The call of a request whose model name says `variant`."""
    named = msgspec.structs.replace(MODELS[model], variant=Variant(**variant))
    head = msgspec.structs.replace(
        HEAD, path_method="streamGenerateContent" if stream else "generateContent"
    )
    if dialect == "openai-chat":
        body = {**body, "stream": stream}
    call = DIALECTS[dialect].parse(copy.deepcopy(body), head, lambda name: named)
    shape(call, site)
    return call


def native(config=None, **fields):
    return {
        **copy.deepcopy(TALK),
        **({} if config is None else {"generationConfig": config}),
        **fields,
    }


def thinking(call):
    return call.body["generationConfig"]["thinkingConfig"]


@pytest.mark.parametrize(
    ("word", "pro", "flash", "lite"),
    [
        ("max", 32768, 24576, 24576),
        ("maxthinking", 32768, 24576, 24576),
        ("high", 16000, 16000, 16000),
        ("medium", 8192, 8192, 8192),
        ("low", 1024, 1024, 1024),
        ("minimal", 128, 0, 0),
        ("nothinking", 128, 0, 0),
        ("auto", -1, -1, -1),
    ],
)
def test_the_second_generation_thinks_by_budget(word, pro, flash, lite):
    models = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite")
    for model, budget in zip(models, (pro, flash, lite), strict=True):
        config = thinking(shaped(chat(), model=model, thinking=word))
        shown = budget != 0 and word != "nothinking"
        assert config == {"thinkingBudget": budget, "includeThoughts": shown}


@pytest.mark.parametrize(
    ("word", "flash", "pro"),
    [
        ("max", "high", "high"),
        ("maxthinking", "high", "high"),
        ("high", "high", "high"),
        ("medium", "medium", "medium"),
        ("low", "low", "low"),
        ("minimal", "minimal", "low"),
        ("nothinking", "minimal", "low"),
    ],
)
def test_the_third_generation_thinks_by_level(word, flash, pro):
    for model, level in (("gemini-3-flash-preview", flash), ("gemini-3.1-pro-preview", pro)):
        config = thinking(shaped(chat(), model=model, thinking=word))
        assert config == {"thinkingLevel": level, "includeThoughts": word != "nothinking"}


def test_a_number_is_kept_within_what_the_model_takes():
    budget = {"thinking": "budget", "thinking_budget": 100_000}
    assert thinking(shaped(chat(), **budget))["thinkingBudget"] == 24576
    level = {"thinking": "budget", "thinking_budget": 5000}
    config = thinking(shaped(chat(), model="gemini-3-flash-preview", **level))
    assert config == {"thinkingLevel": "medium", "includeThoughts": True}


def test_the_name_wins_over_the_body():
    assert thinking(shaped(chat(reasoning_effort="high"), thinking="low"))["thinkingBudget"] == 1024
    body = native({"thinking_config": {"thinking_budget": 5, "include_thoughts": False}})
    call = shaped(body, dialect="gemini", thinking="low")
    assert call.body["generationConfig"] == {
        "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True}
    }


def test_a_native_request_without_a_config_gets_one():
    assert thinking(shaped(native(), dialect="gemini", thinking="low"))["thinkingBudget"] == 1024
    assert thinking(shaped(native(generationConfig=None), dialect="gemini", thinking="low"))


def test_a_model_that_does_not_think_says_so():
    call = shaped(chat(), model="gemini-2.5-flash-preview-tts", thinking="high")
    assert "thinkingConfig" not in str(call.body)
    assert call.dropped == [
        "model name, high thinking: gemini-2.5-flash-preview-tts does not think"
    ]
    assert features(call) == ()


def test_search_is_added():
    call = shaped(chat(), search=True)
    assert call.body["tools"] == [{"googleSearch": {}}]
    assert features(call) == ("search",)


@pytest.mark.parametrize("spelling", ["googleSearch", "google_search"])
def test_search_is_not_added_twice(spelling):
    call = shaped(native(tools=[{spelling: {}}]), dialect="gemini", search=True)
    assert call.body["tools"] == [{spelling: {}}]


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({"tools": [FUNCTION]}, "gemini-2.5-flash"),
        ({"tools": [FUNCTION]}, "gemini-3-flash-preview"),
        ({"response_format": {"type": "json_object"}}, "gemini-2.5-flash"),
    ],
)
def test_search_gives_way_where_it_cannot_be_combined(fields, model):
    call = shaped(chat(**fields), model=model, search=True)
    assert "googleSearch" not in str(call.body)
    assert "does not combine it" in call.dropped[-1]
    assert features(call) == ()


def test_the_third_generation_searches_in_json_mode():
    body = chat(response_format={"type": "json_object"})
    call = shaped(body, model="gemini-3-flash-preview", search=True)
    assert call.body["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"function_declarations": [{"name": "f"}]}]},
        {
            "generationConfig": {
                "response_json_schema": {},
                "response_mime_type": "application/json",
            }
        },
        {"cached_content": "cachedContents/1"},
    ],
)
def test_search_gives_way_in_native_requests_too(fields):
    call = shaped(native(**fields), dialect="gemini", search=True)
    assert "googleSearch" not in str(call.body)
    assert call.dropped


def test_a_model_that_cannot_search_says_so():
    call = shaped(chat(), model="gemini-2.5-flash-image", search=True)
    assert call.dropped == ["model name, search: gemini-2.5-flash-image cannot search"]


def test_the_size_of_pictures():
    call = shaped(
        chat(image_config={"aspect_ratio": "16:9", "image_size": "1k"}),
        model="gemini-3.1-flash-image",
        image_size="4K",
    )
    assert call.body["generationConfig"]["imageConfig"] == {
        "aspectRatio": "16:9",
        "imageSize": "4K",
    }
    assert features(call) == ("image_4k",)
    body = native({"image_config": {"aspect_ratio": "1:1", "image_size": "1K"}})
    call = shaped(body, dialect="gemini", model="gemini-3.1-flash-image", image_size="2K")
    assert call.body["generationConfig"] == {
        "imageConfig": {"aspect_ratio": "1:1", "imageSize": "2K"}
    }
    assert features(call) == ("image_2k",)


def test_a_model_with_one_size_of_pictures_says_so():
    call = shaped(chat(), model="gemini-2.5-flash-image", image_size="4K")
    assert "imageConfig" not in call.body["generationConfig"]
    assert call.dropped == ["model name, 4K pictures: gemini-2.5-flash-image has one size"]
    assert features(call) == ()


class TestAntiTruncation:
    def test_it_may_take_several_attempts(self):
        call = shaped(chat(), stream=True, anti_truncation=True)
        assert call.attempts == 3
        assert features(call) == ("anti_truncation",)

    def test_it_does_nothing_for_a_whole_answer(self):
        call = shaped(chat(), anti_truncation=True)
        assert (call.attempts, features(call), call.dropped) == (1, (), [])

    def test_it_does_nothing_where_one_attempt_is_all(self):
        call = shaped(chat(), stream=True, anti_truncation=True, site=Site(attempts=1))
        assert features(call) == ()

    def test_what_stands_against_it_is_said(self):
        body = chat(response_format={"type": "json_object"})
        call = shaped(body, stream=True, anti_truncation=True)
        assert (call.attempts, features(call)) == (1, ())
        assert call.dropped == ["anti-truncation: not with JSON mode"]


def test_fake_streaming_counts_for_streams_only():
    assert features(shaped(chat(), stream=True, fake_stream=True)) == ("fake_stream",)
    assert features(shaped(chat(), fake_stream=True)) == ()


def test_what_the_body_asks_for_counts_without_a_word_in_the_name():
    body = native({"image_config": {"image_size": "2K"}}, tools=[{"google_search": {}}])
    assert features(shaped(body, dialect="gemini")) == ("search", "image_2k")
    assert features(shaped(chat())) == ()


def test_all_at_once():
    said = {"fake_stream": True, "anti_truncation": True, "thinking": "high", "search": True}
    call = shaped(chat(), stream=True, **said)
    assert features(call) == ("anti_truncation", "fake_stream", "thinking_high", "search")


class TestSafety:
    SITE = Site(safety_default="OFF")

    def test_it_is_set_where_the_client_set_none(self):
        call = shaped(chat(), site=self.SITE)
        categories = [setting["category"] for setting in call.body["safetySettings"]]
        assert len(set(categories)) == 10
        assert {setting["threshold"] for setting in call.body["safetySettings"]} == {"OFF"}

    @pytest.mark.parametrize("name", ["safetySettings", "safety_settings"])
    def test_the_clients_own_stay(self, name):
        own = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
        call = shaped(native(**{name: own}), dialect="gemini", site=self.SITE)
        assert call.body["safetySettings"] == own

    def test_without_the_setting_nothing_is_sent(self):
        assert "safetySettings" not in shaped(chat()).body

    def test_each_model_gets_the_categories_its_upstreams_take(self):
        count = {model: len(safety_settings(MODELS[model], "OFF")) for model in MODELS}
        assert count["gemini-2.5-flash"] == 10
        assert count["gemini-2.5-flash-lite"] == 5
        assert count["gemini-3-flash-preview"] == 5

    @pytest.mark.parametrize(
        ("provider", "parse_sent", "count"),
        [("gemini_api", parse_public, 5), ("code_assist", parse_code_assist, 10)],
    )
    def test_each_upstream_takes_what_it_is_sent(self, provider, parse_sent, count):
        call = shaped(chat(), site=self.SITE)
        _, outgoing = drive(PROVIDERS[provider].exchange(call, CREDENTIAL, ENDPOINTS))
        body = parse_sent("GenerateContentRequest", json.loads(outgoing.body))
        assert len(body.get("request", body)["safetySettings"]) == count

    def test_models_that_only_speak_get_none(self):
        call = shaped(chat(), model="gemini-2.5-flash-preview-tts", site=self.SITE)
        assert "safetySettings" not in call.body

    def test_counting_tokens_stays_as_it_is(self):
        head = msgspec.structs.replace(HEAD, path_method="countTokens")
        call = DIALECTS["gemini"].parse(native(), head, lambda name: MODELS["gemini-2.5-flash"])
        shape(call, self.SITE)
        assert call.body == TALK


class TestCompatibility:
    SITE = Site(compatibility=True)

    def test_the_system_speaks_as_the_user(self):
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
        body = shaped(chat(messages=messages), site=self.SITE).body
        assert "systemInstruction" not in body
        assert body["contents"] == [
            {"role": "user", "parts": [{"text": "Be kind."}, {"text": "Hi"}]}
        ]

    def test_a_turn_of_its_own_where_the_model_speaks_first(self):
        contents = [{"role": "model", "parts": [{"text": "Yes?"}]}, *TALK["contents"]]
        body = native(system_instruction={"parts": [{"text": "Be kind."}]}, contents=contents)
        assert shaped(body, dialect="gemini", site=self.SITE).body["contents"] == [
            {"role": "user", "parts": [{"text": "Be kind."}]},
            *contents,
        ]

    @pytest.mark.parametrize("system", ["words", {"parts": "words"}, None, 5])
    def test_what_cannot_be_read_is_left_for_the_upstream(self, system):
        body = native(systemInstruction=system)
        assert shaped(body, dialect="gemini", site=self.SITE).body == body


@pytest.mark.parametrize(
    "body",
    [
        native({"imageConfig": "large", "responseModalities": "IMAGE"}),
        native({"image_config": ["large"]}),
        native(tools="all"),
        native(tools={"googleSearch": {}}),
        native(tools=["googleSearch", None]),
        native(safetySettings="none", systemInstruction=[1]),
        native(contents=[{"role": "user", "parts": "x"}], systemInstruction={"parts": [{}]}),
        native({"responseMimeType": 5, "candidateCount": "many", "stopSequences": 3}),
    ],
)
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.1-flash-image"])
def test_no_shape_of_a_native_request_breaks_it(body, model):
    said = {"fake_stream": True, "anti_truncation": True, "thinking": "high", "search": True}
    site = Site("OFF", compatibility=True, attempts=3)
    call = shaped(
        body, model=model, dialect="gemini", site=site, stream=True, image_size="2K", **said
    )
    assert features(call)


def test_room_for_what_the_name_makes_it_think():
    """Anthropic's limit is one of the answer alone; upstream the thoughts count against it."""
    body = {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}]}
    call = shaped(body, dialect="anthropic-messages", thinking="high")
    assert call.body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 16000
    assert call.body["generationConfig"]["maxOutputTokens"] == 17000
