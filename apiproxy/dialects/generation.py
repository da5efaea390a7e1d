"""Sampling and output options -> `generationConfig` (reference 3.3, 5.1). Ranges are checked, limits clamped."""

from __future__ import annotations

from typing import Any

from apiproxy.dialects import schema
from apiproxy.dialects.fields import (
    as_choice,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_text,
    either,
    wrong,
)
from apiproxy.wire.types import Json, Model
from gateway.lib.errors import InvalidRequest

_MAX_STOP_SEQUENCES = 5
_MAX_CANDIDATES = 8
_MAX_LOGPROBS = 20
_INT32 = 0x7FFF_FFFF
_ANY_INTEGER = 2**63
_MODALITIES = ("text", "image", "audio")


def add_sampling(config: Json, body: Json) -> None:
    """temperature, top_p, top_k and seed, spelled alike in the client dialects that have them."""
    if (temperature := body.get("temperature")) is not None:
        config["temperature"] = as_number(temperature, "temperature", 0, 2)
    if (top_p := body.get("top_p")) is not None:
        config["topP"] = as_number(top_p, "top_p", 0, 1)
    if (top_k := body.get("top_k")) is not None and as_integer(
        top_k, "top_k", -_ANY_INTEGER, _ANY_INTEGER
    ) > 0:
        # Zero and less switch it off in the clients that send it.
        config["topK"] = min(int(top_k), _INT32)
    if (seed := body.get("seed")) is not None:
        # Clients' seeds have 64 bits, the upstream's 31; the same seed stays the same.
        config["seed"] = as_integer(seed, "seed", -_ANY_INTEGER, 2 * _ANY_INTEGER) & _INT32


def add_output_limit(config: Json, body: Json, model: Model, *keys: str) -> None:
    """The first of `keys` that is given; thinking tokens count against it upstream."""
    for key in keys:
        if (limit := body.get(key)) is not None:
            wanted = as_integer(limit, key, 1, _ANY_INTEGER)
            config["maxOutputTokens"] = min(wanted, model.output_limit_tokens)
            return


def add_stop(config: Json, value: Any, at: str, dropped: list[str]) -> None:
    if value is None:
        return
    given = [value] if isinstance(value, str) else as_list(value, at)
    stops = [text for n, item in enumerate(given) if (text := as_text(item, f"{at}[{n}]"))]
    if len(stops) > _MAX_STOP_SEQUENCES:
        dropped.append(f"{at}: only the first {_MAX_STOP_SEQUENCES} are used")
    if stops:
        config["stopSequences"] = stops[:_MAX_STOP_SEQUENCES]


def add_candidates(config: Json, value: Any, model: Model) -> None:
    if value is None:
        return
    count = as_integer(value, "n", 1, _MAX_CANDIDATES)
    if count == 1:
        return
    if "candidates" not in model.capabilities:
        raise InvalidRequest(f"{model.id} gives one answer a request: n must be 1", param="n")
    config["candidateCount"] = count


def add_logprobs(config: Json, body: Json, model: Model, dropped: list[str]) -> None:
    """Most models refuse them (reference 3.3), so only a model that says it has them is asked."""
    if not body.get("logprobs"):
        return
    if "logprobs" not in model.capabilities:
        dropped.append(f"logprobs: {model.id} gives none")
        return
    config["responseLogprobs"] = True
    if (top := body.get("top_logprobs")) is not None:
        config["logprobs"] = as_integer(top, "top_logprobs", 0, _MAX_LOGPROBS)


def note_penalties(body: Json, dropped: list[str]) -> None:
    dropped.extend(
        f"{key}: refused by the upstream unless zero"
        for key in ("presence_penalty", "frequency_penalty")
        if body.get(key)
    )


def add_response_format(
    config: Json, value: Any, at: str, dropped: list[str] | None = None
) -> None:
    if value is None:
        return
    given = as_object(value, at)
    kind = as_choice(given.get("type"), f"{at}.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return
    config["responseMimeType"] = "application/json"
    if kind == "json_schema":
        wrapped = as_object(given.get("json_schema"), f"{at}.json_schema")
        add_output_schema(config, wrapped.get("schema"), f"{at}.json_schema.schema", dropped)


def add_output_schema(config: Json, wanted: Any, at: str, dropped: list[str] | None = None) -> None:
    """JSON mode; None: of any shape."""
    config["responseMimeType"] = "application/json"
    if wanted is not None:
        config["responseJsonSchema"] = schema.clean(wanted, at, dropped)


def add_modalities(config: Json, value: Any, model: Model) -> None:
    """Models that draw or speak are asked to, even by clients that do not know the field."""
    if value is None:
        if "image_output" in model.capabilities:
            config["responseModalities"] = ["TEXT", "IMAGE"]
        elif model.only_speaks:
            config["responseModalities"] = ["AUDIO"]
        return
    given = as_list(value, "modalities")
    wanted = [as_choice(item, f"modalities[{n}]", _MODALITIES) for n, item in enumerate(given)]
    if "audio" in wanted:
        # Models that speak do nothing else, also for clients that must say "text" beside it.
        config["responseModalities"] = ["AUDIO"]
    elif wanted and wanted != ["text"]:
        config["responseModalities"] = [word.upper() for word in dict.fromkeys(wanted)]


def add_speech(config: Json, value: Any) -> None:
    """`audio` {voice, format} of a request for spoken output; the upstream takes no format."""
    if value is None or "AUDIO" not in config.get("responseModalities", ()):
        return
    voice = as_object(value, "audio").get("voice")
    if voice is not None:
        name = as_text(voice, "audio.voice")
        config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}


def add_image_config(config: Json, value: Any, at: str) -> None:
    if value is None:
        return
    given = as_object(value, at)
    image: Json = {}
    if (ratio := either(given, "aspect_ratio", "aspectRatio")) is not None:
        image["aspectRatio"] = as_text(ratio, f"{at}.aspect_ratio")
    if (size := either(given, "image_size", "imageSize")) is not None:
        # The K must be a capital.
        image["imageSize"] = as_text(size, f"{at}.image_size").upper()
    if image:
        config["imageConfig"] = image


def safety_settings(value: Any, at: str) -> list[Json]:
    settings = [as_object(item, f"{at}[{n}]") for n, item in enumerate(as_list(value, at))]
    seen: set[str] = set()
    for number, item in enumerate(settings):
        here = f"{at}[{number}]"
        category = as_text(item.get("category"), f"{here}.category")
        as_text(item.get("threshold"), f"{here}.threshold")
        if category in seen:
            raise wrong(f"{here}.category", category, "named only once")
        seen.add(category)
    return settings
