"""Every route of the URL conf, with an address that leads to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.urls import resolve

from gateway.lib.scopes import routes, view_class

UUID = "01234567-89ab-4cde-8f01-23456789abcd"
# What stands in an address where the route has a name for it. Nothing of it exists.
_EXAMPLES = {
    "pk": "1",
    "public_id": "A" * 12,
    "request_id": "req_1",
    "named": "A" * 12,
    "name": "x",
    "project_id": "p",
    "token": "t",
    "code": "c",
    "form": "json",
    "credential_id": "1",
}
_API_METHODS = ("get", "post", "put", "patch", "delete")
# Django's own and allauth's own: their tests are theirs, and tests/accounts has those of the ways in.
OTHERS = ("admin/", "account/", "accounts/", "_allauth/")


@dataclass(frozen=True)
class Route:
    """`name` is the route as the URL conf writes it, without anchors; `address` leads there. `view`: the class, of the API."""

    name: str
    address: str
    methods: tuple[str, ...]
    view: Any

    @property
    def is_api(self) -> bool:
        return self.view is not None and hasattr(self.view, "permission_classes")


def every_route() -> list[Route]:
    return [_route(path, pattern) for path, pattern in routes() if not path.startswith(OTHERS)]


def _route(path: str, pattern: Any) -> Route:
    name = re.sub(r"\(\?P<(\w+)>((?:[^()]|\([^()]*\))*)\)", r"<\1>", path.strip("^$"))
    name = re.sub(r"<\w+:(\w+)>", r"<\1>", name).replace("\\", "").replace("^", "")
    address = "/" + re.sub(r"<(\w+)>", lambda found: _example(found[1], path), name)
    assert resolve(address).func == pattern.callback, f"{address} does not lead to {name}"
    view = view_class(pattern.callback)
    return Route(name, address, _methods(pattern.callback, view), view)


def _example(name: str, path: str) -> str:
    if f"<uuid:{name}>" in path or "{36}" in path:
        return UUID
    if name == "action":
        choices = re.search(r"\(\?P<action>([\w|-]+)\)", path)
        return choices[1].split("|")[0] if choices else "pause"
    return _EXAMPLES[name]


def _methods(callback: Any, view: Any) -> tuple[str, ...]:
    if (actions := getattr(callback, "actions", None)) is not None:
        allowed = getattr(view, "http_method_names", _API_METHODS)
        return tuple(sorted(method for method in actions if method in allowed))
    if view is not None and hasattr(view, "permission_classes"):
        return tuple(sorted(method for method in _API_METHODS if hasattr(view, method)))
    return ("get", "post")
