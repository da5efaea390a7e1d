"""What every measurement stands on: the fake upstream, the load generator, nginx, and how calls are taken in turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import canned, nginx
from tests.bench.load import JOB_TIMEOUT_S
from tests.bench.processes import START_TIMEOUT_S, Broken, Child, python, running
from tests.bench.site import Web

Json = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """One way to the upstream. `pids` are the processes whose CPU time it costs, ours first."""

    port: int
    path: str
    headers: dict[str, str]
    body: bytes
    pids: tuple[int, ...]

    def as_job(self) -> Json:
        return {
            "port": self.port,
            "path": self.path,
            "headers": self.headers,
            "body": self.body.decode(),
            "pids": self.pids,
        }


@dataclass(frozen=True)
class Sample:
    """One round of calls. `cpu_us` is per call, in the order of the route's pids."""

    cpu_us: tuple[float, ...]
    p50_ms: float
    p99_ms: float
    events: int


@dataclass(frozen=True)
class Stand:
    folder: Path
    quick: bool
    load: Child
    upstream: Web
    nginx: Web | None

    @property
    def rounds(self) -> int:
        return 3 if self.quick else 5

    def ask(self, job: str, **details: Any) -> Json:
        answer = self.load.ask({"job": job, **details}, 2 * JOB_TIMEOUT_S)
        if "failed" in answer:
            raise Broken(f"the load generator gave up at {job}: {answer['failed']}")
        return answer

    def calls(self, route: Route, *, parallel: int, calls: int) -> Sample:
        answer = self.ask("calls", **route.as_job(), parallel=parallel, calls=calls)
        return Sample(
            cpu_us=tuple(1e6 * seconds / calls for seconds in answer["cpu_s"]),
            p50_ms=answer["p50_ms"],
            p99_ms=answer["p99_ms"],
            events=answer["events"],
        )

    def in_turns(
        self, routes: dict[str, Route], *, parallel: int, calls: int
    ) -> dict[str, list[Sample]]:
        """Every route once a round, forwards and backwards by turns: what the machine does meanwhile hits them alike."""
        samples: dict[str, list[Sample]] = {name: [] for name in routes}
        order = list(routes)
        for _ in range(self.rounds):
            for name in order:
                samples[name].append(self.calls(routes[name], parallel=parallel, calls=calls))
            order.reverse()
        return samples

    def beside(self, model: str, *, stream: bool) -> dict[str, Route]:
        """The ways that do not lead through us."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        path = f"/v1beta/models/{model}:{method}"
        ends = {"direct": self.upstream} | ({"nginx": self.nginx} if self.nginx else {})
        return {
            name: Route(web.port, path, {}, canned.gemini_body(), (web.pid,))
            for name, web in ends.items()
        }


def chat(
    web: Web,
    key: str,
    model: str = canned.WHOLE,
    *,
    stream: bool = False,
    large: bool = False,
    beside: tuple[int, ...] = (),
) -> Route:
    """Through us, in OpenAI's dialect."""
    body = canned.openai_body(model, stream=stream, large=large)
    headers = {"authorization": f"Bearer {key}"}
    return Route(web.port, "/v1/chat/completions", headers, body, (web.pid, *beside))


def native(web: Web, key: str) -> Route:
    """Through us, in Gemini's dialect."""
    path = f"/v1beta/models/{canned.WHOLE}:generateContent"
    return Route(web.port, path, {"x-goog-api-key": key}, canned.gemini_body(), (web.pid,))


@contextmanager
def standing(folder: Path, *, quick: bool) -> Iterator[Stand]:
    with ExitStack() as stack:
        upstream = stack.enter_context(
            running(python("tests.bench.upstream"), name="upstream", folder=folder)
        )
        port = upstream.read(START_TIMEOUT_S)["port"]
        load = stack.enter_context(running(python("tests.bench.load"), name="load", folder=folder))
        command = nginx.binary()
        proxy = stack.enter_context(nginx.serving(command, folder, port)) if command else None
        yield Stand(
            folder=folder,
            quick=quick,
            load=load,
            upstream=Web(port, upstream.pid),
            nginx=proxy,
        )
