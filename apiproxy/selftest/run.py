"""Runs every case of every dialect, all at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from msgspec import Struct

from apiproxy.admission import Principal
from apiproxy.dialects import DIALECTS
from apiproxy.runtime import Runtime
from apiproxy.selftest.cases import CASES, KEEPALIVE, MISTAKES, REFUSALS, Case, Mistake, Refusal
from apiproxy.selftest.clients import CLIENTS
from apiproxy.selftest.edge import Seen, visit
from apiproxy.selftest.talk import Ask, Client, Json, Said, Wrong, demand
from apiproxy.wire import codec
from apiproxy.wire.types import Head
from gateway.lib.errors import GatewayError
from quotas.terms import Account, Terms

logger = logging.getLogger(__name__)

# No row has this number: what is logged of a self-test is told by it.
GUEST = Principal(key_id=-1, terms=(Terms("k-1", allowed_models=("sandbox-*",)),))
# Nor has a balance: nothing can be reserved from it.
POOR_GUEST = Principal(key_id=-1, accounts=(Account(-1),))
_PATIENCE_S = 60.0


class Result(Struct, frozen=True):
    """`detail`: what was wrong, "" when nothing was."""

    dialect: str
    case: str
    passed: bool
    detail: str
    ms: int


async def run(live: Runtime) -> list[Result]:
    """In the order of dialects and cases. Dialects that are not served yet have no results."""
    with live.admission.guest(GUEST) as key, live.admission.guest(POOR_GUEST) as poor_key:
        tasks = []
        async with asyncio.TaskGroup() as group:
            for name, client in CLIENTS.items():
                if name in DIALECTS:
                    for case, attempt in _Tester(live, name, client, key, poor_key).attempts():
                        tasks.append(group.create_task(_result(name, case, attempt)))
    return [task.result() for task in tasks]


async def _result(dialect: str, case: str, attempt: Callable[[], Awaitable[None]]) -> Result:
    started = time.perf_counter()
    detail = ""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await attempt()
    except Wrong as wrong:
        detail = str(wrong)
    except TimeoutError:
        detail = f"no answer within {_PATIENCE_S:g} s"
    except GatewayError as error:
        detail = f"{error.code}: {error.message}"
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        # Reading an answer trips where its shape is not the dialect's.
        logger.info("self-test, %s, %s: %r", dialect, case, exc)
        detail = f"the shape is wrong: {exc!r}"
    ms = int((time.perf_counter() - started) * 1000)
    return Result(dialect, case, not detail, detail, ms)


class _Tester:
    """The cases of one dialect."""

    def __init__(self, live: Runtime, name: str, client: Client, key: str, poor_key: str) -> None:
        self._live = live
        self._name = name
        self._client = client
        self._key = key
        self._poor_key = poor_key

    def attempts(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        features = set(self._client.FEATURES)
        if not self._live.config.show_thoughts:
            features.discard("thoughts")
        for case in CASES:
            if case.needs in features:
                yield case.name, partial(self._answered, case)
        for refusal in REFUSALS:
            if refusal.needs in features:
                yield refusal.name, partial(self._refused, refusal)
        for mistake in MISTAKES:
            if mistake.poor and "errors" not in features:
                continue
            yield mistake.name, partial(self._rejected, mistake)
        if "stream" in features:
            yield KEEPALIVE, self._kept_alive

    async def _answered(self, case: Case) -> None:
        ask = case.ask
        if case.round_trip:
            said = await self._say(ask)
            demand(said.calls, "no call came that could be answered")
            ask = Ask(model=ask.model, text=ask.text, tool=ask.tool, answered=said.calls[0])
        case.check(ask, await self._say(ask))

    async def _say(self, ask: Ask) -> Said:
        seen = await self._visit(ask)
        demand(seen.status == 200, f"status {seen.status}: {seen.body[:200].decode()}")
        if not ask.stream:
            return self._client.read(seen.json())
        kind = seen.headers.get("content-type", "")
        demand(kind.startswith("text/event-stream"), f"a stream of {kind}")
        return self._client.read_stream(seen.body)

    async def _refused(self, refusal: Refusal) -> None:
        seen = await self._visit(Ask(model=refusal.model))
        self._look_at_error(seen, refusal.name, refusal.status)
        if refusal.status == 429:
            demand("retry-after" in seen.headers, "the answer has no Retry-After")

    async def _rejected(self, mistake: Mistake) -> None:
        headers = {}
        if mistake.declared_bytes is not None:
            headers["content-length"] = str(mistake.declared_bytes)
        seen = await self._visit(
            Ask(model=mistake.model or self._client.LENT_MODEL),
            method=mistake.method,
            body=mistake.body,
            key=self._poor_key if mistake.poor else mistake.key,
            headers=headers,
        )
        words = self._look_at_error(seen, mistake.name, mistake.status)
        demand(mistake.names in words, f"{mistake.names!r} is not named in {words[:120]!r}")

    def _look_at_error(self, seen: Seen, case: str, status: int) -> str:
        """The error's words, after a look at its status, shape, class and request id."""
        usual = status, self._client.KINDS[status]
        status, wanted = self._client.OWN_ERRORS.get(case, usual)
        demand(seen.status == status, f"status {seen.status} instead of {status}")
        kind, words = self._client.error_kind(seen.json(), status)
        demand(kind == wanted, f"the error is a {kind}, not a {wanted}")
        request_id = seen.headers.get("x-request-id")
        demand(request_id and request_id in words, "the words do not name the request")
        return words

    async def _visit(
        self,
        ask: Ask,
        *,
        method: str = "POST",
        body: bytes | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Seen:
        sent = self._client.ask(ask)
        token = self._key if key is None else key
        given = {**sent.headers, **({"authorization": f"Bearer {token}"} if token else {})}
        data = codec.encode(sent.body) if body is None else body
        return await visit(method, sent.path, {**given, **(headers or {})}, data, sent.query)

    async def _kept_alive(self) -> None:
        """The filler itself: a stream that is silent for as long as it takes would make the self-test slow."""
        sent = self._client.ask(Ask(stream=True))
        dialect = DIALECTS[self._name]
        body: Json = codec.loads(codec.encode(sent.body))
        head = Head("req_selftest", 0.0, "sandbox-echo", "streamGenerateContent")
        call = dialect.parse(body, head, self._live.feed.catalogue.resolve)
        filler = dialect.stream(call).keepalive
        demand(filler in self._client.KEEPALIVE, f"no SDK expects {filler!r}")
