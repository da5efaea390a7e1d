"""The OpenAPI document, and the browsable documentation made of it. Swagger UI lies on this site, and its page may ask no other."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from django.utils.encoding import force_bytes
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
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


class Schema(SpectacularAPIView):
    """The same for everybody, so a process writes it once in each form: strangers may ask for it as often as they like."""

    throttle_classes = ()
    authentication_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        response = HttpResponse(_written(renderer.media_type), content_type=renderer.media_type)
        response["Content-Disposition"] = f'inline; filename="Wellspring.{renderer.format}"'
        return response


@lru_cache
def _written(media_type: str) -> bytes:
    forms = {form.media_type: form for form in Schema.renderer_classes}
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return force_bytes(forms[media_type]().render(document))


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
