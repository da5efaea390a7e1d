"""Everything the fake remembers, with the control methods tests call from any thread."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.fakes.google_accounts import Account, Directory
from tests.fakes.google_scenarios import OPTIONS, SCENARIOS, scenario_kinds
from tests.fakes.google_scripts import ANY, Recorded, Script, ScriptBook, parse_header
from tests.fakes.google_signatures import SignatureBook


class State:
    url = ""
    # Answers generation calls no script fits.
    default = "text"
    # The server is being stopped, so clients are cut off rather than leaving.
    closing = False
    # Who signs in on the consent page when the request has no login_hint; None: the first account.
    consent_as: str | None = None

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._ids = itertools.count(1)
        self._forget()

    def _forget(self) -> None:
        self.directory = Directory()
        self.redirect_uris: set[str] = set()
        self._forget_calls()

    def _forget_calls(self) -> None:
        self.book = ScriptBook()
        self.signatures = SignatureBook()
        self.takes_json_schema = True  # parametersJsonSchema, responseJsonSchema
        self.requests: list[Recorded] = []
        self.operations: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.caches: set[str] = set()
        self.default = type(self).default
        self.consent_as = None

    # ------------------------------------------------------------------ credentials

    def add_api_key(self, key: str) -> str:
        with self.changed:
            self.directory.api_keys.add(key)
        return key

    def remove_api_key(self, key: str) -> None:
        with self.changed:
            self.directory.api_keys.discard(key)

    def add_client(self, client_id: str, client_secret: str) -> None:
        with self.changed:
            self.directory.clients[client_id] = client_secret

    def add_account(self, **fields: Any) -> Account:
        """See ``Directory.add_account`` for the fields; the result may be changed in place."""
        with self.changed:
            return self.directory.add_account(**fields)

    def expire(self, access_token: str) -> None:
        with self.changed:
            self.directory.expire(access_token)

    def revoke(self, token: str) -> bool:
        with self.changed:
            return self.directory.revoke(token)

    def access_tokens(self, email: str) -> list[str]:
        """Those of one person that are still valid, oldest first."""
        with self.changed:
            return [
                token.token
                for token in self.directory.access_tokens.values()
                if token.account.email == email and token.expires_at > time.time()
            ]

    # ------------------------------------------------------------------ scripts

    def script(
        self,
        scenario: str,
        *,
        credential: str | None = None,
        model: str | None = None,
        times: int | None = None,
        on: str | Iterable[str] | None = None,
        **options: Any,
    ) -> Script:
        """The next matching calls are answered by ``scenario``.

        ``credential``: an API key, access or refresh token, e-mail or project. ``on``: kinds of
        call instead of the scenario's own, "*" for all. Unknown names and options raise ValueError.
        """
        check_options(scenario, options)
        kinds = scenario_kinds(scenario) if on is None else [on] if isinstance(on, str) else on
        with self.changed:
            script = Script(scenario, credential, model, times, frozenset(kinds), options)
            self.book.add(script)
        return script

    def clear_scripts(self) -> None:
        with self.changed:
            self.book = ScriptBook()

    def chosen(self, record: Recorded) -> tuple[str, dict[str, Any]]:
        """Scenario and options for one call; ("", {}) when nothing was asked for."""
        header = record.headers.get("x-fake-scenario")
        if header:
            name, options = parse_header(header)
            check_options(name, options)
            kinds = scenario_kinds(name)
            if record.kind in kinds or ANY in kinds:
                return name, options
        with self.changed:
            names = self.directory.names_of(record.credential)
            script = self.book.take(record.kind, names, record.model)
        return (script.scenario, script.options) if script else ("", {})

    def reset(self, *, keep_credentials: bool = False) -> None:
        with self.changed:
            if keep_credentials:
                self._forget_calls()
            else:
                self._forget()

    # ------------------------------------------------------------------ records

    def next_id(self) -> int:
        return next(self._ids)

    def note(self) -> None:
        """Wake whoever waits: a record has changed."""
        with self.changed:
            self.changed.notify_all()

    def calls(self, kind: str = "generate", *, credential: str | None = None) -> list[Recorded]:
        """Recorded requests of one kind, optionally of one credential (any of its names)."""
        with self.changed:
            return [
                record
                for record in self.requests
                if record.kind == kind
                and (
                    credential is None
                    or credential in self.directory.names_of(record.credential)
                    or credential == record.account
                )
            ]

    def refreshes(self, credential: str | None = None) -> list[Recorded]:
        """Calls of the token endpoint that asked for a refresh."""
        return [
            record
            for record in self.calls("token", credential=credential)
            if isinstance(record.body, dict) and record.body.get("grant_type") == "refresh_token"
        ]

    def wait_until(self, happened: Callable[[], Any], timeout_s: float = 5) -> Any:
        """The first true result of ``happened``, asked anew whenever a record changes."""
        with self.changed:
            result = self.changed.wait_for(happened, timeout_s)
        if not result:
            raise TimeoutError("the fake did not see it happen")
        return result

    def wait_for_calls(self, count: int, kind: str = "generate", timeout_s: float = 5) -> list[Any]:
        self.wait_until(lambda: len(self.calls(kind)) >= count, timeout_s)
        return self.calls(kind)

    def wait_disconnected(self, record: Recorded, timeout_s: float = 5) -> float:
        """When the client left, as ``time.monotonic()``."""
        return self.wait_until(lambda: record.disconnected_at, timeout_s)


def check_options(scenario: str, options: dict[str, Any]) -> None:
    if scenario not in SCENARIOS:
        raise ValueError(f"unknown scenario {scenario!r}, known: {', '.join(sorted(SCENARIOS))}")
    unknown = set(options) - OPTIONS
    if unknown:
        raise ValueError(f"unknown options {sorted(unknown)}, known: {', '.join(sorted(OPTIONS))}")
