"""The public API beside generation: model list, embeddings, video operations, cached contents."""

import hashlib
import math
from typing import Any

from aiohttp import web

from tests.fakes.google_generate import parse_public, public_model
from tests.fakes.google_models import PUBLIC_MODELS
from tests.fakes.google_scripts import Recorded
from tests.fakes.google_state import State
from tests.fakes.google_status import Refused, invalid, status_body
from tests.fakes.google_turns import Scope, check_parts

Json = dict[str, Any]

_FULL_SIZE = 3072
_VIDEO = b"\x00\x00\x00\x18ftypmp42fake video of the fake"


def _not_found(text: str = "Requested entity was not found.") -> Refused:
    return Refused(404, status_body(404, "NOT_FOUND", text))


async def list_models(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Pages of 50, at most 1000; the token says where the next begins."""
    try:
        size = int(record.query.get("pageSize") or 50)
        start = int(record.query.get("pageToken") or 0)
    except ValueError as exc:
        raise invalid("Invalid page token or page size.") from exc
    if size < 0:
        raise invalid("page_size must not be negative")
    size = min(size or 50, 1000)
    models = [model.resource() for model in PUBLIC_MODELS.values()]
    answer: Json = {"models": models[start : start + size]}
    if start + size < len(models):
        answer["nextPageToken"] = str(start + size)
    return web.json_response(answer)


async def get_model(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    model = PUBLIC_MODELS.get(match["model"])
    if model is None:
        raise _not_found(f"Model is not found: models/{match['model']} for api version v1beta")
    return web.json_response(model.resource())


# ---------------------------------------------------------------------------- embeddings


def _embedded(body: Json, match: Json, state: State, path: str = "") -> Json:
    model = public_model(match["model"], match["version"], "embedContent")
    named = body.get("model")
    if named not in (None, f"models/{model.name}"):
        text = "model must be the model of the URL"
        raise invalid(f"* {path}model: {text}, models/{model.name}\n", (f"{path}model", text))
    scope = Scope(model, False, state.signatures, "EmbedContentRequest")
    content = body.get("content", {})
    check_parts(content, "content", scope)
    if not model.embeds_media and any("text" not in part for part in content["parts"]):
        raise invalid(f"models/{model.name} embeds text only")
    size = body.get("outputDimensionality", _FULL_SIZE)
    if not 1 <= size <= _FULL_SIZE:
        raise scope.complaint("output_dimensionality", f"must be between 1 and {_FULL_SIZE}")
    return {"values": _vector("".join(map(_said, content["parts"])), size)}


def _said(part: Json) -> str:
    return part.get("text") or part.get("inlineData", {}).get("data", "")


def _vector(text: str, size: int) -> list[float]:
    """The same for the same text; a smaller one is a prefix and so not of length 1, as Google's."""
    seed = hashlib.sha256(text.encode()).digest()
    raw = [seed[place % 32] - 127.5 + place % 7 for place in range(_FULL_SIZE)]
    length = math.sqrt(sum(value * value for value in raw))
    return [round(value / length, 9) for value in raw[:size]]


async def embed(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    body = parse_public("EmbedContentRequest", record.body)
    return web.json_response({"embedding": _embedded(body, match, state)})


async def batch_embed(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Unlike the single call, each request must repeat the model."""
    requests = parse_public("BatchEmbedContentsRequest", record.body).get("requests", [])
    if not 1 <= len(requests) <= 100:
        text = "at least one and at most 100 requests can be in one batch"
        raise invalid(f"* BatchEmbedContentsRequest.requests: {text}\n", ("requests", text))
    embeddings = []
    for index, one in enumerate(requests):
        path = f"BatchEmbedContentsRequest.requests[{index}]."
        if "model" not in one:
            raise invalid(
                f"* {path}model: model is not specified\n", (f"requests[{index}].model", "")
            )
        embeddings.append(_embedded(one, match, state, path))
    return web.json_response({"embeddings": embeddings})


# ---------------------------------------------------------------------------- video


async def start_video(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    model = public_model(match["model"], match["version"], "predictLongRunning")
    body = parse_public("PredictLongRunningRequest", record.body)
    instances = body.get("instances")
    if not isinstance(instances, list) or not instances or not instances[0].get("prompt"):
        raise invalid("The prompt is missing.", ("instances", "prompt is not specified"))
    name = f"models/{model.name}/operations/fake{record.id}"
    with state.changed:
        state.operations[name] = {"key": record.credential, "polls": 0}
    return web.json_response({"name": name})


async def poll_video(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Done at the second poll. The operation belongs to the project of the key that began it."""
    name = f"models/{match['model']}/operations/{match['operation']}"
    running = state.operations.get(name)
    if running is None or running["key"] != record.credential:
        raise _not_found()
    with state.changed:
        running["polls"] += 1
    if running["polls"] < 2:
        return web.json_response({"name": name})
    uri = f"{state.url}/v1beta/files/{match['operation']}:download?alt=media"
    samples = {"generatedSamples": [{"video": {"uri": uri}}]}
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
    response = {"@type": kind, "generateVideoResponse": samples}
    return web.json_response({"name": name, "done": True, "response": response})


async def download_video(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Redirects once, as the real host does, and wants the same key both times."""
    owners = {
        name.rpartition("/")[2]: running["key"]
        for name, running in state.operations.items()
        if "key" in running
    }
    if owners.get(match["file"]) != record.credential:
        text = f"You do not have permission to access the File {match['file']} or it may not exist."
        raise Refused(403, status_body(403, "PERMISSION_DENIED", text))
    if "redirected" not in record.query:
        uri = f"{state.url}/v1beta/files/{match['file']}:download?alt=media&redirected=1"
        return web.Response(status=302, headers={"Location": uri})
    return web.Response(body=_VIDEO, content_type="video/mp4")


async def predict(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Imagen is shut down; every model answers as an unknown one."""
    public_model(match["model"], match["version"], "predict")
    raise AssertionError("no model of the fake serves predict")
