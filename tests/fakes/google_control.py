"""``/_fake/``: the control methods over HTTP, for tests in other processes."""

import json
from typing import Any

from aiohttp import web

from tests.fakes.google_state import State

Json = dict[str, Any]


async def handle(state: State, request: web.Request) -> web.Response:
    """A fault in the order itself is a 422 that says what was wrong."""
    action = request.path.removeprefix("/_fake/")
    body: Json = json.loads(await request.read() or b"{}") if request.method == "POST" else {}
    try:
        answer = _ACTIONS[request.method, action](state, body, dict(request.query))
    except KeyError as exc:
        return web.json_response({"error": f"unknown: {exc}"}, status=404)
    except (TypeError, ValueError) as exc:
        return web.json_response({"error": str(exc)}, status=422)
    return web.json_response(answer, dumps=lambda value: json.dumps(value, default=_shown))


def _shown(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _script(state: State, body: Json, query: Json) -> Json:
    options = body.pop("options", {})
    state.script(**body, **options)
    return {"scripts": len(state.book.scripts)}


def _requests(state: State, body: Json, query: Json) -> Json:
    """``?kind=`` and ``?since=<id>`` narrow the list."""
    since = int(query.get("since", 0))
    with state.changed:
        records = [record for record in state.requests if record.id > since]
        shown = [r.shown() for r in records if query.get("kind", r.kind) == r.kind]
    return {"requests": shown}


def _reset(state: State, body: Json, query: Json) -> Json:
    state.reset(keep_credentials=bool(body.get("keep_credentials")))
    return {}


def _credentials(state: State, body: Json, query: Json) -> Json:
    for key in body.get("api_keys", []):
        state.add_api_key(key)
    for client in body.get("clients", []):
        state.add_client(client["client_id"], client["client_secret"])
    emails = [state.add_account(**account).email for account in body.get("accounts", [])]
    for access_token in body.get("expire", []):
        state.expire(access_token)
    for secret in body.get("revoke", []):
        state.revoke(secret)
    for key in body.get("remove_api_keys", []):
        state.remove_api_key(key)
    state.caches |= set(body.get("caches", []))
    state.redirect_uris |= set(body.get("redirect_uris", []))
    if "consent_as" in body:
        state.consent_as = body["consent_as"]
    return {"accounts": emails}


_ACTIONS = {
    ("POST", "script"): _script,
    ("GET", "requests"): _requests,
    ("POST", "reset"): _reset,
    ("POST", "credentials"): _credentials,
}
