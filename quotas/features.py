"""The features of a call that may have a price of their own, with the words that pages use for them. Pure.

`apiproxy.shaping.features` finds them in a call; multipliers are set for them (quotas/models/prices.py).
"""

from __future__ import annotations

FEATURES: dict[str, str] = {
    "anti_truncation": "answers that are continued until they are whole",
    "fake_stream": "whole answers sent as a stream",
    "search": "search the web",
    "code_execution": "run code",
    "url_context": "read web pages",
    "google_maps": "look at maps",
    "file_search": "search files",
    "computer_use": "use a computer",
    "image_512": "pictures, 512 pixels",
    "image_1k": "pictures, 1K",
    "image_2k": "pictures, 2K",
    "image_4k": "pictures, 4K",
    "thinking_nothinking": "thinking off by name",
    "thinking_minimal": "minimal thinking by name",
    "thinking_low": "low thinking by name",
    "thinking_medium": "medium thinking by name",
    "thinking_high": "high thinking by name",
    "thinking_max": "most thinking by name",
    "thinking_maxthinking": "most thinking by name (older spelling)",
    "thinking_auto": "thinking as the model likes, by name",
    "thinking_budget": "thinking tokens by name",
}

SIZES = frozenset(name for name in FEATURES if name.startswith("image_"))

TOOLS: dict[str, str] = {
    "googleSearch": "search",
    "google_search": "search",
    "googleSearchRetrieval": "search",
    "google_search_retrieval": "search",
    "enterpriseWebSearch": "search",
    "enterprise_web_search": "search",
    "codeExecution": "code_execution",
    "code_execution": "code_execution",
    "urlContext": "url_context",
    "url_context": "url_context",
    "googleMaps": "google_maps",
    "google_maps": "google_maps",
    "fileSearch": "file_search",
    "file_search": "file_search",
    "computerUse": "computer_use",
    "computer_use": "computer_use",
}
"""Gemini's tools, in either spelling."""
