"""Rules about ``contents``: parts, roles, the order of calls and answers, thought signatures."""

import base64
from dataclasses import dataclass
from typing import Any

from tests.fakes.google_models import Model
from tests.fakes.google_parse import ONEOFS
from tests.fakes.google_signatures import SignatureBook
from tests.fakes.google_status import Refused, invalid

Json = dict[str, Any]

_DATA_FIELDS = ONEOFS["Part"][1]
_MEDIA = ("image/", "audio/", "video/", "text/", "application/pdf", "application/json")
_SIGNATURE_GUIDE = "https://ai.google.dev/gemini-api/docs/thought-signatures"

_CALL_ORDER = (
    "Please ensure that function call turn comes immediately after a user turn or after a function "
    "response turn."
)
_ANSWER_ORDER = (
    "Please ensure that function response turn comes immediately after a function call turn."
)
_ANSWER_COUNT = (
    "Please ensure that the number of function response parts is equal to the number of function "
    "call parts of the function call turn."
)


@dataclass(frozen=True)
class Scope:
    """Where a request came in: decides wording, path prefix and some rules."""

    model: Model
    code_assist: bool
    signatures: SignatureBook
    message: str = "GenerateContentRequest"
    takes_json_schema: bool = True

    def complaint(self, path: str, text: str) -> Refused:
        if self.code_assist:
            full = f"request.{path}"
            return invalid(f"Unable to submit request because of {full}: {text}", (full, text))
        return invalid(f"* {self.message}.{path}: {text}\n", (path, text))


def check_contents(contents: list[Json], scope: Scope) -> None:
    if not contents:
        if scope.code_assist:
            raise invalid(
                "Unable to submit request because at least one contents field is required."
            )
        raise scope.complaint("contents", "contents is not specified")
    for index, content in enumerate(contents):
        check_parts(content, f"contents[{index}]", scope)
        _check_role(content, scope)
    _check_order(contents)
    if scope.message == "GenerateContentRequest" and not scope.model.continues_itself:
        _check_last_turn(contents[-1])
    _check_signatures(contents, scope)


def check_parts(content: Json, path: str, scope: Scope) -> None:
    parts = content.get("parts") or []
    if not parts:
        raise scope.complaint(f"{path}.parts", "contents.parts must not be empty.")
    for index, part in enumerate(parts):
        where = f"{path}.parts[{index}]"
        if not any(field in part for field in _DATA_FIELDS):
            text = "required oneof field 'data' must have one initialized field"
            raise scope.complaint(f"{where}.data", text)
        _check_media(part, where, scope)
        for field in ("functionCall", "functionResponse"):
            if field in part and not part[field].get("name"):
                kind = "function_call" if field == "functionCall" else "function_response"
                raise scope.complaint(f"{where}.{kind}.name", "Name cannot be empty.")
        if "functionResponse" in part and "response" not in part["functionResponse"]:
            text = "response is not specified"
            raise scope.complaint(f"{where}.function_response.response", text)


def _check_media(part: Json, where: str, scope: Scope) -> None:
    blob = part.get("inlineData")
    if blob is None:
        return
    mime = blob.get("mimeType", "")
    if not mime.startswith(_MEDIA) or mime == "image/jpg":
        raise invalid(f"Unsupported MIME type: {mime}")
    data = base64.b64decode(blob.get("data", ""))
    if not data:
        raise scope.complaint(f"{where}.inline_data.data", "data must not be empty")


def _check_role(content: Json, scope: Scope) -> None:
    role = content.get("role", "")
    # The Vertex flavour behind Code Assist wants a role; the public API takes none for "user".
    allowed = (
        ("user", "model", "function") if scope.code_assist else ("user", "model", "function", "")
    )
    if role not in allowed:
        raise invalid("Please use a valid role: user, model.")


def calls_of(content: Json) -> list[Json]:
    return [part["functionCall"] for part in content.get("parts", []) if "functionCall" in part]


def answers_of(content: Json) -> list[Json]:
    parts = content.get("parts", [])
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


def _check_order(contents: list[Json]) -> None:
    for index, content in enumerate(contents):
        calls, answers = calls_of(content), answers_of(content)
        before = contents[index - 1] if index else None
        after = contents[index + 1] if index + 1 < len(contents) else None
        if calls:
            is_model_turn = content.get("role") == "model"
            if not is_model_turn or before is None or before.get("role") == "model":
                raise invalid(_CALL_ORDER)
            if after is None or len(answers_of(after)) != len(calls):
                raise invalid(_ANSWER_COUNT)
        if answers:
            if before is None or not calls_of(before) or content.get("role") == "model":
                raise invalid(_ANSWER_ORDER)
            if len(calls_of(before)) != len(answers):
                raise invalid(_ANSWER_COUNT)


def _check_last_turn(content: Json) -> None:
    if content.get("role") == "model":
        raise invalid("Requests ending with a model turn are not supported.")


def current_turn(contents: list[Json]) -> int:
    """Index of the first content after the last one in which the user says something new."""
    for index in range(len(contents) - 1, -1, -1):
        content = contents[index]
        if content.get("role") != "model" and any(
            "functionResponse" not in part for part in content["parts"]
        ):
            return index + 1
    return 0


def _check_signatures(contents: list[Json], scope: Scope) -> None:
    for content in contents:
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            if signature and not scope.signatures.accepts(signature, scope.model.family):
                raise invalid("Corrupted thought signature.")
    if not scope.model.is_third_generation:
        return
    start = current_turn(contents)
    for index, content in enumerate(contents):
        if content.get("role") != "model":
            continue
        _check_server_tools(content)
        if scope.model.output == "image":
            _check_images(content, index)
        if index >= start:
            _check_first_call(content, index, scope)


def _check_first_call(content: Json, index: int, scope: Scope) -> None:
    first = next((part for part in content["parts"] if "functionCall" in part), None)
    if first is None or first.get("thoughtSignature"):
        return
    name = first["functionCall"]["name"]
    if scope.code_assist:
        raise invalid(
            f"Function call `{name}` in the {index + 1}. content block is missing a "
            f"`thought_signature`. Learn more: {_SIGNATURE_GUIDE}"
        )
    raise invalid(
        "Function call is missing a thought_signature in functionCall parts. This is required for "
        "tools to work correctly, and missing thought_signature may lead to degraded model "
        f"performance. Additional data, function call `default_api:{name}` , position {index + 1}. "
        f"Please refer to {_SIGNATURE_GUIDE} for more details."
    )


def _check_server_tools(content: Json) -> None:
    for part in content["parts"]:
        if ("toolCall" in part or "toolResponse" in part) and not part.get("thoughtSignature"):
            raise invalid("Tool call part is missing thought_signature")


def _check_images(content: Json, index: int) -> None:
    for place, part in enumerate(content["parts"]):
        if "inlineData" in part and not part.get("thoughtSignature"):
            raise invalid(
                "Image part is missing a thought_signature in content position "
                f"{index + 1}, part position {place + 1}. Please refer to {_SIGNATURE_GUIDE}"
            )
