"""The official `openai` SDK, unmodified, on both databases and both upstreams."""

from __future__ import annotations

import openai
import pytest

from tests.e2e.dialects import MODEL, both_upstreams, only_sqlite

HELLO = [{"role": "user", "content": "hello"}]


@both_upstreams
def test_an_answer(gateway, chat, provider):
    gateway.lend(provider)
    answer = chat.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "You said: hello"
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert gateway.balance(chat.api_key) == {
        "total": 1000,
        "used": 2,
        "reserved": 0,
        "remaining": 998,
    }


@both_upstreams
def test_a_stream(gateway, chat, provider):
    gateway.lend(provider)
    chunks = list(chat.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "You said: hello"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.usage is None for chunk in chunks)
    assert gateway.balance(chat.api_key)["used"] == 2


@both_upstreams
async def test_the_asynchronous_client(gateway, async_chat, provider):
    gateway.lend(provider)
    answer = await async_chat.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "You said: hello"
    stream = await async_chat.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(texts) == "You said: hello"


def test_include_usage_adds_one_last_chunk(gateway, chat):
    gateway.lend("gemini_api")
    chunks = list(
        chat.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_cached_and_reasoning_tokens_are_told(gateway, chat, google):
    gateway.lend("gemini_api")
    google.script("text", cached_tokens=1, thoughts_tokens=7)
    usage = chat.chat.completions.create(model=MODEL, messages=HELLO).usage
    assert usage.prompt_tokens_details.cached_tokens == 1
    assert usage.completion_tokens_details.reasoning_tokens >= 7


@both_upstreams
def test_reasoning_is_a_field_of_its_own(gateway, chat, google, provider):
    gateway.lend(provider)
    ask = {"model": MODEL, "messages": HELLO, "reasoning_effort": "high"}
    message = chat.chat.completions.create(**ask).choices[0].message
    assert "Considering" in message.reasoning_content
    assert message.content == "You said: hello"
    deltas = [c.choices[0].delta for c in chat.chat.completions.create(**ask, stream=True)]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == message.reasoning_content
    config = google.calls()[-1].body
    config = config.get("request", config)["generationConfig"]
    assert config["thinkingConfig"]["includeThoughts"] is True


def test_several_choices(gateway, chat):
    gateway.lend("gemini_api")
    answer = chat.chat.completions.create(model=MODEL, messages=HELLO, n=2, reasoning_effort="none")
    assert [choice.index for choice in answer.choices] == [0, 1]
    texts = ["", ""]
    for chunk in chat.chat.completions.create(
        model=MODEL, messages=HELLO, n=2, reasoning_effort="none", stream=True
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in answer.choices]


def test_sampling_settings_arrive(gateway, chat, google):
    gateway.lend("gemini_api")
    chat.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "Be brief."}, *HELLO],
        stop=["END", "STOP"],
        temperature=0.5,
        top_p=0.9,
        max_tokens=50,
        seed=7,
    )
    body = google.calls()[-1].body
    config = body["generationConfig"]
    assert config["stopSequences"] == ["END", "STOP"]
    assert (config["temperature"], config["topP"], config["seed"]) == (0.5, 0.9, 7)
    assert config["maxOutputTokens"] == 50
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]


def test_the_models_are_listed_and_found(gateway, chat):
    names = [model.id for model in chat.models.list()]
    assert MODEL in names
    assert "sandbox-echo" in names
    assert chat.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        chat.models.retrieve("no-such-model")


def test_a_gemini_body_is_answered_in_geminis_shape(gateway, http):
    gateway.lend("gemini_api")
    body = {"model": MODEL, "contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    headers = {"authorization": f"Bearer {gateway.key()}"}
    answer = http.post("/v1/chat/completions", json=body, headers=headers).json()
    assert answer["candidates"][0]["content"]["parts"][-1]["text"] == "You said: hello"


class TestErrorsAreTheSdksOwn:
    """Each status as the exception class that the SDK's users catch."""

    def test_400_names_the_field(self, chat):
        with pytest.raises(openai.BadRequestError) as caught:
            chat.chat.completions.create(model=MODEL, messages=[])
        assert caught.value.param == "messages"
        assert caught.value.request_id in caught.value.message

    def test_401(self, chat):
        wrong = chat.with_options(api_key="sk-" + "a" * 48)
        with pytest.raises(openai.AuthenticationError) as caught:
            wrong.chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.code == "invalid_api_key"

    def test_403_for_a_model_the_key_does_not_cover(self, gateway, chat):
        gateway.lend("gemini_api")
        narrow = chat.with_options(api_key=gateway.key(10, allowed_models=["*pro*"]))
        with pytest.raises(openai.PermissionDeniedError):
            narrow.chat.completions.create(model=MODEL, messages=HELLO)

    def test_404_for_an_unknown_model(self, chat):
        with pytest.raises(openai.NotFoundError) as caught:
            chat.chat.completions.create(model="gpt-unknown", messages=HELLO)
        assert caught.value.code == "model_not_found"

    def test_429_for_an_exhausted_quota(self, gateway, chat):
        gateway.lend("gemini_api")
        poor = chat.with_options(api_key=gateway.key(3), max_retries=2)
        poor.chat.completions.create(model=MODEL, messages=HELLO)
        with pytest.raises(openai.RateLimitError) as caught:
            poor.chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.code == "insufficient_quota"
        assert gateway.balance(poor.api_key)["remaining"] == 1

    def test_429_when_every_credential_rests(self, gateway, chat, google):
        gateway.lend("gemini_api", "gemini_api")
        google.script("error", error="quota_minute")
        with pytest.raises(openai.RateLimitError) as caught:
            chat.chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) > 0

    def test_413(self, chat):
        with pytest.raises(openai.APIStatusError) as caught:
            chat.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "x" * 3 * 1024 * 1024}]
            )
        assert caught.value.status_code == 413

    def test_503_when_nobody_has_lent_a_credential(self, gateway, chat):
        gateway.lend()
        with pytest.raises(openai.InternalServerError) as caught:
            chat.chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.status_code == 503
        assert caught.value.code == "no_credential_available"

    @pytest.mark.parametrize(
        ("error", "status"), [("server", 502), ("overload", 503), ("deadline", 504)]
    )
    def test_an_upstream_that_stays_broken(self, gateway, chat, google, error, status):
        [lent] = gateway.lend("gemini_api")
        google.script("error", error=error)
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as caught:
                list(chat.chat.completions.create(model=MODEL, messages=HELLO, stream=stream))
            assert caught.value.status_code == status
        assert gateway.hand("states", ids=[lent.id])[0]["state"] == "active"
        assert gateway.balance(chat.api_key)["used"] == 0

    def test_an_error_inside_a_stream(self, gateway, chat, google):
        gateway.lend("gemini_api")
        google.script("error_middle", text="one two three four", count=4)
        with pytest.raises(openai.APIError) as caught:
            list(chat.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
        assert caught.value.type == "server_error"


@only_sqlite
def test_the_sdk_repeats_what_is_worth_repeating(gateway, chat, google):
    """A 5xx is repeated by the SDK itself; here the second call is answered."""
    gateway.lend("gemini_api")
    google.script("error", error="server", times=3)
    patient = chat.with_options(max_retries=1)
    answer = patient.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "You said: hello"
    assert len(google.calls()) == 4
