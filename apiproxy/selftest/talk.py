"""What a case asks and what an answer says, in words that every dialect has."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from apiproxy.providers.sandbox_png import png

Json = dict[str, Any]

TOOL = "get_weather"
TOOL_DESCRIPTION = "The weather of a city."
TOOL_SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PICTURE_TYPE = "image/png"
PICTURE_DATA = base64.b64encode(png(2, 2, (11, 107, 133))).decode()

CHAT_FEATURES = frozenset(
    {"prompt", "chat", "stream", "tools", "json", "vision", "images", "thoughts", "errors", "limit"}
)
"""What every dialect of conversations can do; see `Case.needs`."""


class Wrong(Exception):
    """An answer is not what it must be; the words are shown in the table."""


class Called(Struct, frozen=True):
    """A tool call as a client keeps it. `turn`: what the client sends back as the model's turn."""

    id: str
    name: str
    arguments: Any
    turn: Any = None


class Ask(Struct, frozen=True):
    """One question. `earlier`: what was said before, user and model in turn."""

    model: str = "sandbox-echo"
    text: str = "Water rises here, word by word."
    system: str = ""
    earlier: tuple[str, ...] = ()
    stream: bool = False
    picture: bool = False
    tool: bool = False
    answered: Called | None = None
    """The call whose result goes back, as {"celsius": 21}."""
    schema: Json | None = None
    max_tokens: int = 0
    """0: no limit, or a generous one where the dialect demands a limit."""
    count: bool = False
    """Only the tokens are counted."""
    embed: bool = False
    """The text becomes a vector."""
    draw: bool = False
    """The text becomes a picture."""


class Said(Struct):
    """One answer. `endings`: stop, length or tool_calls, one for each finish that was given."""

    text: str = ""
    pieces: int = 0
    """Of a stream: events that brought text."""
    thoughts: str = ""
    calls: list[Called] = []
    pictures: int = 0
    endings: list[str] = []
    input_tokens: int = 0
    output_tokens: int = 0
    vectors: list[list[float]] = []
    failure: str = ""
    """The error inside a stream."""


class Sent(Struct, frozen=True):
    path: str
    body: Json
    headers: Mapping[str, str] = {}
    query: str = ""


class Client(Protocol):
    """One dialect as a strict client knows it. Reading raises Wrong, or trips over what is not there."""

    @property
    def FEATURES(self) -> frozenset[str]:  # noqa: N802 - a constant of the module
        """Of the features that cases need."""
        ...

    @property
    def KINDS(self) -> Mapping[int, str]:  # noqa: N802
        """HTTP status -> the dialect's word for the class of error."""
        ...

    @property
    def OWN_ERRORS(self) -> Mapping[str, tuple[int, str]]:  # noqa: N802
        """Name of a case -> (HTTP status, class of error), where the dialect has others than the case and KINDS say."""
        ...

    @property
    def LENT_MODEL(self) -> str:  # noqa: N802
        """One of Google's that the dialect may name, and the self-test may not use."""
        ...

    @property
    def KEEPALIVE(self) -> frozenset[bytes]:  # noqa: N802
        """What may be written into a silent stream."""
        ...

    def ask(self, ask: Ask) -> Sent: ...
    def read(self, answer: Json) -> Said: ...
    def read_stream(self, data: bytes) -> Said: ...
    def error_kind(self, answer: Json, status: int) -> tuple[str, str]:
        """(kind, message) of an error, after a look at its shape."""
        ...


def demand(condition: object, words: str) -> None:
    if not condition:
        raise Wrong(words)
