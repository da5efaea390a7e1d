"""Generation and token counting, for both upstreams: validate, choose a scenario, answer."""

import hashlib
from typing import Any

from aiohttp import web

from tests.fakes.google_answers import Asked, build, dressed, merged
from tests.fakes.google_delivery import Delivery, Sender, stream_pieces
from tests.fakes.google_errors import ERRORS, from_case
from tests.fakes.google_errors_gemini import model_missing_message
from tests.fakes.google_models import CODE_ASSIST_MODELS, PUBLIC_MODELS, Model
from tests.fakes.google_parse import Parser
from tests.fakes.google_rules import check_request
from tests.fakes.google_scenarios import FACT_OPTIONS, SCENARIOS
from tests.fakes.google_scripts import Recorded
from tests.fakes.google_shapes import (
    CODE_ASSIST,
    CODE_ASSIST_PACKAGE,
    ENUMS,
    PUBLIC,
    PUBLIC_PACKAGE,
)
from tests.fakes.google_state import State
from tests.fakes.google_status import (
    CONTENT_TYPES,
    Refused,
    bad_request,
    html_page,
    invalid,
    status_body,
    wrap,
)
from tests.fakes.google_turns import Scope, check_contents
from tests.fakes.google_usage import count_contents, count_request

Json = dict[str, Any]


def parse_public(message: str, body: Any) -> Json:
    return Parser(PUBLIC, ENUMS, PUBLIC_PACKAGE).parse(message, body)


def parse_code_assist(message: str, body: Any) -> Json:
    return Parser(CODE_ASSIST, ENUMS, CODE_ASSIST_PACKAGE).parse(message, body)


def public_model(name: str, version: str, method: str) -> Model:
    model = PUBLIC_MODELS.get(name)
    # Streaming is not listed among a model's methods.
    wanted = "generateContent" if method == "streamGenerateContent" else method
    if model is None or wanted not in model.methods:
        message = model_missing_message(name, version, wanted)
        raise Refused(404, status_body(404, "NOT_FOUND", message))
    return model


async def generate_public(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """``models/{model}:generateContent`` and ``:streamGenerateContent``."""
    model = public_model(match["model"], match["version"], match["method"])
    body = parse_public("GenerateContentRequest", record.body)
    scope = Scope(model, False, state.signatures, takes_json_schema=state.takes_json_schema)
    check_request(body, scope)
    cache = body.get("cachedContent")
    if cache and cache not in state.caches:
        text = "CachedContent not found (or permission denied)"
        raise Refused(403, status_body(403, "PERMISSION_DENIED", text))
    asked = Asked(model, body, False, state.signatures)
    return await _answer(state, request, record, asked)


async def generate_code_assist(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    body = parse_code_assist("GenerateContentRequest", record.body)
    check_project(state, record, body.get("project", ""))
    model = CODE_ASSIST_MODELS.get(body.get("model", ""))
    account = state.directory.access_tokens[record.credential or ""].account
    if model is None or ("preview" in model.name and not account.preview):
        raise from_case("ca_model_missing")
    inner = body.get("request", {})
    scope = Scope(model, True, state.signatures, takes_json_schema=state.takes_json_schema)
    check_request(inner, scope)
    return await _answer(state, request, record, Asked(model, inner, True, state.signatures))


def check_project(state: State, record: Recorded, project: str) -> None:
    """The account's state, its project and the API's switch, in the order Google looks at them."""
    account = state.directory.access_tokens[record.credential or ""].account
    refusal = {
        "banned": "ca_tos",
        "unsupported_client": "ca_licence",
        "validation_required": "ca_validation",
    }.get(account.state)
    if refusal:
        raise from_case(refusal)
    if not project:
        text = "Request contains an invalid argument."
        detail = bad_request(("project", "project is not specified"))
        raise Refused(400, status_body(400, "INVALID_ARGUMENT", text, detail, reason="badRequest"))
    if account.state == "not_onboarded" or not account.owns(project):
        raise from_case("ca_iam", project=project)
    if account.services.get("cloudaicompanion.googleapis.com") != "ENABLED":
        raise from_case("ca_api_disabled", project=project)


async def _answer(
    state: State, request: web.Request, record: Recorded, asked: Asked
) -> web.StreamResponse:
    name, chosen = state.chosen(record)
    name = name or state.default
    record.scenario = name
    scenario = SCENARIOS[name]
    options = {**scenario.options, **chosen}
    delivery = Delivery.of(options)
    sender = Sender(request, record, delivery)
    if scenario.content == "error":
        return await send_error(sender, record, options)
    error = None
    if delivery.error_at:
        error = _error_body(options, record)
        if not record.stream:  # a unary call has no body before its error
            return await send_error(sender, record, options)
    chunks = dressed(build(scenario.content, asked, options), asked, options)
    trace = hashlib.md5(f"trace-{record.id}".encode(), usedforsecurity=False).hexdigest()
    if asked.code_assist:
        delivery.headers.setdefault("x-cloudaicompanion-trace-id", trace)
    if not record.stream:
        whole = merged(chunks)
        return await sender.send_json(
            _envelope(whole, trace, options) if asked.code_assist else whole
        )
    if asked.code_assist:
        chunks = [_envelope(chunk, trace, options) for chunk in chunks]
    sse = record.query.get("alt") == "sse"
    kind = "text/event-stream" if sse else CONTENT_TYPES["object"]
    return await sender.send(stream_pieces(chunks, error, delivery, sse=sse), kind)


def _envelope(response: Json, trace: str, options: Json) -> Json:
    envelope: Json = {"response": response, "traceId": trace}
    if "consumed_credits" in options:
        credits = [
            {"creditType": "GOOGLE_ONE_AI", "creditAmount": str(options["consumed_credits"])}
        ]
        envelope |= {"consumedCredits": credits, "remainingCredits": credits}
    return envelope


def _error_name(options: Json, record: Recorded) -> str:
    is_code_assist = record.path.startswith("/v1internal")
    return options.get("error") or ("ca_overload" if is_code_assist else "overload")


def _error_body(options: Json, record: Recorded) -> Json:
    facts = {name: value for name, value in options.items() if name in FACT_OPTIONS}
    if record.model:
        facts["model"] = record.model
    if record.credential:
        facts.setdefault("key", record.credential)
    return ERRORS[_error_name(options, record)].body(**facts)


async def send_error(sender: Sender, record: Recorded, options: Json) -> web.StreamResponse:
    """An HTTP error: the row ``error``, or a bare front end page when only ``status`` is given."""
    form = options.get("form") or default_form(record)
    if form == "html" and "error" not in options:
        status = options.get("status", 502)
        record.error = f"html {status}"
        text = "The server encountered a temporary error and could not complete your request."
        return await sender.send_bytes(html_page(status, text), status, CONTENT_TYPES[form])
    body = _error_body(options, record)
    record.error = body["error"]["message"]
    status = options.get("status", ERRORS[_error_name(options, record)].http)
    return await sender.send_bytes(wrap(body, form), status, CONTENT_TYPES[form])


def default_form(record: Recorded) -> str:
    """A streaming call that did not ask for SSE gets its error inside a list."""
    return "array" if record.stream and record.query.get("alt") != "sse" else "object"


# ---------------------------------------------------------------------------- counting


async def count_public(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """``{contents}`` or ``{generateContentRequest}``, not both."""
    model = public_model(match["model"], match["version"], "countTokens")
    body = parse_public("CountTokensRequest", record.body)
    inner = body.get("generateContentRequest")
    if inner is not None and body.get("contents"):
        raise invalid("Only one of contents and generate_content_request can be set.")
    if inner is not None:
        if inner.get("model") != f"models/{model.name}":
            raise invalid(
                "* CountTokensRequest.generate_content_request.model: must be the model of the "
                f"URL, models/{model.name}\n",
                ("generate_content_request.model", "must be the model of the URL"),
            )
        check_request(inner, Scope(model, False, state.signatures))
        total = count_request(inner)
    else:
        scope = Scope(model, False, state.signatures, "CountTokensRequest")
        check_contents(body.get("contents", []), scope)
        total = count_contents(body["contents"])
    details = [{"modality": "TEXT", "tokenCount": total}]
    return web.json_response({"totalTokens": total, "promptTokensDetails": details})


async def count_code_assist(
    state: State, request: web.Request, record: Recorded, match: Json
) -> web.StreamResponse:
    """Its own shape: no project, and the model inside ``request``, with its prefix."""
    inner = parse_code_assist("CountTokensRequest", record.body).get("request", {})
    prefix, _, name = inner.get("model", "").partition("/")
    if prefix != "models" or name not in CODE_ASSIST_MODELS:
        raise from_case("ca_model_missing")
    model = CODE_ASSIST_MODELS[name]
    contents = inner.get("contents", [])
    if any(part.get("thought") for content in contents for part in content.get("parts", [])):
        text = "Thought parts are not supported."
        raise invalid(text, ("request.contents", text))
    check_contents(contents, Scope(model, True, state.signatures, "CountTokensRequest"))
    return web.json_response({"totalTokens": count_contents(contents)})
