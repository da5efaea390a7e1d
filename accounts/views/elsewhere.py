"""The way to a provider and back is allauth's. It has a page for a sign-in that fails there, and none for a provider that is away, or
answers what makes no sense, at the moments it looks for the provider's own description."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, URLResolver

logger = logging.getLogger(__name__)

# What cannot be reached or read is an OSError of requests; a thing missing in it, or of another kind than it should be, the rest.
_FAILURES = (OSError, LookupError, TypeError, ValueError, AttributeError)


def told(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """The same addresses, whose views say in words that the provider failed."""
    return [_told(one) for one in patterns]


def _told(one: URLPattern | URLResolver) -> URLPattern | URLResolver:
    if isinstance(one, URLResolver):
        inside = told(one.url_patterns)
        return URLResolver(one.pattern, inside, one.default_kwargs, one.app_name, one.namespace)
    return URLPattern(one.pattern, _in_words(one.callback), one.default_args, one.name)


def _in_words(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except _FAILURES:
            logger.exception("The provider of accounts elsewhere failed at %s", request.path)
            return render(request, "socialaccount/authentication_error.html", status=502)

    return answer
