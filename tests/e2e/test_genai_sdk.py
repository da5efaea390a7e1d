"""The official `google-genai` SDK, unmodified, on both databases and both upstreams."""

from __future__ import annotations

import json

import pydantic
import pytest
from google import genai
from google.genai import errors, types

from tests.e2e.dialects import MODEL, both_upstreams, only_sqlite
from tests.e2e.media import PNG, PNG_BASE64
from tests.fakes.google_signatures import STAND_INS

# The SDK's own affair: what its asynchronous client does with aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

THIRD_GENERATION = "gemini-3-flash-preview"
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="The weather of a city",
            parameters=types.Schema(
                type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]
            ),
        )
    ]
)
FORCED = types.GenerateContentConfig(
    tools=[WEATHER],
    tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


class Reply(pydantic.BaseModel):
    answer: str
    score: int


def parts_sent(google):
    body = google.calls()[-1].body
    contents = body.get("request", body)["contents"]
    return [part for content in contents for part in content["parts"]]


@both_upstreams
def test_an_answer(gateway, gemini, provider):
    gateway.lend(provider)
    answer = gemini.models.generate_content(model=MODEL, contents="hello")
    assert answer.text == "You said: hello"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count > 0
    assert answer.model_version == MODEL


@both_upstreams
def test_a_stream(gateway, gemini, provider):
    gateway.lend(provider)
    chunks = list(gemini.models.generate_content_stream(model=MODEL, contents="hello"))
    assert "".join(chunk.text for chunk in chunks) == "You said: hello"
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


@both_upstreams
async def test_the_asynchronous_client(gateway, gemini, provider):
    gateway.lend(provider)
    answer = await gemini.aio.models.generate_content(model=MODEL, contents="hello")
    assert answer.text == "You said: hello"
    stream = await gemini.aio.models.generate_content_stream(model=MODEL, contents="hello")
    assert "".join([chunk.text async for chunk in stream]) == "You said: hello"


@both_upstreams
def test_counting_tokens_is_free(gateway, gemini, google, provider):
    gateway.lend(provider)
    assert gemini.models.count_tokens(model=MODEL, contents="hello there").total_tokens == 3
    [call] = google.calls("count")
    assert call.status == 200


def test_the_models_are_listed_and_found(gateway, gemini):
    names = [model.name for model in gemini.models.list(config={"page_size": 5})]
    assert f"models/{MODEL}" in names
    assert len(names) == len(set(names))
    found = gemini.models.get(model=MODEL)
    assert found.name == f"models/{MODEL}"
    assert found.input_token_limit > 0
    with pytest.raises(errors.ClientError) as caught:
        gemini.models.get(model="no-such-model")
    assert caught.value.code == 404


@both_upstreams
def test_tools_one_and_parallel_streamed_and_not(gateway, gemini, google, provider):
    gateway.lend(provider)
    ask = {"model": MODEL, "contents": "weather?", "config": FORCED}
    [call] = gemini.models.generate_content(**ask).function_calls
    assert call.name == "get_weather"
    google.script(
        "parallel_calls",
        calls=[{"name": "get_weather", "args": {"city": city}} for city in ("Bern", "東京")],
        spread=True,
    )
    called = [
        call.args["city"]
        for chunk in gemini.models.generate_content_stream(**ask)
        for call in chunk.function_calls or []
    ]
    assert called == ["Bern", "東京"]


@both_upstreams
def test_a_round_trip_gives_the_signature_back(gateway, gemini, google, provider):
    gateway.lend(provider)
    first = gemini.models.generate_content(
        model=THIRD_GENERATION, contents="weather?", config=FORCED
    )
    [call] = first.function_calls
    response = types.Part.from_function_response(name=call.name, response={"sky": "blue"})
    response.function_response.id = call.id
    history = [
        types.UserContent("weather?"),
        first.candidates[0].content,
        types.Content(role="user", parts=[response]),
    ]
    end = gemini.models.generate_content(
        model=THIRD_GENERATION,
        contents=history,
        config=types.GenerateContentConfig(tools=[WEATHER]),
    )
    assert "get_weather said" in end.text
    [signature] = [p["thoughtSignature"] for p in parts_sent(google) if "functionCall" in p]
    assert signature not in STAND_INS


def test_the_sdks_own_chat_with_a_python_function(gateway, gemini, google):
    """Automatic function calling: the SDK calls the function and sends its answer by itself."""
    gateway.lend("gemini_api")

    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    google.script("tool_call", calls=[{"name": "get_weather", "args": {"city": "Bern"}}], times=1)
    chat = gemini.chats.create(model=THIRD_GENERATION, config={"tools": [get_weather]})
    assert "sunny in Bern" in chat.send_message("weather?").text


@both_upstreams
def test_a_picture_inline(gateway, gemini, google, provider):
    gateway.lend(provider)
    picture = types.Part.from_bytes(data=PNG, mime_type="image/png")
    answer = gemini.models.generate_content(model=MODEL, contents=["What is this?", picture])
    assert answer.text == "You said: What is this?"
    inline = next(part["inlineData"] for part in parts_sent(google) if "inlineData" in part)
    assert inline["data"] == PNG_BASE64


@both_upstreams
def test_structured_output(gateway, gemini, google, provider):
    gateway.lend(provider)
    google.script("json", json={"answer": "yes", "score": 7})
    for schema in ({"response_schema": Reply}, {"response_json_schema": Reply.model_json_schema()}):
        answer = gemini.models.generate_content(
            model=MODEL,
            contents="?",
            config={"response_mime_type": "application/json", **schema},
        )
        assert json.loads(answer.text) == {"answer": "yes", "score": 7}
    assert answer.parsed is not None


@both_upstreams
def test_thoughts(gateway, gemini, provider):
    gateway.lend(provider)
    answer = gemini.models.generate_content(
        model=MODEL,
        contents="hello",
        config={"thinking_config": {"include_thoughts": True, "thinking_budget": 1024}},
    )
    thoughts = [part.text for part in answer.candidates[0].content.parts if part.thought]
    assert "Considering" in thoughts[0]
    assert answer.text == "You said: hello"


@only_sqlite
def test_several_candidates_and_stop_sequences(gateway, gemini, google):
    gateway.lend("gemini_api")
    answer = gemini.models.generate_content(
        model=MODEL, contents="hello", config={"candidate_count": 2, "stop_sequences": ["END"]}
    )
    assert len(answer.candidates) == 2
    assert google.calls()[-1].body["generationConfig"]["stopSequences"] == ["END"]


@only_sqlite
@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", "/gemini/v1beta"])
def test_every_prefix_and_the_json_array(gateway, http, prefix):
    gateway.lend("gemini_api")
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    path = f"{prefix}/models/{MODEL}:streamGenerateContent"
    response = http.post(path, params={"key": gateway.key()}, json=body)
    chunks = response.json()
    assert isinstance(chunks, list)
    texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks]
    assert "".join(texts) == "You said: hello"
    assert response.headers["content-type"].startswith("application/json")


@only_sqlite
def test_fields_we_do_not_know_pass_through(gateway, http, google):
    """The upstream says what is wrong with them, not we."""
    gateway.lend("gemini_api")
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "inventedField": 1}
    headers = {"x-goog-api-key": gateway.key()}
    response = http.post(f"/v1beta/models/{MODEL}:generateContent", json=body, headers=headers)
    assert response.status_code == 400
    assert "inventedField" in response.json()["error"]["message"]
    assert google.calls()[-1].body["inventedField"] == 1


class TestErrorsAreTheSdksOwn:
    def refused(self, gemini, code, **call):
        kind = errors.ClientError if code < 500 else errors.ServerError
        for ask in (gemini.models.generate_content, gemini.models.generate_content_stream):
            with pytest.raises(kind) as caught:
                list(ask(**{"model": MODEL, "contents": "hello", **call}))
            assert caught.value.code == code
            assert "req_" in caught.value.message
        return caught.value

    def test_400(self, gateway, gemini):
        gateway.lend("gemini_api")
        error = self.refused(gemini, 400, config={"temperature": 9})
        assert error.status == "INVALID_ARGUMENT"

    def test_401(self, gateway):
        key = gateway.key()
        gateway.hand("revoke", key=key)
        with genai.Client(api_key=key, http_options={"base_url": gateway.url}) as revoked:
            assert self.refused(revoked, 401).status == "UNAUTHENTICATED"

    def test_404(self, gateway, gemini):
        assert self.refused(gemini, 404, model="no-such-model").status == "NOT_FOUND"

    def test_413(self, gateway, gemini):
        self.refused(gemini, 413, contents="x" * 3 * 1024 * 1024)

    def test_429_for_an_exhausted_quota(self, gateway):
        gateway.lend("gemini_api")
        with genai.Client(api_key=gateway.key(1), http_options={"base_url": gateway.url}) as poor:
            error = self.refused(poor, 429)
        assert "quota" in error.message

    def test_429_when_every_credential_rests(self, gateway, gemini, google):
        gateway.lend("gemini_api")
        google.script("error", error="quota_minute")
        with pytest.raises(errors.ClientError) as caught:
            gemini.models.generate_content(model=MODEL, contents="hello")
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
        # The limit is known by now, so the upstream is not asked again.
        with pytest.raises(errors.ServerError) as caught:
            gemini.models.generate_content(model=MODEL, contents="hello")
        assert caught.value.code == 503
        assert len(google.calls()) == 1

    @pytest.mark.parametrize(
        ("error", "status"), [("server", 502), ("overload", 503), ("deadline", 504)]
    )
    def test_an_upstream_that_stays_broken(self, gateway, gemini, google, error, status):
        gateway.lend("gemini_api")
        google.script("error", error=error)
        self.refused(gemini, status)

    def test_503_when_nobody_has_lent_a_credential(self, gateway, gemini):
        gateway.lend()
        assert self.refused(gemini, 503).status == "UNAVAILABLE"

    def test_an_error_inside_a_stream(self, gateway, gemini, google):
        gateway.lend("gemini_api")
        google.script("error_middle", text="one two three four", count=4)
        with pytest.raises(errors.APIError):
            list(gemini.models.generate_content_stream(model=MODEL, contents="hello"))
