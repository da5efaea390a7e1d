"""Joining the preview channel, which licensed projects need for `*-preview` models (reference 1.8).

A generator without I/O, driven like those of code_assist_setup.py.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import quote

from apiproxy.providers.code_assist import POLICY
from apiproxy.providers.code_assist_setup import Ask
from apiproxy.providers.judgement import judge
from apiproxy.wire import codec
from apiproxy.wire.types import OK, Answer, Credential, Endpoints, Outgoing, Verdict

Json = dict[str, Any]

_EXISTS = 409
_PRODUCT = "GEMINI_CODE_ASSIST"


def join(
    credential: Credential, endpoints: Endpoints, new_id: str
) -> Generator[Ask, Answer, Verdict]:
    """OK when the project is bound to the preview channel. `new_id` names what is created, where nothing is yet."""
    project = credential.project
    settings = (
        f"{endpoints.cloud_ai_companion}/v1/projects/{quote(project, safe='')}"
        "/locations/global/releaseChannelSettings"
    )
    created = yield Ask(
        _post(
            credential,
            f"{settings}?release_channel_setting_id={new_id}",
            {"release_channel": "EXPERIMENTAL"},
        )
    )
    setting = new_id
    if created.status == _EXISTS:
        listed = yield Ask(_request("GET", credential, settings))
        if (verdict := judge(listed, POLICY)) is not OK:
            return verdict
        setting = _first_id(listed) or new_id
    elif (verdict := judge(created, POLICY)) is not OK:
        return verdict
    bound = yield Ask(
        _post(
            credential,
            f"{settings}/{quote(setting, safe='')}/settingBindings?setting_binding_id={new_id}",
            {"target": f"projects/{project}", "product": _PRODUCT},
        )
    )
    return OK if bound.status == _EXISTS else judge(bound, POLICY)


def _first_id(listed: Answer) -> str:
    try:
        value = codec.loads_lenient(listed.body)
    except (ValueError, RecursionError):
        return ""
    found = value.get("releaseChannelSettings") if isinstance(value, dict) else None
    first = found[0] if isinstance(found, list) and found else None
    name = first.get("name") if isinstance(first, dict) else None
    return name.rpartition("/")[2] if isinstance(name, str) else ""


def _post(credential: Credential, url: str, body: Json) -> Outgoing:
    return _request("POST", credential, url, codec.encode(body))


def _request(method: str, credential: Credential, url: str, body: bytes = b"") -> Outgoing:
    headers = {"authorization": f"Bearer {credential.token}", "accept": "application/json"}
    if body:
        headers["content-type"] = "application/json"
    return Outgoing(method=method, url=url, headers=headers, body=body)
