"""A strict stand-in for Google: one server that answers for all of its hosts on one base URL.

Gemini API, Code Assist, OAuth, user info, Resource Manager and Service Usage. It knows only the
credentials it was given, refuses what Google refuses, records every request, and answers as
scripted (``google_scenarios`` lists the names and options, ``google_errors`` the error rows).

In a test: ``with FakeGoogle.running() as fake:``. As a process with the controls of
``google_control``: ``python -m tests.fakes.google --port 9999``.
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.fakes.google_app import build_app
from tests.fakes.google_state import State


class FakeGoogle(State):
    """``State`` holds the control methods; this adds the server."""

    @classmethod
    @contextmanager
    def running(cls, port: int = 0) -> Iterator["FakeGoogle"]:
        """The server in a thread and loop of its own, on 127.0.0.1."""
        fake = cls()
        ready = threading.Event()
        failures: list[BaseException] = []
        loop = asyncio.new_event_loop()
        stopping = asyncio.Event()

        async def serve() -> None:
            async with fake.serving(port):
                ready.set()
                await stopping.wait()

        def work() -> None:
            try:
                loop.run_until_complete(serve())
            except OSError as exc:  # the port is taken
                failures.append(exc)
            finally:
                ready.set()
                loop.close()

        thread = threading.Thread(target=work, name="fake-google", daemon=True)
        thread.start()
        ready.wait()
        if failures:
            raise failures[0]
        try:
            yield fake
        finally:
            loop.call_soon_threadsafe(stopping.set)
            thread.join(timeout=5)

    def serving(self, port: int = 0) -> "_Serving":
        """``async with`` in a running loop: listens until left."""
        return _Serving(self, port)


class _Serving:
    def __init__(self, fake: FakeGoogle, port: int) -> None:
        self.fake = fake
        self.port = port
        # Cancelling handlers is how a scenario in a long silence learns that the client has left.
        app = build_app(fake)
        self.runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )

    async def __aenter__(self) -> FakeGoogle:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        self.fake.url = "http://{}:{}".format(*self.runner.addresses[0][:2])
        return self.fake

    async def __aexit__(self, *exc_info: object) -> None:
        self.fake.closing = True
        await self.runner.cleanup()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=9999)
    arguments.add_argument("--api-key", action="append", default=[])
    chosen = arguments.parse_args()

    async def serve() -> None:
        fake = FakeGoogle()
        for key in chosen.api_key:
            fake.add_api_key(key)
        async with fake.serving(chosen.port):
            sys.stdout.write(f"{fake.url}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")


if __name__ == "__main__":
    main()
