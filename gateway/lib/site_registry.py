"""The settings that an operator may change while the gateway runs: what each is, what it may be, and in which file of
gateway/settings its default stands. Pure but for the seed file: loaded while the settings themselves are made.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from gateway.lib.credits import micros_or_nothing, to_text
from gateway.lib.proxies import check_proxy_url, masked

Kind = Literal["boolean", "integer", "number", "credits", "text", "choice", "statuses", "proxy"]

_LONGEST_TEXT = 200


class Setting(Struct, frozen=True):
    """`name` is the environment's, `attribute` the one of Django's settings, "" for the same. `least` and `most` belong to what they
    bound; `unit` is for people."""

    name: str
    kind: Kind
    section: str
    words: str
    attribute: str = ""
    unit: str = ""
    least: float = 0
    most: float = 1_000_000
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.attribute or self.name

    def checked(self, value: Any) -> Any:
        """As it is stored. Raises ValueError in words."""
        match self.kind:
            case "boolean":
                if not isinstance(value, bool):
                    raise ValueError("It is true or false.")
                return value
            case "integer":
                if isinstance(value, bool) or not isinstance(value, int):
                    raise ValueError("It is a whole number.")
                return self._bounded(value)
            case "number":
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError("It is a number.")
                if not math.isfinite(value):
                    raise ValueError("It is a finite number.")
                return float(self._bounded(value))
            case "choice":
                if value not in self.choices:
                    raise ValueError(
                        f"It is one of {', '.join(choice or '(empty)' for choice in self.choices)}."
                    )
                return value
            case "statuses":
                return _statuses(value)
            case "credits":
                return _credits(value)
            case "proxy":
                return check_proxy_url(_line(value))
        return _line(value)

    def _bounded(self, value: float) -> Any:
        if not self.least <= value <= self.most:
            raise ValueError(f"It lies between {self.least:g} and {self.most:g}.")
        return value

    def shown(self, value: Any) -> Any:
        """For people and logs: a proxy without its user and password."""
        return masked(value) if self.kind == "proxy" else value


def _line(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("It is a text.")
    if len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(f"It is one line of at most {_LONGEST_TEXT} characters.")
    return value.strip()


def _credits(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('It is a text such as "0.5".')
    try:
        return to_text(micros_or_nothing(_line(value)))
    except ValueError as exc:
        raise ValueError(f"{str(exc).capitalize()}.") from exc


def _statuses(value: Any) -> list[int]:
    good = isinstance(value, list) and len(value) <= 50
    if not good or not all(type(one) is int and 400 <= one <= 599 for one in value):
        raise ValueError("It is a list of HTTP statuses from 400 to 599.")
    return sorted(set(value))


_SAFETY = (
    "",
    "OFF",
    "BLOCK_NONE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_LOW_AND_ABOVE",
)

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "RETRY_429_ENABLED",
        "boolean",
        "retries",
        "Whether a call that failed with one credential is tried with others, until the first byte has gone out.",
    ),
    Setting("RETRY_429_MAX_RETRIES", "integer", "retries", "How many others.", most=100),
    Setting(
        "RETRY_429_INTERVAL",
        "number",
        "retries",
        "First pause before a retry that has to wait; it doubles.",
        attribute="RETRY_429_INTERVAL_S",
        unit="seconds",
        most=60,
    ),
    Setting(
        "AUTO_BAN",
        "boolean",
        "pool",
        "Whether a credential is disabled when an upstream answers one of AUTO_BAN_ERROR_CODES.",
    ),
    Setting("AUTO_BAN_ERROR_CODES", "statuses", "pool", "HTTP statuses."),
    Setting(
        "CALLS_PER_ROTATION",
        "integer",
        "pool",
        "How many calls in a row go to one credential before the next has its turn. 0: each call goes to the one used least.",
    ),
    Setting(
        "PROXY",
        "proxy",
        "pool",
        "Proxy for all that goes upstream, such as http://user:password@host:3128. Empty: none.",
        attribute="UPSTREAM_PROXY",
    ),
    Setting(
        "ANTI_TRUNCATION_MAX_ATTEMPTS",
        "integer",
        "answers",
        "How many upstream calls an answer that must not be cut may take, the first included.",
        least=1,
        most=20,
    ),
    Setting(
        "COMPATIBILITY_MODE",
        "boolean",
        "answers",
        "Whether system instructions are sent as the beginning of what the user says.",
    ),
    Setting(
        "SAFETY_DEFAULT",
        "choice",
        "answers",
        "Threshold of the safety settings for requests that bring none. Empty: Google's own.",
        choices=_SAFETY,
    ),
    Setting(
        "RETURN_THOUGHTS_TO_FRONTEND",
        "boolean",
        "answers",
        "Whether a model's thoughts are handed to the client.",
    ),
    Setting(
        "LIST_VARIANTS",
        "boolean",
        "answers",
        "Whether lists of models show the variants of each name too.",
    ),
    Setting(
        "STREAM_KEEPALIVE_S",
        "number",
        "answers",
        "Pause in a stream after which a keep-alive is sent.",
        attribute="KEEPALIVE_INTERVAL_S",
        unit="seconds",
        least=0.1,
        most=300,
    ),
    Setting(
        "CHAT_IMAGES",
        "choice",
        "images",
        "How a chat answer carries a drawn image: in the text, in a field beside it, or as a link.",
        choices=("markdown", "images", "url"),
    ),
    Setting(
        "DEFAULT_CHAT_MODEL",
        "text",
        "models",
        "Model of /v1/generate when a request names none. Empty: the first that is served.",
    ),
    Setting(
        "DEFAULT_IMAGE_MODEL",
        "text",
        "models",
        "Model of the image routes when a request names none. Empty: the first that draws and is served.",
    ),
    Setting(
        "LIMIT_WAIT_S",
        "number",
        "limits",
        "How long a call waits for a rate or a concurrency limit before it is answered 429.",
        unit="seconds",
        most=300,
    ),
    Setting(
        "LIMIT_QUEUE_LENGTH",
        "integer",
        "limits",
        "How many calls of one person, or of one key without an owner, may wait at a time.",
        unit="calls",
        most=10_000,
    ),
    Setting(
        "API_THROTTLE_ANON",
        "integer",
        "limits",
        "Requests to the management API from one address without signing in. 0: no bound.",
        unit="a minute",
    ),
    Setting(
        "API_THROTTLE_USER",
        "integer",
        "limits",
        "The same for one person, token, or address with the panel password. 0: no bound.",
        unit="a minute",
    ),
    Setting(
        "SIGN_UP",
        "choice",
        "people",
        "Who may make an account: everybody, whoever has an invitation, or nobody.",
        choices=("open", "invite", "closed"),
    ),
    Setting(
        "REQUIRE_OPERATOR_2FA",
        "boolean",
        "people",
        "Whether operators need a second factor: without one they reach nothing but its set-up.",
    ),
    Setting(
        "LENDING",
        "choice",
        "people",
        "Who may lend at /auth: everybody, whoever has a code, or whoever is signed in.",
        choices=("open", "invite", "members"),
    ),
    Setting(
        "LENDING_MAX_PENDING",
        "integer",
        "people",
        "How many consents may be under way at once, of all visitors.",
        least=1,
        most=10_000,
    ),
    Setting(
        "REWARD_CREDITS",
        "credits",
        "people",
        "What a contributor earns for each call that their credential served, as text. 0: nothing.",
        unit="credits",
    ),
    Setting(
        "REQUEST_RETENTION_DAYS",
        "integer",
        "retention",
        "How long single requests stay in the log. 0: for ever. What they add up to stays longer.",
        unit="days",
        most=36_500,
    ),
    Setting(
        "USAGE_HOUR_RETENTION_DAYS",
        "integer",
        "retention",
        "How long the sums of hours are kept. 0: for ever. The sums of days stay for ever.",
        unit="days",
        most=36_500,
    ),
    Setting(
        "JOB_RETENTION_DAYS",
        "integer",
        "retention",
        "How long finished jobs stay in the list.",
        unit="days",
        least=1,
        most=36_500,
    ),
    Setting(
        "USE_RETENTION_DAYS",
        "integer",
        "retention",
        "How long the daily use of credentials is kept.",
        unit="days",
        least=1,
        most=36_500,
    ),
    Setting(
        "PROBES_PER_HOUR",
        "integer",
        "upkeep",
        "How many tests of credentials upkeep may make. 0: none.",
        unit="an hour",
    ),
    Setting(
        "QUOTA_READINGS_PER_HOUR",
        "integer",
        "upkeep",
        "How many times upkeep may ask what is left of quotas. 0: never.",
        unit="an hour",
    ),
    Setting(
        "LOG_LEVEL",
        "choice",
        "log",
        "From which level on something is logged.",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def checked(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What can be stored, and what is wrong with the others, in words by name."""
    good: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in values.items():
        setting = BY_NAME.get(name)
        if setting is None:
            wrong[name[:60]] = "There is no such setting that can be changed while running."
            continue
        try:
            good[name] = setting.checked(value)
        except ValueError as exc:
            wrong[name] = str(exc)
    return good, wrong


def contradictions(effective: Mapping[str, Any], codes: Iterable[str]) -> dict[str, str]:
    """What does not go together, of the values as they would be. `codes`: those by which one may lend."""
    wrong: dict[str, str] = {}
    if effective.get("LENDING") == "invite" and not any(map(str.strip, codes)):
        wrong["LENDING"] = "There is no code: set LENDING_INVITE_CODES first, or nobody could lend."
    return wrong


def seeds(path: str, locked: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """From CONFIG_FILE: values by attribute of Django's settings, and what is wrong with the file. What the environment fixes
    (`locked`) stays."""
    if not path:
        return {}, []
    try:
        read = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as exc:
        return {}, [f"{path} cannot be read: {exc}"]
    good, wrong = checked({name.upper(): value for name, value in read.items()})
    found = {BY_NAME[name].key: value for name, value in good.items() if name not in locked}
    return found, [f"{name}: {words}" for name, words in wrong.items()]
