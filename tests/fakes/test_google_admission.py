"""Who may call what: credentials, projects, models, sizes; and token counting."""

import pytest

from tests.fakes.conftest import KEY, TOKEN, said, turns


def post(http, body, query="", **headers):
    return http.post(
        f"/v1beta/models/gemini-2.5-flash:generateContent{query}", json=body, headers=headers
    )


def test_api_keys(fake, http):
    body = said("hi")
    assert post(http, body, f"?key={KEY}").status_code == 200
    wrong = post(http, body, "?key=AIzaWrong")
    assert wrong.status_code == 400
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert post(http, body).status_code == 403
    assert post(http, body, authorization=f"Bearer {KEY}").status_code == 401
    both = post(http, body, authorization=f"Bearer {TOKEN}", **{"x-goog-api-key": KEY})
    assert both.status_code == 401
    assert post(http, body, f"?key={KEY}", **{"x-goog-api-key": KEY}).status_code == 400


def test_bearers(fake, assist):
    assert assist.say(authorization="Bearer nobody").status_code == 401
    assert assist.say(**{"x-goog-api-key": KEY}).status_code == 401
    fake.expire(TOKEN)
    expired = assist.say()
    assert expired.status_code == 401
    assert expired.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("unsupported_client", "SUBSCRIPTION_REQUIRED"),
        ("validation_required", "VALIDATION_REQUIRED"),
        ("not_onboarded", "IAM_PERMISSION_DENIED"),
    ],
)
def test_an_account_that_may_not_generate(fake, assist, state, reason):
    fake.directory.accounts["alice@example.com"].state = state
    response = assist.say()
    assert response.status_code == 403
    assert response.json()["error"]["details"][0]["reason"] == reason


def envelope(http, **fields):
    headers = {"authorization": f"Bearer {TOKEN}"}
    body = {"model": "gemini-2.5-flash", "project": "alpha", "request": said("hi"), **fields}
    body = {name: value for name, value in body.items() if value is not None}
    return http.post("/v1internal:generateContent", json=body, headers=headers)


def test_the_code_assist_envelope(fake, http):
    assert (
        envelope(http, user_prompt_id="x", enabled_credit_types=["GOOGLE_ONE_AI"]).status_code
        == 200
    )
    assert envelope(http, request=said("a", labels={"a": "b"}, session_id="s")).status_code == 200
    missing = envelope(http, project=None)
    assert missing.status_code == 400
    assert missing.json()["error"]["details"][0]["fieldViolations"][0]["field"] == "project"
    assert envelope(http, project="somebody-elses").status_code == 403
    assert envelope(http, model="models/gemini-2.5-flash").status_code == 404
    assert envelope(http, model="gemini-3.1-flash-image").status_code == 404
    assert 'Unknown name "foo"' in envelope(http, foo=1).json()["error"]["message"]
    fake.directory.accounts["alice@example.com"].preview = False
    assert envelope(http, model="gemini-3-flash-preview").status_code == 404
    fake.directory.accounts["alice@example.com"].services["cloudaicompanion.googleapis.com"] = (
        "DISABLED"
    )
    off = envelope(http).json()["error"]
    assert "SERVICE_DISABLED" in [detail.get("reason") for detail in off["details"]]


def test_fields_of_the_other_upstream(gemini, assist):
    assert 'Unknown name "labels"' in gemini.refusal(said("a", labels={}))
    assert 'Unknown name "serviceTier"' in assist.refusal(said("a", serviceTier="flex"))
    assert gemini.send(said("a", serviceTier="flex")).status_code == 200
    jailbreak = [{"category": "HARM_CATEGORY_JAILBREAK", "threshold": "OFF"}]
    assert assist.send(said("a", safetySettings=jailbreak)).status_code == 200
    assert "element predicate failed" in gemini.refusal(said("a", safetySettings=jailbreak))


def test_role_is_optional_only_on_the_public_api(gemini, assist):
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    assert gemini.send(body).status_code == 200
    assert "valid role" in assist.refusal(body)


def test_unknown_models(gemini):
    for model in ("gemini-9", "gemini-embedding-001", "models%2Fgemini-2.5-flash"):
        response = gemini.say(model=model)
        assert response.status_code == 404
        assert "is not found for API version v1beta, or is not supported" in response.text
    assert gemini.say(model="models/gemini-2.5-flash").status_code == 404


def test_size_and_broken_json(http):
    headers = {"x-goog-api-key": KEY}
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    assert (
        http.post(path, content=b" " * (20 * 1024 * 1024 + 1), headers=headers).status_code == 413
    )
    broken = http.post(path, content=b"{", headers=headers)
    assert broken.status_code == 400
    assert "Invalid JSON payload" in broken.text
    assert http.post(path, json=[], headers=headers).status_code == 400
    infinite = b'{"generationConfig": {"temperature": NaN}}'
    assert "Unexpected token" in http.post(path, content=infinite, headers=headers).text


def test_cached_contents_must_exist(fake, gemini):
    body = said("hi", cachedContent="cachedContents/1")
    assert gemini.send(body).status_code == 403
    fake.caches.add("cachedContents/1")
    assert gemini.send(body).status_code == 200


def test_a_streaming_refusal_is_a_list_unless_sse_was_asked_for(caller):
    assert isinstance(caller.send({}, stream=True).json(), dict)
    (only,) = caller.send({}, stream=True, sse=False).json()
    assert only["error"]["code"] == 400


# ---------------------------------------------------------------------------- counting


def test_public_count_takes_either_shape(fake, http):
    headers = {"x-goog-api-key": KEY}
    path = "/v1beta/models/gemini-2.5-flash:countTokens"
    plain = http.post(path, json=said("12345678"), headers=headers)
    assert plain.json()["totalTokens"] == 2
    inner = said(
        "12345678", model="models/gemini-2.5-flash", systemInstruction={"parts": [{"text": "1234"}]}
    )
    whole = http.post(path, json={"generateContentRequest": inner}, headers=headers)
    assert whole.json()["totalTokens"] == 3
    for bad in (
        {},
        {"generateContentRequest": inner, **said("x")},
        {"generateContentRequest": said("x")},
        said("x", systemInstruction={"parts": [{"text": "s"}]}),
    ):
        assert http.post(path, json=bad, headers=headers).status_code == 400


def test_code_assist_count_has_a_shape_of_its_own(fake, http):
    headers = {"authorization": f"Bearer {TOKEN}"}
    named = {"model": "models/gemini-2.5-flash"}

    def count(body):
        return http.post("/v1internal:countTokens", json=body, headers=headers)

    assert count({"request": {**named, **said("12345678")}}).json() == {"totalTokens": 2}
    assert count({"request": {"model": "gemini-2.5-flash", **said("x")}}).status_code == 404
    assert count({"project": "alpha", "request": {**named, **said("x")}}).status_code == 400
    assert count({"request": {**named, **said("x", tools=[])}}).status_code == 400
    thought = turns(("user", {"text": "look"}), ("model", {"text": "hm", "thought": True}))
    assert count({"request": {**named, **thought}}).status_code == 400
