"""The frozen values that travel down the staircase. Their units are in their names; times are epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

Json = dict[str, Any]

ImageStyle = Literal["markdown", "images"]
ImageDelivery = Literal["inline", "url"]
EmbeddingFormat = Literal["float", "base64"]
SoundFormat = Literal["wav", "pcm16"]


class Action(StrEnum):
    GENERATE = "generate"
    COUNT_TOKENS = "count_tokens"
    EMBED = "embed"


class Framing(StrEnum):
    """How a streamed answer is cut. ARRAY is Gemini's answer when the client did not ask for `alt=sse`."""

    SSE = "sse"
    ARRAY = "array"


class Thinking(Struct, frozen=True):
    """What a model accepts in `thinkingConfig` (reference 3.3).

    control: "none" (send nothing), "budget" (thinkingBudget, tokens) or "level" (thinkingLevel).
    """

    control: str = "none"
    min_budget: int = 0
    max_budget: int = 0
    can_disable: bool = False
    levels: tuple[str, ...] = ()


class Variant(Struct, frozen=True):
    """What a model name asks for beside the model (reference 6)."""

    fake_stream: bool = False
    """A streamed answer is made of a whole one."""
    anti_truncation: bool = False
    """A streamed answer that was cut is continued."""
    thinking: str = ""
    """max, high, medium, low, minimal, maxthinking, nothinking or auto, or budget where a number is given."""
    thinking_budget: int = 0
    """Tokens; only where `thinking` is "budget"."""
    search: bool = False
    image_size: str = ""
    """2K or 4K."""


PLAIN = Variant()


class Model(Struct, frozen=True):
    """One entry of the catalogue, or a name Google may know that the catalogue lacks."""

    id: str
    providers: tuple[str, ...]
    display_name: str = ""
    aliases: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset({"chat"})
    """Of: chat, vision, audio, tools, json, search, image_output, candidates, logprobs, embedding."""
    strict_signatures: bool = False
    """Gemini 3: the first call of each step must carry a thought signature (reference 3.3)."""
    tools_with_json: bool = False
    """False: functions, built-in tools and JSON mode exclude each other, as before Gemini 3."""
    thinking: Thinking = Thinking()
    input_limit_tokens: int = 1_048_576
    output_limit_tokens: int = 65_536
    created: int = 0
    listed: bool = True
    """False for a name that only passes through: a client may have made it up."""
    variant: Variant = PLAIN
    """What the name this model was asked for by adds to the call."""
    variant_name: str = ""
    """That name, "" where it adds nothing."""

    @property
    def name(self) -> str:
        """What lists show it under."""
        return self.variant_name or self.id

    @property
    def title(self) -> str:
        """For people."""
        return self.variant_name or self.display_name or self.id

    @property
    def only_speaks(self) -> bool:
        """It reads out what it is given, and takes no tools, safety settings or instructions (reference 3.3)."""
        return "tts" in self.id


class Head(Struct, frozen=True):
    """What is known of a request before its body is read."""

    request_id: str
    received_at: float
    path_model: str = ""
    """Gemini dialect: the {model} of the path, percent-decoded."""
    path_method: str = ""
    """Gemini dialect: generateContent, streamGenerateContent, countTokens, embedContent or batchEmbedContents. Anthropic
    dialect: countTokens, where only the tokens are asked for."""
    sse: bool = True
    """Gemini dialect: the client asked for `alt=sse`."""


class Kept(Struct):
    """What is stored of a Responses call, so that a later one can build on it. `input`: its input items, those it was
    continued from included. `response`: the response object, with encrypted contents; b"" until it is complete."""

    id: str
    input: list[Json]
    response: bytes = b""


class ToolForm(Struct, frozen=True):
    """How the calls of a tool are written in the Responses dialect, where they are no plain function calls."""

    item: str
    """The type of the output item: function_call, custom_tool_call, local_shell_call …"""
    name: str
    namespace: str = ""


class ResponsesRequest(Struct, frozen=True):
    """What only an answer of the Responses dialect has to know of its request."""

    echo: Json
    """Fields that the response object repeats."""
    tool_forms: dict[str, ToolForm]
    """By the name sent upstream."""
    encrypted: bool = False
    """Reasoning items carry `encrypted_content`."""
    signatures: bool = False
    """It was asked for by name: a signature without a thought to show gets a reasoning item of its own."""


class Call(Struct):
    """One client request in the canonical shape. Made by `dialect.parse`; only the body is changed afterwards."""

    head: Head
    dialect: str
    model: Model
    requested_model: str
    """As the client wrote it; answers echo it."""
    action: Action
    stream: bool
    body: Json
    """A Gemini `generateContent` request, camelCase wherever the gateway looks. EMBED: `batchEmbedContents`, or
    `embedContent` where it has no `requests`."""
    framing: Framing = Framing.SSE
    include_usage: bool = False
    chat_images: ImageStyle = "markdown"
    """Chat answers carry pictures in their text ("markdown") or in a field of their own ("images")."""
    single_tool_call: bool = False
    """The client forbade parallel calls: only the first of an answer is delivered."""
    function_names: dict[str, str] = field(default_factory=dict)
    """Name sent upstream -> the client's own name, for those that had to be changed."""
    remote_parts: list[Json] = field(default_factory=list)
    """Parts of `body` shaped {"fileData": {"fileUri": "https://…"}} that are fetched and turned into inlineData."""
    custom_tools: frozenset[str] = frozenset()
    """Upstream names of the OpenAI tools that take free text: sent as functions with one string, `input`."""
    answers: int = 1
    """How many upstream calls make up the answer: image models give one picture a call. Each costs a call."""
    attempts: int = 1
    """How many upstream calls may be made to bring one answer to its end. They cost their tokens, not a call each."""
    image_delivery: ImageDelivery = "inline"
    """"url": pictures are put into the site's storage and the answer links them (fileData with a fileUri)."""
    pictures_only: bool = False
    """Only a picture counts as an answer: an upstream answer without one is neither delivered nor charged."""
    embedding_format: EmbeddingFormat = "float"
    sound_format: SoundFormat = "wav"
    """What a whole chat answer carries speech in; streams carry the bare samples."""
    responses: ResponsesRequest | None = None
    kept: Kept | None = None
    dropped: list[str] = field(default_factory=list)
    """Fields of the client's body that have no meaning upstream; shown in the request's explanation."""


class Credential(Struct, frozen=True):
    """A usable upstream credential, decrypted; `token` is an API key or an OAuth access token."""

    id: int
    provider: str
    token: str = ""
    project: str = ""
    expires_at: float = 0.0
    """When `token` stops working; 0 means never."""
    weight: int = 1
    contributor_id: int = 0
    proxy: str = ""
    """URL of the HTTP or SOCKS proxy that this credential's requests go through, with its password; "" for the site's."""
    label: str = ""
    """For logs and pages: never the secret."""

    def __repr__(self) -> str:
        return f"Credential(id={self.id}, provider={self.provider!r})"


class Endpoints(Struct, frozen=True):
    """Base URLs of the upstreams, without a trailing slash."""

    gemini_api: str = "https://generativelanguage.googleapis.com"
    code_assist: str = "https://cloudcode-pa.googleapis.com"
    resource_manager: str = "https://cloudresourcemanager.googleapis.com"
    service_usage: str = "https://serviceusage.googleapis.com"
    cloud_ai_companion: str = "https://cloudaicompanion.googleapis.com"


class Outgoing(Struct, frozen=True):
    """A request to an upstream. `stream`: the answer is read piece by piece."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    stream: bool = False

    def __repr__(self) -> str:
        return f"Outgoing({self.method} {self.url.partition('?')[0]})"


class Answer(Struct, frozen=True):
    """A complete upstream answer, or an error object found inside a 200 stream (`status` is then its code)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float
    model: str = ""


class Fault(StrEnum):
    """What is to be done about an answer; whose fault it is decides."""

    OK = "ok"
    CLIENT_FAULT = "client_fault"
    """Return it to the client; no credential is blamed."""
    RETRY = "retry"
    """Nobody's fault here (server, capacity, network): again after a pause, no credential is blamed."""
    REFRESH = "refresh"
    """The access token was refused: refresh it once and repeat with the same credential."""
    NEXT_CREDENTIAL = "next_credential"
    """This credential cannot serve this call, and nothing is to be remembered of it."""
    COOL_DOWN = "cool_down"
    """Rest the credential (for this model, or for all) until `until`, and try the next."""
    DISABLE = "disable"
    """It needs a person: take the credential out of the pool with `reason`, and try the next."""


class Verdict(Struct, frozen=True):
    """The judgement on an upstream answer.

    kind: one of client, auth, licence, verification, banned, configuration, location, model_missing, rate, quota,
    capacity, credits, server, timeout, network. reason: a stable snake_case word for pages and states
    (`rate_limited`, `daily_quota`, `api_key_invalid`, `subscription_required` …). message: words that are safe to
    show to the client. until: for COOL_DOWN. whole: the credential rests for every model, not only this one.
    guessed: the upstream named no time, so `until` is a rule of thumb. help_url: where a human solves it (verification,
    activation).
    """

    fault: Fault
    kind: str = ""
    reason: str = ""
    message: str = ""
    status: int = 200
    until: float = 0.0
    whole: bool = False
    help_url: str = ""
    guessed: bool = False
    builtin: Verdict | None = None
    """The built-in judgement, where a rule of this site (apiproxy/rules.py) put another in its place."""
    rule: str = ""
    """That rule's name."""

    @property
    def explained(self) -> str:
        """The reason, and which rule made it count."""
        return f"{self.rule}: {self.reason}" if self.rule else self.reason


OK = Verdict(fault=Fault.OK)


class Usage(Struct, frozen=True):
    """Tokens of one call. `input_tokens` includes the cached ones; `output_tokens` excludes the thinking ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
