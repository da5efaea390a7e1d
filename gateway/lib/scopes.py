"""What a token may touch: `resource:read` or `resource:write`, which reads too; `*` is everything.

A view names its resource as `scope`. One that names none is for whole tokens and for people alone, so a view that forgets to
gives nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

EVERYTHING = "*"
READ, WRITE = "read", "write"

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def allow(scopes: Collection[str], resource: str, method: str) -> bool:
    if EVERYTHING in scopes:
        return True
    if not resource:
        return False
    wanted = {f"{resource}:{WRITE}"} | ({f"{resource}:{READ}"} if method in _READING else set())
    return not wanted.isdisjoint(scopes)


def within(scopes: Iterable[str], bounds: Collection[str]) -> bool:
    """Whether whoever holds `bounds` may hand out `scopes`."""
    return all(_covered(scope, bounds) for scope in scopes)


def _covered(scope: str, bounds: Collection[str]) -> bool:
    if EVERYTHING in bounds or scope in bounds:
        return True
    resource, _, does = scope.partition(":")
    return does == READ and f"{resource}:{WRITE}" in bounds


def scoped(resource: str) -> Callable[[Any], Any]:
    """Names the resource of a view that `@api_view` made."""

    def name(view: Any) -> Any:
        view.cls.scope = resource
        return view

    return name


@lru_cache(maxsize=1)
def resources() -> frozenset[str]:
    """All that some view names."""
    views = (view_class(pattern.callback) for _, pattern in routes())
    return frozenset(filter(None, (getattr(view, "scope", "") for view in views)))


def routes(
    patterns: Iterable[URLPattern | URLResolver] | None = None, before: str = ""
) -> Iterable[tuple[str, URLPattern]]:
    """Every route of the site with its whole path as the URL conf writes it."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        else:
            yield path, pattern


def view_class(callback: Any) -> Any:
    """The class behind a view of the API; None for a plain function."""
    return getattr(callback, "cls", None) or getattr(callback, "view_class", None)
