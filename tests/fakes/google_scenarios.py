"""The names tests may script, which calls each applies to, and every option.

Most names for generation are a content (``google_answers``) with preset options of the delivery
(``google_delivery``), so that options combine:
``script("tool_call", newline="\\n", usage="last")``.
"""

from dataclasses import dataclass, field
from typing import Any

GENERATE = ("generate",)


@dataclass(frozen=True)
class Scenario:
    content: str
    kinds: tuple[str, ...] = GENERATE
    options: dict[str, Any] = field(default_factory=dict)


def _text(**options: Any) -> Scenario:
    return Scenario("text", GENERATE, options)


_SEPARATORS = "one\u2028two\u2029three\u0085four"
_MULTI_BYTE = "Grüße aus 東京 🏔️ – ça va"

_CONTENTS = {
    name: Scenario(name)
    for name in (
        "text",
        "auto",
        "thoughts",
        "thoughts_only",
        "tool_call",
        "parallel_calls",
        "image",
        "grounding",
        "code_execution",
        "candidates",
        "max_tokens_empty",
        "blocked_prompt",
        "no_content",
        "json",
        "error",
    )
}

_VARIANTS = {
    "call_then_stop": Scenario("tool_call", GENERATE, {"separate_stop": True}),
    "call_without_id": Scenario("tool_call", GENERATE, {"ids": False}),
    "call_without_args": Scenario("tool_call", GENERATE, {"args": False}),
    "finish": _text(),
    "max_tokens": _text(finish_reason="MAX_TOKENS"),
    "usage_last": _text(usage="last"),
    "usage_all": _text(usage="all"),
    "usage_never": _text(usage="never"),
    "no_finish": _text(finish=False),
    "unterminated": _text(terminate=False),
    "empty_stream": _text(empty=True),
    "error_first": _text(error_at="first"),
    "error_first_bare": _text(error_at="first", error_form="bare"),
    "error_middle": _text(error_at="middle"),
    "error_middle_bare": _text(error_at="middle", error_form="bare"),
    "reset_before_headers": _text(reset_at="headers"),
    "reset_mid_stream": _text(reset_at="middle"),
    "silence": _text(silence_s=20, silence_at="first"),
    "silence_headers": _text(silence_s=20, silence_at="headers"),
    "silence_mid": _text(silence_s=20, silence_at="middle"),
    "slow": _text(count=10, interval_s=0.05),
    "crlf": _text(newline="\r\n"),
    "lf": _text(newline="\n"),
    "multiline_data": _text(multiline=True),
    "comments": _text(comments=True),
    "event_lines": _text(event_lines=True),
    "no_space": _text(tight=True),
    "blank_lines": _text(blank_lines=True),
    "torn": _text(text=_MULTI_BYTE, tear=True),
    "dribble": _text(text=_MULTI_BYTE, piece_bytes=7),
    "separators": _text(text=_SEPARATORS),
    "huge_line": Scenario("image", GENERATE, {"size": 6 * 1024 * 1024}),
    "gzip": _text(gzip=True),
    "broken_json": _text(broken=True),
    "html_502": Scenario("error", GENERATE, {"form": "html", "status": 502}),
    "html_503": Scenario("error", GENERATE, {"form": "html", "status": 503}),
}


def _family(kind: str, *names: str, **presets: dict[str, Any]) -> dict[str, Scenario]:
    return {name: Scenario(name, (kind,), presets.get(name, {})) for name in names}


_TOKEN = _family(
    "token",
    "refresh_ok",
    "refresh_rotating",
    "no_refresh_token",
    "slow_refresh",
    "invalid_grant",
    "invalid_rapt",
    "invalid_client",
    "unauthorized_client",
    "oauth_429",
    "oauth_html",
    slow_refresh={"seconds": 0.5},
)
_SETUP = {
    **_family("consent", "consent_denied"),
    **_family(
        "load",
        "load_free",
        "load_standard",
        "load_not_onboarded",
        "load_unsupported_client",
        "load_validation_required",
        "load_security_policy",
    ),
    **_family(
        "onboard",
        "onboard_at_once",
        "onboard_third_poll",
        "onboard_empty",
        "onboard_precondition",
        onboard_third_poll={"polls": 3},
    ),
    **_family("projects", "projects_none", "projects_forbidden"),
    **_family("service", "service_enabled", "service_disabled", "service_forbidden"),
}

SCENARIOS: dict[str, Scenario] = {**_CONTENTS, **_VARIANTS, **_TOKEN, **_SETUP}

CONTENT_OPTIONS = {
    "text",  # the whole answer
    "quote",  # a pattern: what of the request it finds is put at the end of the text
    "chunks",  # one stream event each: a string, a list of parts, or a whole response object
    "thoughts",  # thought summary put before the text
    "thoughts_tokens",  # thoughtsTokenCount without a summary
    "calls",  # [{name, args, id?}]; always called, also after function responses
    "count",  # number of text chunks, or of parallel calls
    "spread",  # each parallel call in an event of its own
    "separate_stop",  # finishReason in a later event with an empty text part
    "ids",
    "args",
    "signed",  # False: no thought signatures
    "finish_reason",
    "finish_message",
    "candidates",
    "image",  # base64
    "mime",
    "size",  # bytes of image before base64
    "thought_image",
    "block_reason",
    "shape",  # max_tokens_empty: no_parts or no_content
    "json",  # the JSON answer instead of one made from the schema
    "extra",  # merged into the last candidate: avgLogprobs, citationMetadata, ...
    "usage",  # all, last, never
    "usage_metadata",  # merged into every usageMetadata sent
    "cached_tokens",
    "model_version",
    "consumed_credits",
}
DELIVERY_OPTIONS = {
    "newline",
    "multiline",
    "comments",
    "event_lines",
    "tight",
    "blank_lines",
    "tear",
    "piece_bytes",
    "gzip",
    "ascii",
    "terminate",
    "finish",
    "empty",
    "broken",
    "interval_s",
    "silence_s",
    "silence_at",  # headers, first, middle
    "reset_at",  # headers, first, middle, end
    "reset_how",  # rst, fin
    "error",  # a name of ERRORS
    "error_at",  # first, middle, end: inside a 200 stream
    "error_form",  # data, bare, bare_line
    "form",  # of an HTTP error: see FORMS
    "status",
    "headers",
}
FACT_OPTIONS = {"reset_s", "retry_s", "project", "project_number", "key", "now"}
OTHER_OPTIONS = {"seconds", "expires_in", "polls", "project_form"}
OPTIONS = CONTENT_OPTIONS | DELIVERY_OPTIONS | FACT_OPTIONS | OTHER_OPTIONS


def scenario_kinds(name: str) -> tuple[str, ...]:
    return SCENARIOS[name].kinds
