"""The HTTP edge of the fake: record a request, check its credential, route it, answer errors."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from tests.fakes import google_catalog, google_control, google_generate, google_oauth, google_setup
from tests.fakes.google_delivery import Aborted, Delivery, Sender, cut_connection
from tests.fakes.google_errors import from_case
from tests.fakes.google_scenarios import GENERATE, SCENARIOS
from tests.fakes.google_scripts import Recorded
from tests.fakes.google_state import State
from tests.fakes.google_status import (
    CODE_ASSIST_DOMAIN,
    CONTENT_TYPES,
    Refused,
    html_page,
    invalid,
    wrap,
)

Json = dict[str, Any]
Handler = Callable[[State, web.Request, Recorded, Json], Awaitable[web.StreamResponse]]

BODY_LIMIT_BYTES = 20 * 1024 * 1024
# What aiohttp itself must let through, so that the refusal can be Google's own.
_READ_LIMIT_BYTES = 256 * 1024 * 1024

_VERSION = r"/(?P<version>v1beta|v1alpha|v1)"
_MODEL = _VERSION + r"/models/(?P<model>[^/:]+)"
_SERVICE = r"/v1/projects/(?P<project>[^/]+)/services/(?P<service>[^/:]+)"
_CHANNEL = r"/v1/projects/(?P<project>[^/]+)/locations/global/releaseChannelSettings"

# (method, path, kind of call, who must identify, handler)
_ROUTES: tuple[tuple[str, str, str, str, Handler], ...] = (
    ("GET", _VERSION + "/models", "models", "key", google_catalog.list_models),
    ("GET", _MODEL, "models", "key", google_catalog.get_model),
    (
        "POST",
        _MODEL + ":(?P<method>generateContent|streamGenerateContent)",
        "generate",
        "key",
        google_generate.generate_public,
    ),
    ("POST", _MODEL + ":countTokens", "count", "key", google_generate.count_public),
    ("POST", _MODEL + ":embedContent", "embed", "key", google_catalog.embed),
    ("POST", _MODEL + ":batchEmbedContents", "embed", "key", google_catalog.batch_embed),
    ("POST", _MODEL + ":predictLongRunning", "video", "key", google_catalog.start_video),
    ("POST", _MODEL + ":predict", "video", "key", google_catalog.predict),
    (
        "GET",
        _MODEL + "/operations/(?P<operation>[^/]+)",
        "video",
        "key",
        google_catalog.poll_video,
    ),
    (
        "GET",
        "/v1beta/files/(?P<file>[^/:]+):download",
        "video",
        "key",
        google_catalog.download_video,
    ),
    (
        "POST",
        "/v1internal:(?P<method>generateContent|streamGenerateContent)",
        "generate",
        "bearer",
        google_generate.generate_code_assist,
    ),
    ("POST", "/v1internal:countTokens", "count", "bearer", google_generate.count_code_assist),
    ("POST", "/v1internal:loadCodeAssist", "load", "bearer", google_setup.load_code_assist),
    ("POST", "/v1internal:onboardUser", "onboard", "bearer", google_setup.onboard_user),
    ("POST", "/v1internal:retrieveUserQuota", "quota", "bearer", google_setup.user_quota),
    (
        "GET",
        "/v1internal/operations/(?P<operation>[^/]+)",
        "operation",
        "bearer",
        google_setup.operation,
    ),
    ("GET", "/o/oauth2(/v2)?/auth", "consent", "", google_oauth.consent),
    ("POST", "/token", "token", "", google_oauth.token),
    ("POST", "/revoke", "revoke", "", google_oauth.revoke),
    ("GET", "/tokeninfo", "tokeninfo", "", google_oauth.tokeninfo),
    ("GET", "/oauth2/v[12]/userinfo", "userinfo", "bearer", google_oauth.userinfo),
    ("GET", "/v1/projects", "projects", "bearer", google_setup.list_projects),
    ("GET", _SERVICE, "service", "bearer", google_setup.get_service),
    ("POST", _SERVICE + ":enable", "service", "bearer", google_setup.enable_service),
    ("GET", _CHANNEL, "channel", "bearer", google_setup.release_channel),
    (
        "POST",
        _CHANNEL + "(/[^/]+/settingBindings)?",
        "channel",
        "bearer",
        google_setup.release_channel,
    ),
)
_COMPILED = [(method, re.compile(path), *rest) for method, path, *rest in _ROUTES]


def build_app(state: State) -> web.Application:
    app = web.Application(client_max_size=_READ_LIMIT_BYTES)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/_fake/"):
            return await google_control.handle(state, request)
        return await _handle(state, request)

    app.router.add_route("*", "/{tail:.*}", handle)
    return app


async def _handle(state: State, request: web.Request) -> web.StreamResponse:
    record = _open(state, request)
    try:
        response = await _answer(state, request, record)
        record.status = response.status
        record.finish()
        return response
    except Refused as refused:
        record.status, record.error = refused.http, str(refused)
        record.finish()
        body = wrap(refused.body, google_generate.default_form(record))
        headers = {"Content-Type": CONTENT_TYPES["object"]}
        return web.Response(status=refused.http, body=body, headers=headers)
    except Aborted:
        return web.Response(status=500)
    except (ConnectionError, asyncio.CancelledError):
        # aiohttp cancels the handler as soon as the client's connection is gone.
        if not state.closing:
            record.lose_client()
        raise
    finally:
        state.note()


def _open(state: State, request: web.Request) -> Recorded:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    record = Recorded(
        id=state.next_id(),
        method=request.method,
        path=request.rel_url.raw_path,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        when=time.monotonic(),
        peer=f"{peer[0]}:{peer[1]}" if peer else "",
    )
    with state.changed:
        state.requests.append(record)
    state.note()
    return record


async def _answer(state: State, request: web.Request, record: Recorded) -> web.StreamResponse:
    for method, pattern, kind, who, handler in _COMPILED:
        match = pattern.fullmatch(record.path)
        if match is None or method != request.method:
            continue
        found = {name: unquote(value) for name, value in match.groupdict().items() if value}
        record.stream = found.get("method") == "streamGenerateContent"
        raw = await request.read()
        record.body_bytes = len(raw)
        record.body = _parsed(request, raw)
        record.model = found.get("model") or _model_of(record.body)
        record.credential = _credential_of(record, who)
        record.kind = kind  # last: whoever waits for a call of this kind finds the rest filled in
        state.note()
        _admit(state, record, who)
        if len(raw) > BODY_LIMIT_BYTES:
            raise from_case("too_large")
        if request.method == "POST" and isinstance(record.body, bytes):
            raise invalid("Invalid JSON payload received. Unexpected token.")
        if kind != "generate":
            scripted = await _scripted(state, request, record, found)
            if scripted is not None:
                return scripted
        return await handler(state, request, record, found)
    text = f"The requested URL {record.path} was not found on this server."
    return web.Response(
        status=404, body=html_page(404, text), headers={"Content-Type": CONTENT_TYPES["html"]}
    )


async def _scripted(
    state: State, request: web.Request, record: Recorded, found: Json
) -> web.StreamResponse | None:
    """Scripts of calls that generate nothing. Handlers find their own in ``scenario`` and
    ``options``; those borrowed from generation (errors, silence, resets) are played here."""
    name, chosen = state.chosen(record)
    scenario = SCENARIOS.get(name)
    options = {**(scenario.options if scenario else {}), **chosen}
    found |= {"scenario": name, "options": options}
    record.scenario = name
    if scenario is None or scenario.kinds != GENERATE:
        return None
    delivery = Delivery.of(options)
    sender = Sender(request, record, delivery)
    if delivery.silence_s:
        await asyncio.sleep(delivery.silence_s)
    if delivery.reset_at:
        cut_connection(request, record, delivery.reset_how)
    if delivery.empty or delivery.broken:
        return await sender.send_json({"cut": "short"})
    if scenario.content == "error" or delivery.error_at:
        return await google_generate.send_error(sender, record, options)
    return None


def _parsed(request: web.Request, raw: bytes) -> Any:
    """JSON or form fields; the bytes themselves when they are neither."""
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    if not raw:
        return {} if request.method == "POST" else None
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except ValueError:
        return raw


def _no_constant(name: str) -> float:
    """Python reads NaN and Infinity; JSON has neither."""
    raise ValueError(name)


def _model_of(body: Any) -> str | None:
    if not isinstance(body, dict):
        return None
    inner = body.get("request")
    model = body.get("model") or (inner.get("model") if isinstance(inner, dict) else None)
    return model.removeprefix("models/") if isinstance(model, str) else None


def _keys(record: Recorded) -> list[str]:
    given = (record.headers.get("x-goog-api-key"), record.query.get("key"))
    return [key for key in given if key]


def _credential_of(record: Recorded, who: str) -> str | None:
    """What the call identifies itself with, valid or not."""
    scheme, _, bearer = record.headers.get("authorization", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else None
    keys = _keys(record)
    if who == "key":
        return keys[0] if keys else token
    if who == "bearer":
        return token or (keys[0] if keys else None)
    form = record.body if isinstance(record.body, dict) else {}
    return form.get("refresh_token") or form.get("token") or form.get("code")


def _admit(state: State, record: Recorded, who: str) -> None:
    """Refuse a call without a valid credential as the API behind the path would."""
    keys = _keys(record)
    if who == "key":
        if "authorization" in record.headers:
            raise from_case("bearer_refused")
        if not keys:
            raise from_case("unregistered")
        if len(keys) > 1:
            raise invalid("Send the API key once, in the header or in the query.")
        with state.changed:
            known = keys[0] in state.directory.api_keys
        if not known:
            raise from_case("api_key_invalid")
    elif who == "bearer":
        if keys:
            raise from_case("ca_bad_token")
        google_oauth.bearer_account(state, record, CODE_ASSIST_DOMAIN)
