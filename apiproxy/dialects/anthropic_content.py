"""Content blocks of a Messages request, other than thoughts, calls and their answers -> canonical parts (5.6)."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import media
from apiproxy.dialects.fields import as_choice, as_list, as_object, as_text
from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

# Traces of what ran on Anthropic's servers; the text beside them says what came of it.
_TRACE_ENDINGS = ("_tool_use", "_tool_result")
_LEFT_OUT = frozenset(
    {
        "redacted_thinking",
        "container_upload",
        "tool_addition",
        "tool_removal",
        "mcp_tool_listing",
        "browser_state",
        "fallback",
    }
)
_DOCUMENT_SOURCES = ("base64", "text", "url", "content", "file")
_IMAGE_SOURCES = ("base64", "url", "file")
_KNOWN = "text, image, document, search_result, thinking, tool_use or tool_result"


class Content:
    """Web addresses are put on `remote`, what has no meaning upstream on `dropped`."""

    def __init__(self, remote: list[Json], dropped: list[str]) -> None:
        self._remote = remote
        self._dropped = dropped

    def note(self, words: str) -> None:
        """Once a request, however long its history."""
        if words not in self._dropped:
            self._dropped.append(words)

    def parts(self, block: Json, at: str) -> list[Json]:
        """Empty texts are left out."""
        match block.get("type"):
            case "text":
                return _text(as_text(block.get("text"), f"{at}.text"))
            case "image":
                return [self._image(block.get("source"), f"{at}.source")]
            case "document":
                return self._document(block, at)
            case "search_result":
                return self._search_result(block, at)
            case "compaction":
                # The summary that stands for the turns before it.
                return _text(as_text(block.get("content") or "", f"{at}.content"))
            case "tool_reference":
                # All tools are offered from the start here.
                name = as_text(block.get("tool_name"), f"{at}.tool_name")
                return _text(f"The tool {name} can be called.")
            case str() as kind if kind in _LEFT_OUT or kind.endswith(_TRACE_ENDINGS):
                self.note(f"{kind} blocks")
                return []
        raise InvalidRequest(f"{at}.type must be {_KNOWN}", param=f"{at}.type")

    def _image(self, value: Any, at: str) -> Json:
        source = as_object(value, at)
        kind = as_choice(source.get("type"), f"{at}.type", _IMAGE_SOURCES)
        return self._file(source, kind, at)

    def _file(self, source: Json, kind: str, at: str) -> Json:
        if kind == "base64":
            mime = as_text(source.get("media_type"), f"{at}.media_type")
            return media.inline(mime, as_text(source.get("data"), f"{at}.data"), f"{at}.data")
        if kind == "url":
            return media.from_url(
                as_text(source.get("url"), f"{at}.url"), f"{at}.url", self._remote
            )
        raise InvalidRequest(
            "uploaded files are not kept here: send the file itself as base64", param=f"{at}.type"
        )

    def _document(self, block: Json, at: str) -> list[Json]:
        parts = self._heading(block, at)
        at = f"{at}.source"
        source = as_object(block.get("source"), at)
        kind = as_choice(source.get("type"), f"{at}.type", _DOCUMENT_SOURCES)
        if kind == "text":
            return parts + _text(as_text(source.get("data"), f"{at}.data"))
        if kind == "content":
            return parts + self._inner(source.get("content"), f"{at}.content")
        return [*parts, self._file(source, kind, at)]

    def _heading(self, block: Json, at: str) -> list[Json]:
        """`title` and `context`, which the model is shown as well."""
        lines = [
            as_text(block[key], f"{at}.{key}")
            for key in ("title", "context")
            if block.get(key) is not None
        ]
        return _text("\n".join(lines))

    def _search_result(self, block: Json, at: str) -> list[Json]:
        title = as_text(block.get("title"), f"{at}.title")
        source = as_text(block.get("source"), f"{at}.source")
        return [
            {"text": f"{title}\n{source}"},
            *self._inner(block.get("content"), f"{at}.content"),
        ]

    def _inner(self, value: Any, at: str) -> list[Json]:
        """A string, or blocks of text and pictures."""
        if isinstance(value, str):
            return _text(value)
        parts: list[Json] = []
        for number, item in enumerate(as_list(value, at)):
            here = f"{at}[{number}]"
            block = as_object(item, here)
            as_choice(block.get("type"), f"{here}.type", ("text", "image"))
            parts += self.parts(block, here)
        return parts


def _text(text: str) -> list[Json]:
    return [{"text": text}] if text else []
