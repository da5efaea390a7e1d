from __future__ import annotations

from typing import Any

from django.db import migrations

BOTH = ["gemini_api", "code_assist"]
API = ["gemini_api"]
CHAT = ["chat", "vision", "audio", "tools", "json", "search"]


def _budget(low: int, high: int, can_disable: bool) -> dict[str, Any]:
    return {"control": "budget", "min_budget": low, "max_budget": high, "can_disable": can_disable}


def _levels(*levels: str) -> dict[str, Any]:
    return {"control": "level", "levels": list(levels)}


ALL = ("minimal", "low", "medium", "high")

# (name, display name, providers, capabilities, thinking, third generation): reference 2.6, 3.3 and 3.5. Thinking of
# 3.5 Flash is unverified against Google.
MODELS: list[tuple[str, str, list[str], list[str], dict[str, Any], bool]] = [
    (
        "gemini-2.5-pro",
        "Gemini 2.5 Pro",
        BOTH,
        [*CHAT, "candidates"],
        _budget(128, 32768, False),
        False,
    ),
    (
        "gemini-2.5-flash",
        "Gemini 2.5 Flash",
        BOTH,
        [*CHAT, "candidates"],
        _budget(0, 24576, True),
        False,
    ),
    (
        "gemini-2.5-flash-lite",
        "Gemini 2.5 Flash-Lite",
        BOTH,
        [*CHAT, "candidates"],
        _budget(512, 24576, True),
        False,
    ),
    ("gemini-3-flash-preview", "Gemini 3 Flash (preview)", BOTH, CHAT, _levels(*ALL), True),
    (
        "gemini-3.1-pro-preview",
        "Gemini 3.1 Pro (preview)",
        BOTH,
        CHAT,
        _levels("low", "medium", "high"),
        True,
    ),
    ("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", BOTH, CHAT, _levels(*ALL), True),
    ("gemini-3.5-flash", "Gemini 3.5 Flash", BOTH, CHAT, _levels(*ALL), True),
    (
        "gemini-2.5-flash-image",
        "Gemini 2.5 Flash Image",
        API,
        ["chat", "vision", "image_output"],
        {},
        False,
    ),
    (
        "gemini-3.1-flash-image",
        "Gemini 3.1 Flash Image",
        API,
        ["chat", "vision", "image_output"],
        _levels("minimal", "high"),
        True,
    ),
    ("gemini-3-pro-image", "Gemini 3 Pro Image", API, ["chat", "vision", "image_output"], {}, True),
    ("gemma-4-31b-it", "Gemma 4 31B", BOTH, ["chat", "vision", "tools"], {}, False),
]

SANDBOX = [
    ("sandbox-echo", "Says what you said"),
    ("sandbox-slow", "Thinks, then streams slowly"),
    ("sandbox-tools", "Calls your first tool"),
    ("sandbox-image", "Draws a small picture"),
    ("sandbox-error-client", "Fails: the request is wrong"),
    ("sandbox-error-auth", "Fails: the credential is refused"),
    ("sandbox-error-licence", "Fails: the account has no licence"),
    ("sandbox-error-rate", "Fails: too many requests"),
    ("sandbox-error-quota", "Fails: the daily quota is used up"),
    ("sandbox-error-model-missing", "Fails: the account lacks the model"),
    ("sandbox-error-capacity", "Fails: the model is overloaded"),
    ("sandbox-error-server", "Fails: an internal error"),
    ("sandbox-error-timeout", "Fails: the deadline passes"),
    ("sandbox-error-broken-stream", "Fails in the middle of the answer"),
    ("sandbox-error-cut-stream", "Stops in the middle of the answer"),
    ("sandbox-error-empty", "Answers with nothing"),
]


def seed(apps: Any, schema_editor: Any) -> None:
    model = apps.get_model("apiproxy", "CatalogueModel")
    for name, display_name, providers, capabilities, thinking, third_generation in MODELS:
        model.objects.get_or_create(
            name=name,
            defaults={
                "display_name": display_name,
                "providers": providers,
                "capabilities": capabilities,
                "thinking": thinking,
                "strict_signatures": third_generation,
                "tools_with_json": third_generation,
            },
        )
    for name, display_name in SANDBOX:
        model.objects.get_or_create(
            name=name,
            defaults={
                "display_name": display_name,
                "providers": ["sandbox"],
                "capabilities": [*CHAT, "image_output"],
                "tools_with_json": True,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("apiproxy", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
