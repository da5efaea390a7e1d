"""The official `anthropic` SDK, unmodified, on both databases and both upstreams."""

from __future__ import annotations

import anthropic
import pydantic
import pytest

from tests.e2e.dialects import MODEL, both_upstreams, only_sqlite
from tests.e2e.media import PNG_BASE64
from tests.e2e.processes import eventually
from tests.fakes.google_signatures import STAND_INS

THIRD_GENERATION = "gemini-3-flash-preview"
HELLO = {"role": "user", "content": "hello"}
ASK = {"model": MODEL, "max_tokens": 1000, "messages": [HELLO]}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
FORCED = ASK | {"tools": [WEATHER], "tool_choice": {"type": "any"}}
THINKING = {"type": "enabled", "budget_tokens": 1024}
CITIES = [{"name": "get_weather", "args": {"city": city}} for city in ("Zürich", "東京")]


class Reply(pydantic.BaseModel):
    answer: str
    score: int


@pytest.fixture
def claude(gateway, monkeypatch):
    """It repeats nothing, so that a test sees what the gateway answered."""
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    with anthropic.Anthropic(
        base_url=gateway.url, api_key=gateway.key(), max_retries=0, timeout=30
    ) as client:
        yield client


@pytest.fixture
async def async_claude(gateway, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    async with anthropic.AsyncAnthropic(
        base_url=gateway.url, api_key=gateway.key(), max_retries=0, timeout=30
    ) as client:
        yield client


def sent(google):
    body = google.calls("generate")[-1].body
    return body.get("request", body)


def parts_sent(google):
    return [part for content in sent(google)["contents"] for part in content["parts"]]


def final(claude, **asked):
    """What the SDK's own helper puts together of a stream."""
    with claude.messages.stream(**asked) as stream:
        return stream.get_final_message()


in_both_ways = pytest.mark.parametrize("hear", [lambda c, **a: c.messages.create(**a), final])


@both_upstreams
def test_an_answer(gateway, claude, provider):
    gateway.lend(provider)
    answer = claude.messages.create(**ASK)
    assert [(block.type, block.text) for block in answer.content] == [("text", "You said: hello")]
    assert (answer.stop_reason, answer.model, answer.role) == ("end_turn", MODEL, "assistant")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert answer._request_id.startswith("req_")
    assert gateway.balance(claude.api_key)["used"] == 2


@both_upstreams
def test_a_stream(gateway, claude, provider):
    gateway.lend(provider)
    events = list(claude.messages.create(**ASK, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert events[-2].delta.stop_reason == "end_turn"
    assert events[-2].usage.input_tokens > 0


@both_upstreams
async def test_the_asynchronous_client_and_its_helper(gateway, async_claude, provider):
    gateway.lend(provider)
    answer = await async_claude.messages.create(**ASK)
    async with async_claude.messages.stream(**ASK) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()
    assert text == answer.content[0].text == message.content[0].text == "You said: hello"
    assert message.usage.output_tokens == answer.usage.output_tokens
    assert message.stop_reason == "end_turn"


@both_upstreams
def test_several_turns_and_a_system_prompt(gateway, claude, google, provider):
    gateway.lend(provider)
    first = claude.messages.create(**ASK, system="Be brief.")
    history = [HELLO, {"role": "assistant", "content": first.content}, HELLO]
    claude.messages.create(**ASK | {"messages": history}, system=[{"type": "text", "text": "A"}])
    assert [content["role"] for content in sent(google)["contents"]] == ["user", "model", "user"]
    assert {"text": "You said: hello"} in parts_sent(google)
    assert sent(google)["systemInstruction"]["parts"] == [{"text": "A"}]


@both_upstreams
def test_pictures_and_documents(gateway, claude, google, image_hosts, provider):
    gateway.lend(provider)
    png = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
    url = {"type": "url", "url": f"http://{image_hosts[0]}/picture"}
    content = [
        {"type": "image", "source": png},
        {"type": "image", "source": url},
        {"type": "document", "source": pdf, "title": "Report"},
        {"type": "text", "text": "What is this?"},
    ]
    answer = claude.messages.create(**ASK | {"messages": [{"role": "user", "content": content}]})
    assert "What is this?" in answer.content[0].text
    blobs = [part["inlineData"] for part in parts_sent(google) if "inlineData" in part]
    picture = {"mimeType": "image/png", "data": PNG_BASE64}
    assert blobs == [picture, picture, {"mimeType": "application/pdf", "data": pdf["data"]}]


@in_both_ways
@both_upstreams
def test_parallel_calls_and_their_results(gateway, claude, google, provider, hear):
    gateway.lend(provider)
    google.script("parallel_calls", calls=CITIES, spread=True, times=1)
    message = hear(claude, **FORCED)
    assert message.stop_reason == "tool_use"
    assert [(block.type, block.name) for block in message.content] == [
        ("tool_use", "get_weather")
    ] * 2
    assert [block.input["city"] for block in message.content] == ["Zürich", "東京"]
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": block.input["city"]}
        for block in reversed(message.content)
    ]
    history = [
        HELLO,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [{"type": "text", "text": "Here."}, *results]},
    ]
    end = hear(claude, **ASK | {"messages": history, "tools": [WEATHER]})
    assert end.stop_reason == "end_turn"
    answers = [p["functionResponse"] for p in parts_sent(google) if "functionResponse" in p]
    assert [answer["response"]["result"] for answer in answers] == ["Zürich", "東京"]


@only_sqlite
def test_only_one_call_where_parallel_ones_are_forbidden(gateway, claude, google):
    gateway.lend("gemini_api")
    google.script("parallel_calls", calls=CITIES)
    choice = {"type": "any", "disable_parallel_tool_use": True}
    [block] = claude.messages.create(**FORCED | {"tool_choice": choice}).content
    assert block.input == {"city": "Zürich"}


@in_both_ways
@both_upstreams
def test_thoughts_and_their_signature_make_the_round_trip(gateway, claude, google, provider, hear):
    """The upstream refuses a call whose signature is lost; two steps of one turn, then another turn."""
    gateway.lend(provider)
    google.script("tool_call", calls=CITIES[:1], thoughts="I need the weather.", times=2)
    asked = ASK | {"model": THIRD_GENERATION, "tools": [WEATHER], "thinking": THINKING}
    history = [HELLO]
    for _ in range(2):
        message = hear(claude, **asked | {"messages": history})
        thought, call = message.content
        assert (thought.type, thought.thinking) == ("thinking", "I need the weather.")
        assert thought.signature
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sun"}
        history += [
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [result]},
        ]
    end = hear(claude, **asked | {"messages": history})
    signed = [part for part in parts_sent(google) if "functionCall" in part]
    issued = {issued.signature for issued in google.signatures.issued.values()}
    assert len(signed) == 2
    assert {part["thoughtSignature"] for part in signed} <= issued - set(STAND_INS)
    history += [{"role": "assistant", "content": end.content}, HELLO]
    assert hear(claude, **asked | {"messages": history}).content[-1].text == "You said: hello"
    config = sent(google)["generationConfig"]
    assert config["thinkingConfig"] == {"includeThoughts": True, "thinkingLevel": "low"}
    assert config["maxOutputTokens"] == 2024


@both_upstreams
def test_no_thoughts_are_shown_unasked(gateway, claude, google, provider):
    gateway.lend(provider)
    [block] = claude.messages.create(**ASK | {"model": THIRD_GENERATION}).content
    assert block.type == "text"
    assert sent(google)["generationConfig"]["thinkingConfig"]["includeThoughts"] is False


@both_upstreams
def test_structured_output(gateway, claude, google, provider):
    gateway.lend(provider)
    google.script("json", json={"answer": "yes", "score": 7})
    message = claude.messages.parse(**ASK, output_format=Reply)
    assert message.parsed_output == Reply(answer="yes", score=7)


@in_both_ways
@only_sqlite
def test_cached_and_thinking_tokens_are_told(gateway, claude, google, hear):
    gateway.lend("gemini_api")
    google.script("text", cached_tokens=1, thoughts_tokens=7)
    usage = hear(claude, **ASK).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (1, 1)
    assert usage.output_tokens > usage.output_tokens_details.thinking_tokens == 7


@in_both_ways
@only_sqlite
def test_citations(gateway, claude, google, hear):
    gateway.lend("gemini_api")
    google.script("grounding")
    search = {"type": "web_search_20250305", "name": "web_search"}
    block, searched, found = hear(claude, **ASK, tools=[search]).content
    hits = [(hit.title, hit.url) for hit in found.content]
    assert searched.input == {"query": "hello"}
    assert hits == [(cited.title, cited.url) for cited in block.citations]
    assert [(cited.title, cited.cited_text.strip()) for cited in block.citations] == [
        ("zuerich.example", "Zürich liegt am See 🏔️."),
        ("tokyo.example", "東京は日本の首都です。"),
    ]


@in_both_ways
@only_sqlite
@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("max_tokens", "max_tokens"),
        ("blocked_prompt", "refusal"),
        ("max_tokens_empty", "max_tokens"),
    ],
)
def test_other_ends(gateway, claude, google, hear, scenario, reason):
    gateway.lend("gemini_api")
    google.script(scenario)
    assert hear(claude, **ASK).stop_reason == reason


@both_upstreams
def test_counting_tokens_is_free(gateway, claude, google, provider):
    gateway.lend(provider)
    asked = {"model": MODEL, "messages": [HELLO], "system": "Be brief.", "tools": [WEATHER]}
    counted = claude.messages.count_tokens(**asked).input_tokens
    assert counted > (10 if provider == "gemini_api" else 0)
    assert len(google.calls("count")) == 1
    assert gateway.balance(claude.api_key)["used"] == 0


def test_the_models_are_listed_and_found(gateway, claude):
    names = [model.id for model in claude.models.list(limit=2)]
    assert len(names) == len(set(names)) > 2
    assert MODEL in names
    found = claude.models.retrieve(MODEL)
    assert (found.id, found.lifecycle, found.type) == (MODEL, "active", "model")
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("no-such-model")


@only_sqlite
def test_the_beta_half_of_the_sdk_and_its_token(gateway):
    gateway.lend("gemini_api")
    with anthropic.Anthropic(base_url=gateway.url, auth_token=gateway.key()) as client:
        answer = client.beta.messages.create(**ASK, betas=["some-beta-2025-01-01"])
    assert answer.content[0].text == "You said: hello"


@only_sqlite
def test_a_name_of_anthropics_own_is_served(gateway, claude):
    gateway.lend("gemini_api")
    answer = claude.messages.create(**ASK | {"model": "claude-sonnet-9-9"})
    assert answer.model == "claude-sonnet-9-9"
    assert answer.content[0].text == "You said: hello"


@only_sqlite
class TestErrorsAreTheSdksOwn:
    """Each status as the exception class that the SDK's users catch, whether a stream was asked for or not."""

    def refused(self, claude, kind, **asked):
        for stream in (False, True):
            with pytest.raises(kind) as caught:
                claude.messages.create(**ASK | asked, stream=stream)
            error = caught.value
            assert error.request_id.startswith("req_")
            assert error.request_id in error.message
        return error

    def test_400(self, claude):
        error = self.refused(claude, anthropic.BadRequestError, messages=[])
        assert error.type == "invalid_request_error"
        assert "messages" in error.message

    def test_401(self, claude):
        wrong = claude.with_options(api_key="sk-" + "a" * 48)
        assert self.refused(wrong, anthropic.AuthenticationError).type == "authentication_error"

    def test_403_for_a_model_the_key_does_not_cover(self, gateway, claude):
        narrow = claude.with_options(api_key=gateway.key(10, allowed_models=["*pro*"]))
        assert self.refused(narrow, anthropic.PermissionDeniedError).type == "permission_error"

    def test_404_for_an_unknown_model(self, claude):
        error = self.refused(claude, anthropic.NotFoundError, model="no-such-model")
        assert error.type == "not_found_error"

    def test_413(self, claude):
        long = [{"role": "user", "content": "x" * 3 * 1024 * 1024}]
        error = self.refused(claude, anthropic.RequestTooLargeError, messages=long)
        assert error.type == "request_too_large"

    def test_429_for_an_exhausted_quota(self, gateway, claude):
        gateway.lend("gemini_api")
        poor = claude.with_options(api_key=gateway.key(1), max_retries=2)
        assert self.refused(poor, anthropic.RateLimitError).type == "rate_limit_error"

    def test_429_when_every_credential_rests(self, gateway, claude, google):
        gateway.lend("gemini_api")
        google.script("error", error="quota_minute")
        with pytest.raises(anthropic.RateLimitError) as caught:
            claude.messages.create(**ASK)
        assert int(caught.value.response.headers["retry-after"]) > 0

    def test_503_when_nobody_has_lent_a_credential(self, gateway, claude):
        gateway.lend()
        error = self.refused(claude, anthropic.InternalServerError)
        assert (error.status_code, error.type) == (503, "overloaded_error")

    @pytest.mark.parametrize(
        ("error", "kind", "name"),
        [
            ("server", anthropic.InternalServerError, "api_error"),
            ("overload", anthropic.OverloadedError, "overloaded_error"),
            ("deadline", anthropic.DeadlineExceededError, "timeout_error"),
        ],
    )
    def test_an_upstream_that_stays_broken(self, gateway, claude, google, error, kind, name):
        gateway.lend("gemini_api")
        google.script("error", error=error)
        assert self.refused(claude, kind).type == name
        assert gateway.balance(claude.api_key)["used"] == 0

    def test_an_error_inside_a_stream(self, gateway, claude, google):
        gateway.lend("gemini_api")
        google.script("error_middle", text="one two three four", count=4)
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(claude.messages.create(**ASK, stream=True))
        assert caught.value.type in ("api_error", "overloaded_error")


@only_sqlite
def test_the_sdk_waits_through_pings(gateway, claude, google):
    gateway.lend("gemini_api")
    google.script("silence_mid", silence_s=1)
    assert final(claude, **ASK).stop_reason == "end_turn"


@both_upstreams
def test_a_client_that_leaves_takes_the_upstream_with_it(gateway, claude, google, provider):
    gateway.lend(provider)
    google.script("slow", count=200, text="word " * 200, interval_s=0.05)
    with claude.messages.stream(**ASK) as stream:
        next(iter(stream.text_stream))
    eventually(lambda: google.calls("generate")[-1].disconnected, "the upstream was left")
    gateway.settled()
    assert gateway.balance(claude.api_key)["reserved"] == 0
