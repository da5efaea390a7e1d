"""The browsable documentation of the API. Swagger UI lies on this site, and its page may ask no other."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # Swagger UI draws with styles of its own making; they can ask nobody for anything.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class Docs(SpectacularSwaggerSplitView):
    """For everybody, like the schema: what it can do, it does in the name of who signs in."""

    throttle_classes = ()
    # Nobody is asked who they are: a token without this scope would be refused a page it may see without.
    authentication_classes = ()
    template_name = "dashboard/api_docs.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response["Content-Security-Policy"] = _POLICY
        response["Referrer-Policy"] = "same-origin"
        return response
