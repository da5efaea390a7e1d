import json

import httpx
import pytest

from tests.fakes.google import FakeGoogle

KEY = "AIzaSyFakeKeyOfAlice"
TOKEN = "ya29.alice"
REFRESH = "1//alice"


@pytest.fixture(scope="session")
def _server():
    with FakeGoogle.running() as fake:
        yield fake


@pytest.fixture
def fake(_server):
    """The fake, knowing one key and one onboarded person."""
    _server.reset()
    _server.add_api_key(KEY)
    _server.add_account(
        access_token=TOKEN, refresh_token=REFRESH, project="alpha", email="alice@example.com"
    )
    return _server


@pytest.fixture(scope="session")
def http(_server):
    """One client for all tests: to make one costs more than most tests here."""
    with httpx.Client(base_url=_server.url, timeout=5) as client:
        yield client


class Caller:
    """Speaks to one of the two upstreams and hides how they differ."""

    def __init__(self, http, upstream):
        self.http = http
        self.upstream = upstream
        self.code_assist = upstream == "code_assist"

    def request(
        self, body, *, model="gemini-2.5-flash", stream=False, sse=True, timeout=5, **headers
    ):
        method = "streamGenerateContent" if stream else "generateContent"
        query = {"alt": "sse"} if stream and sse else {}
        if self.code_assist:
            path = f"/v1internal:{method}"
            headers.setdefault("authorization", f"Bearer {TOKEN}")
            body = {"model": model, "project": "alpha", "request": body}
        else:
            path = f"/v1beta/models/{model}:{method}"
            headers.setdefault("x-goog-api-key", KEY)
        return self.http.build_request(
            "POST", path, params=query, json=body, headers=headers, timeout=timeout
        )

    def send(self, body, **options):
        return self.http.send(self.request(body, **options))

    def say(self, text="hello", **options):
        return self.send(said(text), **options)

    def unwrap(self, value):
        return value["response"] if self.code_assist else value

    def answer(self, body=None, **options):
        response = self.send(body or said("hello"), **options)
        assert response.status_code == 200, response.text
        return self.unwrap(response.json())

    def chunks(self, body=None, **options):
        response = self.send(body or said("hello"), stream=True, **options)
        assert response.status_code == 200, response.text
        return [self.unwrap(event) for event in events(response.content)]

    def refusal(self, body, **options):
        response = self.send(body, **options)
        assert response.status_code == 400, response.text
        return response.json()["error"]["message"]


def said(text, **more):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def turns(*contents):
    return {"contents": [{"role": role, "parts": list(given)} for role, *given in contents]}


def events(raw):
    """JSON of each ``data:`` event, splitting lines only where SSE does."""
    found = []
    for block in raw.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[5:] for line in block.split(b"\n") if line.startswith(b"data:")]
        if lines:
            found.append(json.loads(b"\n".join(lines)))
    return found


def parts(answer):
    return answer["candidates"][0]["content"]["parts"]


def text_of(chunks):
    return "".join(
        part["text"]
        for chunk in chunks
        for candidate in chunk.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
        if "text" in part and not part.get("thought")
    )


@pytest.fixture
def gemini(fake, http):
    return Caller(http, "gemini_api")


@pytest.fixture
def assist(fake, http):
    return Caller(http, "code_assist")


@pytest.fixture(params=["gemini_api", "code_assist"])
def caller(request, fake, http):
    return Caller(http, request.param)
