"""Canonical replies -> a response object, or the events that end in it (reference 4.4, 5.5)."""

from __future__ import annotations

from apiproxy.dialects.openai_errors import error_object
from apiproxy.dialects.openai_responses_output import Output
from apiproxy.dialects.openai_responses_request import response_id_of
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json, Usage
from apiproxy.wire.usage import usage_of
from gateway.lib.errors import GatewayError, QuotaExhausted, RateLimited, StreamBroken


def render(call: Call, replies: list[Json]) -> bytes:
    """Raises StreamBroken for an answer that ended in the middle of a tool call."""
    output = Output(call, _unheard, _token(call))
    usage = Usage()
    for reply in replies:
        output.feed(reply)
        usage = usage_of(reply) or usage
    return codec.dumps(_finished(call, output, usage))


class ResponsesStream:
    keepalive = b": keep-alive\n\n"

    def __init__(self, call: Call) -> None:
        self._call = call
        self._events: list[bytes] = []
        self._sequence = 0
        self._begun = False
        self._output = Output(call, self._emit, _token(call))

    def feed(self, reply: Json) -> bytes:
        self._begin()
        self._output.feed(reply)
        return self._taken()

    def close(self, usage: Usage) -> bytes:
        self._begin()
        try:
            response = _finished(self._call, self._output, usage)
        except StreamBroken as broken:
            self._call.kept = None
            return self.error(broken)
        self._emit(f"response.{response['status']}", response=response)
        return self._taken()

    def error(self, error: GatewayError) -> bytes:
        self._begin()
        shown = error_object(error, self._call.head.request_id)["error"]
        response = _response(self._call, "failed", self._output.items)
        response["error"] = {"code": _failure_code(error), "message": shown["message"]}
        self._emit("response.failed", response=response)
        return self._taken()

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        response = _response(self._call, "in_progress", [])
        self._emit("response.created", response=response)
        self._emit("response.in_progress", response=response)

    def _emit(self, kind: str, **fields: object) -> None:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        self._events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), codec.dumps(event)))

    def _taken(self) -> bytes:
        data = b"".join(self._events)
        self._events.clear()
        return data


def _unheard(kind: str, **fields: object) -> None:
    """Events of an answer that is not streamed."""


def _token(call: Call) -> str:
    """What the ids of a response and of its items have in common."""
    return call.head.request_id.removeprefix("req_")


def _finished(call: Call, output: Output, usage: Usage) -> Json:
    output.close()
    response = _response(call, "incomplete" if output.incomplete else "completed", output.items)
    if output.incomplete:
        response["incomplete_details"] = {"reason": output.incomplete}
    response["usage"] = _usage_object(usage)
    if call.kept is not None:
        call.kept.response = codec.encode({**response, "output": output.sealed()})
    return response


def _response(call: Call, status: str, output: list[Json]) -> Json:
    return {
        "id": response_id_of(call.head.request_id),
        "object": "response",
        "created_at": int(call.head.received_at),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": call.requested_model,
        "output": output,
        "usage": None,
        **(call.responses.echo if call.responses else {}),
    }


def _usage_object(usage: Usage) -> Json:
    """Cached tokens are part of the input's, thinking ones of the output's (reference 5.5)."""
    output = usage.output_tokens + usage.thinking_tokens
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.input_tokens + output,
    }


def _failure_code(error: GatewayError) -> str:
    if isinstance(error, RateLimited | QuotaExhausted):
        return error.code
    return "server_error" if error.status >= 500 else "invalid_prompt"
