"""Rules about everything in a generateContent request but its contents."""

import re
from typing import Any

from tests.fakes.google_json_schema import check_json_schema
from tests.fakes.google_shapes import PUBLIC_HARMS
from tests.fakes.google_status import Refused, invalid
from tests.fakes.google_turns import Scope, check_contents, check_parts

Json = dict[str, Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,63}")
_NAME_RULE = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, "
    "A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
)
_MIME_TYPES = ("", "text/plain", "application/json", "text/x.enum")
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_LONG_RATIOS = ("1:4", "4:1", "1:8", "8:1")
# The modality of an answer beside text, by what a model puts out.
_OUTPUTS = {"image": {"IMAGE"}, "audio": {"AUDIO"}}
_BUILT_IN = (
    "googleSearch",
    "urlContext",
    "codeExecution",
    "googleMaps",
    "fileSearch",
    "computerUse",
    "enterpriseWebSearch",
    "retrieval",
)


def check_request(body: Json, scope: Scope) -> None:
    """``body`` is the parsed Gemini request of either upstream."""
    check_contents(body.get("contents", []), scope)
    model = f"models/{scope.model.name}"
    if "systemInstruction" in body:
        if not scope.model.takes_system:
            raise invalid(f"Developer instruction is not enabled for {model}")
        check_parts(body["systemInstruction"], "system_instruction", scope)
    if body.get("cachedContent") and any(
        field in body for field in ("systemInstruction", "tools", "toolConfig")
    ):
        raise invalid(
            "CachedContent can not be used with GenerateContent request setting "
            "system_instruction, tools or tool_config."
        )
    config = body.get("generationConfig", {})
    _check_sampling(config, scope)
    _check_thinking(config.get("thinkingConfig", {}), scope)
    _check_output(config, scope)
    _check_safety(body.get("safetySettings", []), scope)
    _check_tools(body.get("tools", []), scope)
    _check_combination(body, scope)
    _check_tool_config(body, scope)
    _check_json_with_tools(config, body.get("tools", []), scope)


def _check_sampling(config: Json, scope: Scope) -> None:
    model = f"models/{scope.model.name}"
    count = config.get("candidateCount", 1)
    if not 1 <= count <= 8:
        raise scope.complaint("generation_config.candidate_count", "must be in the range [1, 8]")
    if count > 1 and not scope.model.many_candidates:
        raise invalid("Multiple candidates is not enabled for this model")
    if config.get("presencePenalty") or config.get("frequencyPenalty"):
        raise invalid(f"Penalty is not enabled for {model}")
    if config.get("responseLogprobs") or config.get("logprobs"):
        if scope.code_assist:
            raise invalid("Logprobs is not supported for this model")
        raise invalid(f"Logprobs is not enabled for {model}")
    stops = config.get("stopSequences", [])
    if len(stops) > 5:
        text = f"at most 5 stop sequences are allowed, got {len(stops)}"
        raise scope.complaint("generation_config.stop_sequences", text)
    if "" in stops:
        index = stops.index("")
        text = "stop sequence must not be empty"
        raise scope.complaint(f"generation_config.stop_sequences[{index}]", text)
    _check_range(config, "temperature", 0, 2, scope)
    _check_range(config, "topP", 0, 1, scope)
    if config.get("topK", 1) < 1:
        raise scope.complaint("generation_config.top_k", "top_k must be positive")
    limit, wanted = scope.model.output_limit, config.get("maxOutputTokens", 1)
    if wanted < 1:
        raise scope.complaint("generation_config.max_output_tokens", "must be positive.")
    if scope.code_assist and wanted > limit:
        raise invalid(
            f"Unable to submit request because it has a maxOutputTokens value of {wanted} but the "
            f"supported range is from 1 (inclusive) to {limit + 1} (exclusive). Update the value "
            "and try again."
        )


def _check_range(config: Json, field: str, low: float, high: float, scope: Scope) -> None:
    if not low <= config.get(field, low) <= high:
        name = "top_p" if field == "topP" else field
        text = f"{name} must be in the range [{low:.1f}, {high:.1f}]."
        raise scope.complaint(f"generation_config.{name}", text)


def _check_thinking(thinking: Json, scope: Scope) -> None:
    if not thinking:
        return
    model = scope.model
    if not model.thinks:
        raise invalid(f"Thinking is not enabled for models/{model.name}")
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if level is not None:
        if not model.levels:
            raise invalid("Thinking level is not supported for this model.")
        if level.lower() not in model.levels:
            raise invalid(
                f"Thinking level {level} is not supported for this model. Please retry with other "
                "thinking level."
            )
    if budget is not None:
        _check_budget(budget, scope)


def _check_budget(budget: int, scope: Scope) -> None:
    model = scope.model
    low, high = model.budget or (1, 0)
    if budget == -1 or low <= budget <= high:
        return
    if budget == 0:
        if model.can_switch_thinking_off:
            return
        if scope.code_assist:
            raise invalid("The model does not support setting thinking_budget to 0.")
        raise invalid("Budget 0 is invalid. This model only works in thinking mode.")
    if scope.code_assist:
        raise invalid(
            "Unable to submit request because Thinking budget is out of range. Supported values "
            f"are integers from {low} to {high}."
        )
    raise invalid(
        f"The thinking budget ({budget}) is invalid. Please choose a value between {low} and "
        f"{high}."
    )


def _check_output(config: Json, scope: Scope) -> None:
    mime = config.get("responseMimeType", "")
    if mime not in _MIME_TYPES:
        text = (
            "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, "
            "`application/yaml` and `text/x.enum`."
        )
        raise scope.complaint("generation_config.response_mime_type", text)
    has_schema, has_json_schema = "responseSchema" in config, "responseJsonSchema" in config
    if has_schema and has_json_schema:
        raise invalid("Only one of response_schema and response_json_schema can be set.")
    if (has_schema or has_json_schema) and mime not in ("application/json", "text/x.enum"):
        name = "response_schema" if has_schema else "response_json_schema"
        text = "only allowed with response mime type `application/json` or `text/x.enum`"
        raise scope.complaint(f"generation_config.{name}", text)
    if has_schema:
        check_schema(config["responseSchema"], "generation_config.response_schema", scope)
    if has_json_schema:
        _check_takes_json_schema("responseJsonSchema", "generation_config", scope)
        where = "generation_config.response_json_schema"
        check_json_schema(config["responseJsonSchema"], where, scope)
    modalities = config.get("responseModalities", [])
    if scope.model.output == "audio" and modalities != ["AUDIO"]:
        raise invalid(
            "The requested combination of response modalities "
            f"({', '.join(modalities) or 'TEXT'}) is not supported by the model. "
            f"models/{scope.model.name} accepts the following combination of response modalities:\n"
            "* AUDIO\n"
        )
    wanted = set(modalities) - {"TEXT"}
    if wanted - _OUTPUTS.get(scope.model.output, set()):
        kinds = ", ".join(sorted(wanted)).lower()
        raise invalid(f"Model does not support the requested response modalities: {kinds}")
    if "imageConfig" in config:
        _check_image_config(config["imageConfig"], scope)


def _check_image_config(image: Json, scope: Scope) -> None:
    if scope.model.output != "image":
        raise invalid(f"Image config is not enabled for models/{scope.model.name}")
    ratios = _RATIOS + (_LONG_RATIOS if "512" in scope.model.image_sizes else ())
    if image.get("aspectRatio", "1:1") not in ratios:
        text = f"aspect_ratio must be one of {', '.join(ratios)}"
        raise scope.complaint("generation_config.image_config.aspect_ratio", text)
    if "imageSize" in image and image["imageSize"] not in scope.model.image_sizes:
        text = f"image_size {image['imageSize']} is not supported by this model"
        raise scope.complaint("generation_config.image_config.image_size", text)


def _check_safety(settings: list[Json], scope: Scope) -> None:
    seen = set()
    for index, setting in enumerate(settings):
        path = f"safety_settings[{index}]"
        category = setting.get("category")
        if category is None or "threshold" not in setting:
            raise scope.complaint(path, "category and threshold must be set")
        if not scope.code_assist and category not in PUBLIC_HARMS:
            names = ", ".join(f"HarmCategory.{name}" for name in PUBLIC_HARMS)
            text = f"element predicate failed: $.category in ({names})"
            raise scope.complaint(path, text)
        if category in seen:
            text = f"more than one safety setting for category {category}"
            raise scope.complaint(path, text)
        seen.add(category)


def _check_tools(tools: list[Json], scope: Scope) -> None:
    names: set[str] = set()
    if tools and not scope.model.takes_tools:
        raise invalid(f"Function calling is not enabled for models/{scope.model.name}")
    for place, tool in enumerate(tools):
        path = f"tools[{place}]"
        if not tool:
            text = "required one_of 'tool_type' must have one initialized field"
            raise scope.complaint(f"{path}.tool_type", text)
        if "googleSearchRetrieval" in tool:
            raise invalid(
                "google_search_retrieval is not supported. Please use google_search tool instead."
            )
        for index, function in enumerate(tool.get("functionDeclarations", [])):
            where = f"{path}.function_declarations[{index}]"
            _check_function(function, where, scope)
            if function["name"] in names:
                raise invalid(f"Duplicate function declaration found: {function['name']}")
            names.add(function["name"])


def _check_combination(body: Json, scope: Scope) -> None:
    """Built-in tools beside functions. The texts for Gemini 3 were reported by users in public issues."""
    has_built_in = any(name in tool for tool in body.get("tools", []) for name in _BUILT_IN)
    if not (has_built_in and declared_functions(body)):
        return
    if not scope.model.is_third_generation:
        raise invalid("Tool use with function calling is unsupported")
    if scope.code_assist:
        raise invalid(
            "Built-in tools and Custom tools (Function Calling) cannot be combined in the same "
            "request. Please choose one to continue."
        )
    if not body.get("toolConfig", {}).get("includeServerSideToolInvocations"):
        raise invalid(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools "
            "with Function calling."
        )


def _check_function(function: Json, path: str, scope: Scope) -> None:
    if not _NAME.fullmatch(function.get("name", "")):
        raise scope.complaint(f"{path}.name", _NAME_RULE)
    if "parameters" in function and "parametersJsonSchema" in function:
        text = "only one of parameters and parameters_json_schema can be set"
        raise scope.complaint(path, text)
    if "parametersJsonSchema" in function:
        _check_takes_json_schema("parametersJsonSchema", path, scope)
        where = f"{path}.parameters_json_schema"
        check_json_schema(function["parametersJsonSchema"], where, scope)
        kinds = function["parametersJsonSchema"].get("type", "object")
        if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
            raise scope.complaint(where, "schema should be of type object")
    if "parameters" in function:
        where = f"{path}.parameters"
        if function["parameters"].get("type") != "OBJECT":
            raise scope.complaint(where, "parameters schema should be of type OBJECT")
        check_schema(function["parameters"], where, scope)


def _check_takes_json_schema(name: str, path: str, scope: Scope) -> None:
    if not scope.takes_json_schema:
        prefix = "request." if scope.code_assist else ""
        raise invalid(
            f"Invalid JSON payload received. Unknown name \"{name}\" at '{prefix}{path}': "
            "Cannot find field."
        )


def check_schema(schema: Json, path: str, scope: Scope) -> None:
    """What Google refuses in its own Schema message beyond unknown names."""
    kind = schema.get("type", "")
    if not kind and "anyOf" not in schema:
        raise scope.complaint(f"{path}.type", "must be specified when any_of is not set")
    if kind == "OBJECT" and not schema.get("properties"):
        raise scope.complaint(f"{path}.properties", "should be non-empty for OBJECT type")
    if kind == "ARRAY" and "items" not in schema:
        raise scope.complaint(f"{path}.items", "missing field.")
    if "enum" in schema and kind != "STRING":
        raise scope.complaint(f"{path}.enum", "only allowed for STRING type")
    if "" in schema.get("enum", []):
        index = schema["enum"].index("")
        raise scope.complaint(f"{path}.enum[{index}]", "cannot be empty")
    if kind == "STRING" and schema.get("format", "enum") not in ("enum", "date-time"):
        text = "only 'enum' and 'date-time' are supported for STRING type"
        raise scope.complaint(f"{path}.format", text)
    properties = schema.get("properties", {})
    for index, name in enumerate(schema.get("required", [])):
        if name not in properties:
            raise scope.complaint(f"{path}.required[{index}]", "property is not defined")
    for name, inner in properties.items():
        check_schema(inner, f"{path}.properties[{name}]", scope)
    if "items" in schema:
        check_schema(schema["items"], f"{path}.items", scope)
    for index, inner in enumerate(schema.get("anyOf", [])):
        check_schema(inner, f"{path}.any_of[{index}]", scope)
    for index, inner in enumerate(schema.get("prefixItems", [])):
        check_schema(inner, f"{path}.prefix_items[{index}]", scope)


def declared_functions(body: Json) -> list[Json]:
    return [f for tool in body.get("tools", []) for f in tool.get("functionDeclarations", [])]


def _check_tool_config(body: Json, scope: Scope) -> None:
    calling = body.get("toolConfig", {}).get("functionCallingConfig")
    if calling is None:
        return
    path = "tool_config.function_calling_config"
    functions = declared_functions(body)
    if not functions:
        text = "Function calling config is set without function_declarations."
        raise scope.complaint(path, text)
    allowed = calling.get("allowedFunctionNames", [])
    if allowed and calling.get("mode") not in ("ANY", "VALIDATED"):
        text = "allowed_function_names should only be set when mode is ANY or VALIDATED."
        raise scope.complaint(f"{path}.allowed_function_names", text)
    unknown = set(allowed) - {function["name"] for function in functions}
    if unknown:
        text = f"names without a function declaration: {', '.join(sorted(unknown))}"
        raise scope.complaint(f"{path}.allowed_function_names", text)


def _check_json_with_tools(config: Json, tools: list[Json], scope: Scope) -> None:
    if config.get("responseMimeType") != "application/json" or scope.model.is_third_generation:
        return
    if any("functionDeclarations" in tool for tool in tools):
        raise _unsupported_mime("Function calling")
    if any(name in tool for tool in tools for name in _BUILT_IN):
        raise _unsupported_mime("Tool use")


def _unsupported_mime(what: str) -> Refused:
    return invalid(f"{what} with a response mime type: 'application/json' is unsupported")
