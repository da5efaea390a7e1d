"""What whole and streamed answers of the Messages dialect have in common (reference 5.7)."""

from __future__ import annotations

from apiproxy.dialects import citations, finish
from apiproxy.dialects.blocks import Blocks
from apiproxy.dialects.content import as_written, call_name, media_url
from apiproxy.wire.types import Call, Json, Usage


def message_object(call: Call, content: list[Json], ending: Json, usage: Json) -> Json:
    """`ending`: see `ending_of`."""
    return {
        "id": "msg_" + call.head.request_id.removeprefix("req_"),
        "type": "message",
        "role": "assistant",
        "model": call.requested_model,
        "content": content,
        **ending,
        "usage": usage,
    }


def ending_of(blocks: Blocks) -> Json:
    """The upstream does not say which stop sequence it met."""
    ending: Json = {
        "stop_reason": finish.anthropic_reason(blocks.ending, called=blocks.calls > 0),
        "stop_sequence": None,
    }
    if blocks.blocked and not blocks.ending:
        ending["stop_reason"] = "refusal"
        ending["stop_details"] = {
            "type": "refusal",
            "category": None,
            "explanation": finish.blocked_text(blocks.blocked),
        }
    return ending


def usage_object(usage: Usage) -> Json:
    """Cached tokens stand beside the prompt's here, not among them."""
    return {
        "input_tokens": max(usage.input_tokens - usage.cached_tokens, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens + usage.thinking_tokens,
        "output_tokens_details": {"thinking_tokens": usage.thinking_tokens},
    }


def tool_use(part: Json, call: Call) -> Json:
    """The relay has given every call an id."""
    return {
        "type": "tool_use",
        "id": part["functionCall"].get("id"),
        "name": call_name(part, call),
        "input": part["functionCall"].get("args") or {},
    }


def media_text(part: Json) -> str:
    """No assistant block may hold a picture or sound, so it is linked in Markdown."""
    blob = part.get("inlineData") or part.get("fileData") or {}
    is_sound = as_written(blob.get("mimeType")).startswith("audio/")
    return f"{'[audio]' if is_sound else '![image]'}({media_url(part)})"


def citations_of(blocks: Blocks) -> list[Json]:
    """A reader only shows them: nothing is found again by their index."""
    return [
        {
            "type": "web_search_result_location",
            "url": cited["url"],
            "title": cited["title"],
            "cited_text": cited["text"],
            "encrypted_index": "",
        }
        for cited in citations.web_citations(blocks.grounding)
    ]


def search_blocks(blocks: Blocks, call: Call) -> list[Json]:
    """The search and what it found, for clients that offered the tool; they stand last, as the upstream tells them."""
    query, sources = citations.web_sources(blocks.grounding)
    offered = {"googleSearch": {}} in call.body.get("tools", ()) and not call.model.variant.search
    if not sources or not offered:
        return []
    search_id = "srvtoolu_" + call.head.request_id.removeprefix("req_")
    found = [
        {"type": "web_search_result", **source, "encrypted_content": "", "page_age": None}
        for source in sources
    ]
    return [
        {
            "type": "server_tool_use",
            "id": search_id,
            "name": "web_search",
            "input": {"query": query},
        },
        {"type": "web_search_tool_result", "tool_use_id": search_id, "content": found},
    ]
