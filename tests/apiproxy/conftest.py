"""The proxy's edge in this process, on the test database, with the strict fake behind it."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps

from accounts.services import issue_key
from apiproxy import asgi, runtime
from apiproxy.models import RequestLog
from credentials.services import store
from quotas import selectors as quota_selectors
from tests.fakes.google import FakeGoogle

API_KEYS = ["AIza" + letter * 35 for letter in "AB"]


@pytest.fixture
def fake():
    with FakeGoogle.running() as fake:
        yield fake


@pytest.fixture
def database(transactional_db):
    """Seen by every thread, and with the prices and models that migrations put in."""
    for migration in (
        "quotas.migrations.0002_default_prices",
        "quotas.migrations.0004_default_multipliers",
        "apiproxy.migrations.0002_catalogue",
        "apiproxy.migrations.0004_more_models",
    ):
        import_module(migration).seed(apps, None)


@pytest.fixture
def lent(fake, database):
    """Two API keys that Google knows, lent here."""
    ids = []
    for key in API_KEYS:
        fake.add_api_key(key)
        ids.append(store(provider="gemini_api", secret={"api_key": key}, label=key[:6]).pk)
    return ids


@pytest.fixture
def key(database):
    """Alice's key: 100 credits."""
    row, text = issue_key(quota_micros=100_000_000, description="Alice")
    return SimpleNamespace(row=row, text=text, balance_id=row.balance_id)


class Exchange:
    """One request to the edge as a server would hand it over."""

    def __init__(self, method, path, *, headers=None, body=b"", query=""):
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        self._body = body
        self._gone = asyncio.Event()
        self._asked = False
        self.messages = []
        self.news = asyncio.Event()

    async def receive(self):
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.messages.append(message)
        self.news.set()

    def leave(self):
        self._gone.set()

    async def run(self):
        # Fixtures may have changed the database a moment ago.
        await (await runtime.current()).feed.update()
        await asgi.application(self.scope, self.receive, self.send)
        return self

    @property
    def status(self):
        return self.messages[0]["status"]

    @property
    def headers(self):
        return {k.decode(): v.decode() for k, v in self.messages[0]["headers"]}

    @property
    def pieces(self):
        return [m["body"] for m in self.messages[1:] if m.get("body")]

    @property
    def body(self):
        return b"".join(self.pieces)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def complete(self):
        return not self.messages[-1].get("more_body", False)


@pytest.fixture
async def edge(fake, settings, database):
    settings.GEMINI_API_URL = settings.CODE_ASSIST_ENDPOINT = fake.url
    settings.OAUTH_PROXY_URL = settings.RESOURCE_MANAGER_API_URL = fake.url
    settings.SERVICE_USAGE_API_URL = fake.url
    settings.RETRY_429_INTERVAL_S = 0.01
    settings.FEED_INTERVAL_S = 0.05
    live = await runtime.start()
    yield Edge(live)
    await runtime.stop()


class Edge:
    def __init__(self, live):
        self.runtime = live

    def exchange(self, method, path, *, key="", body=None, headers=None, query=""):
        sent = {"authorization": f"Bearer {key}"} if key else {}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Exchange(method, path, headers=sent | (headers or {}), body=data, query=query)

    async def post(self, path, body, *, key="", **options):
        return await self.exchange("POST", path, key=key, body=body, **options).run()

    async def get(self, path, **options):
        return await self.exchange("GET", path, body=b"", **options).run()

    async def chat(self, key, model="gemini-2.5-flash", **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}
        return await self.post("/v1/chat/completions", body, key=key)

    async def settled(self):
        """Everything that is written behind is in the database, and read back."""
        self.runtime.writer._hand_over_behind()
        while True:
            await asyncio.sleep(0.01)
            if self.runtime.recorder.unwritten or not self.runtime.writer._queue.empty():
                continue
            await self.runtime.feed.update()
            return

    async def log(self, exchange):
        await self.settled()
        request_id = exchange.headers["x-request-id"]
        for _ in range(500):
            found = await sync_to_async(RequestLog.objects.filter(request_id=request_id).first)()
            if found:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("the request is not in the log")

    async def receipt(self, exchange):
        return await sync_to_async(quota_selectors.receipt)(exchange.headers["x-request-id"])

    async def proves(self):
        return (await sync_to_async(quota_selectors.prove)())[1] == []
