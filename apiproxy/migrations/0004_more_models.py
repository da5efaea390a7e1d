from __future__ import annotations

from typing import Any

from django.db import migrations

API = ["gemini_api"]
IMAGE = ["chat", "vision", "image_output"]
CHAT = ["chat", "vision", "audio", "tools", "json", "search"]


def _levels(*levels: str) -> dict[str, Any]:
    return {"control": "level", "levels": list(levels)}


# (name, display name, capabilities, third generation, thinking): reference 3.3, 3.5 and 3.6. Thinking of 3.5 Flash-Lite
# and 3.8 Flash is unverified against Google.
MODELS: list[tuple[str, str, list[str], bool, dict[str, Any]]] = [
    (
        "gemini-3.5-flash-lite",
        "Gemini 3.5 Flash-Lite",
        CHAT,
        True,
        _levels("minimal", "low", "medium", "high"),
    ),
    ("gemini-3.8-flash", "Gemini 3.8 Flash", CHAT, True, _levels("low", "medium", "high")),
    ("gemini-embedding-001", "Gemini Embedding", ["embedding"], False, {}),
    ("gemini-embedding-2", "Gemini Embedding 2", ["embedding"], False, {}),
    ("gemini-3-pro-image-preview", "Gemini 3 Pro Image (preview)", IMAGE, True, {}),
    ("gemini-3.1-flash-lite-image", "Gemini 3.1 Flash-Lite Image", IMAGE, True, {}),
    (
        "gemini-2.5-flash-preview-tts",
        "Gemini 2.5 Flash Speech (preview)",
        ["chat", "audio"],
        False,
        {},
    ),
]

# Models that draw are left out of what is for text alone; these do not.
TEXT_ONLY = [
    "sandbox-echo",
    "sandbox-slow",
    "sandbox-tools",
    "sandbox-error-broken-stream",
    "sandbox-error-cut-stream",
]

# Coding tools that come with a model name of their own work without being told another. Nothing else is mapped: who
# asks for an embedding or a picture of another vendor would get something that does not fit what it has.
ALIASES = {
    "claude-*": "gemini-3.5-flash",
    "claude-*haiku*": "gemini-3.1-flash-lite",
    "claude-*opus*": "gemini-3.1-pro-preview",
    "gpt-5*": "gemini-3.5-flash",
    "gpt-6*": "gemini-3.5-flash",
    "gpt-*codex*": "gemini-3.5-flash",
    "codex-*": "gemini-3.5-flash",
}


def seed(apps: Any, schema_editor: Any) -> None:
    model = apps.get_model("apiproxy", "CatalogueModel")
    for name, display_name, capabilities, third_generation, thinking in MODELS:
        model.objects.get_or_create(
            name=name,
            defaults={
                "display_name": display_name,
                "providers": API,
                "capabilities": capabilities,
                "thinking": thinking,
                "strict_signatures": third_generation,
                "tools_with_json": third_generation,
            },
        )
    model.objects.get_or_create(
        name="sandbox-embed",
        defaults={
            "display_name": "Turns text into vectors",
            "providers": ["sandbox"],
            "capabilities": ["embedding"],
        },
    )
    for entry in model.objects.filter(name__in=TEXT_ONLY):
        entry.capabilities = [one for one in entry.capabilities if one != "image_output"]
        entry.save(update_fields=["capabilities"])
    alias = apps.get_model("apiproxy", "ModelAlias")
    for pattern, target in ALIASES.items():
        alias.objects.get_or_create(pattern=pattern, defaults={"target": target})


class Migration(migrations.Migration):
    dependencies = [("apiproxy", "0003_aliases_and_stores")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
