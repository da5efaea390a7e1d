"""The cases: what is asked of every dialect that can be asked it, and what must come of it."""

from __future__ import annotations

from msgspec import Struct

from apiproxy.selftest import checks
from apiproxy.selftest.checks import SCHEMA, Check
from apiproxy.selftest.talk import Ask


class Case(Struct, frozen=True):
    """A question that is answered. `needs`: the feature without which a dialect does not have the case."""

    name: str
    needs: str
    ask: Ask
    check: Check
    round_trip: bool = False
    """The call that comes is answered first; the check sees what follows."""


class Refusal(Struct, frozen=True):
    """A question that ends with an error of the upstream."""

    name: str
    model: str
    status: int
    needs: str = "errors"


class Mistake(Struct, frozen=True):
    """A request that the gateway refuses. What is not None replaces that of a right one; `names` stands in the words."""

    name: str
    status: int
    body: bytes | None = None
    model: str = "sandbox-echo"
    """"" is the dialect's LENT_MODEL."""
    key: str | None = None
    method: str = "POST"
    declared_bytes: int | None = None
    poor: bool = False
    """The caller has no credits; only dialects with the feature "errors" have a model to ask for that answers."""
    names: str = ""


_TOOLS = Ask(model="sandbox-tools", text="Rome", tool=True)

CASES = (
    Case("answer", "prompt", Ask(), checks.echoed),
    Case("stream", "stream", Ask(stream=True), checks.streamed),
    Case("instructions", "prompt", Ask(system="Be brief."), checks.heeded),
    Case("conversation", "chat", Ask(earlier=("Hello.", "Hello to you.")), checks.echoed),
    Case("picture in", "vision", Ask(picture=True), checks.saw),
    Case("tool call", "tools", _TOOLS, checks.called),
    Case(
        "tool call, streamed",
        "tools",
        Ask(model="sandbox-tools", text="Rome", tool=True, stream=True),
        checks.called,
    ),
    Case("tool round trip", "tools", _TOOLS, checks.told_the_result, round_trip=True),
    Case("structured output", "json", Ask(text="Rome", schema=SCHEMA), checks.structured),
    Case("picture out", "images", Ask(model="sandbox-image", text="a cat", draw=True), checks.drew),
    # A whole answer of this model waits for all its words: a few are enough.
    Case("reasoning", "thoughts", Ask(model="sandbox-slow", max_tokens=8), checks.thought),
    Case(
        "reasoning, streamed",
        "thoughts",
        Ask(model="sandbox-slow", max_tokens=8, stream=True),
        checks.thought,
    ),
    Case("output limit", "limit", Ask(max_tokens=4), checks.cut_short),
    Case("usage", "prompt", Ask(), checks.metered),
    Case("usage, streamed", "stream", Ask(stream=True), checks.metered),
    Case("token count", "count", Ask(count=True), checks.counted),
    Case("vector", "vectors", Ask(model="sandbox-embed", embed=True), checks.embedded),
    Case(
        "error in a stream",
        "stream",
        Ask(model="sandbox-error-broken-stream", stream=True),
        checks.broke,
    ),
    Case(
        "stream cut off",
        "stream",
        Ask(model="sandbox-error-cut-stream", stream=True),
        checks.not_complete,
    ),
)

REFUSALS = (
    Refusal("upstream: wrong request", "sandbox-error-client", 400),
    Refusal("upstream: key refused", "sandbox-error-auth", 503),
    Refusal("upstream: no licence", "sandbox-error-licence", 503),
    Refusal("upstream: too many requests", "sandbox-error-rate", 429),
    Refusal("upstream: day used up", "sandbox-error-quota", 429),
    Refusal("upstream: no such model", "sandbox-error-model-missing", 404),
    Refusal("upstream: overloaded", "sandbox-error-capacity", 503),
    Refusal("upstream: failure", "sandbox-error-server", 502),
    Refusal("upstream: timeout", "sandbox-error-timeout", 504),
    Refusal("upstream: half an answer", "sandbox-error-cut-stream", 502, needs="chat"),
    Refusal("upstream: empty answer", "sandbox-error-empty", 502),
)

MISTAKES = (
    Mistake("not JSON", 400, body=b'{"model": ', names="not valid JSON"),
    Mistake("not an object", 400, body=b"[]", names="JSON object"),
    Mistake("nothing asked", 400, body=b"{}"),
    Mistake("unknown model", 404, model="no-such-model", names="no-such-model"),
    Mistake("model not allowed", 403, model="", names="gemini-"),
    Mistake("no key", 401, key=""),
    Mistake("wrong key", 401, key="sk-wrong"),
    Mistake("credits used up", 429, model="sandbox-error-empty", poor=True),
    Mistake("wrong method", 405, method="PUT"),
    Mistake("body too large", 413, declared_bytes=10**12),
)

KEEPALIVE = "keep-alive"

GROUPS = (
    ("Answers", (*(case.name for case in CASES), KEEPALIVE)),
    ("Errors of the upstream", tuple(case.name for case in REFUSALS)),
    ("Refused by the gateway", tuple(case.name for case in MISTAKES)),
)
"""(title, names of cases), in the order of the table."""
