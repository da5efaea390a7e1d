from __future__ import annotations

from typing import Any

from django.db import migrations

API = ["gemini_api"]
IMAGE = ["chat", "vision", "image_output"]

# (name, display name, capabilities, third generation): reference 3.5 and 3.6.
MODELS: list[tuple[str, str, list[str], bool]] = [
    ("gemini-embedding-001", "Gemini Embedding", ["embedding"], False),
    ("gemini-embedding-2", "Gemini Embedding 2", ["embedding"], False),
    ("gemini-3-pro-image-preview", "Gemini 3 Pro Image (preview)", IMAGE, True),
    ("gemini-3.1-flash-lite-image", "Gemini 3.1 Flash-Lite Image", IMAGE, True),
    ("gemini-2.5-flash-preview-tts", "Gemini 2.5 Flash Speech (preview)", ["chat", "audio"], False),
]

# Coding tools that come with a model name of their own work without being told another. Nothing else is mapped: who
# asks for an embedding or a picture of another vendor would get something that does not fit what it has.
ALIASES = {
    "claude-*": "gemini-3.5-flash",
    "claude-*haiku*": "gemini-3.1-flash-lite",
    "claude-*opus*": "gemini-3.1-pro-preview",
    "gpt-5*": "gemini-3.5-flash",
    "gpt-*codex*": "gemini-3.5-flash",
    "codex-*": "gemini-3.5-flash",
}


def seed(apps: Any, schema_editor: Any) -> None:
    model = apps.get_model("apiproxy", "CatalogueModel")
    for name, display_name, capabilities, third_generation in MODELS:
        model.objects.get_or_create(
            name=name,
            defaults={
                "display_name": display_name,
                "providers": API,
                "capabilities": capabilities,
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
    alias = apps.get_model("apiproxy", "ModelAlias")
    for pattern, target in ALIASES.items():
        alias.objects.get_or_create(pattern=pattern, defaults={"target": target})


class Migration(migrations.Migration):
    dependencies = [("apiproxy", "0003_aliases_and_stores")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
