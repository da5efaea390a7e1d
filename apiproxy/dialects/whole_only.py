"""What OpenAI's endpoints that never stream have in common."""

from __future__ import annotations

from apiproxy.dialects.base import StreamRenderer
from apiproxy.dialects.fields import as_flag
from apiproxy.dialects.openai_errors import error_object
from apiproxy.wire import codec
from apiproxy.wire.types import Call, Json
from gateway.lib.errors import GatewayError, InvalidRequest


def refuse_stream(body: Json) -> None:
    if as_flag(body.get("stream"), "stream"):
        raise InvalidRequest(
            "answers of this endpoint come whole: leave stream out", param="stream"
        )


def stream(call: Call) -> StreamRenderer:
    raise InvalidRequest("answers of this endpoint come whole", param="stream")


def stream_headers(call: Call) -> list[tuple[bytes, bytes]]:
    return []


def render_error(error: GatewayError, request_id: str) -> bytes:
    return codec.dumps(error_object(error, request_id))
