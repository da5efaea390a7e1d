from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import SimpleRouter

from credentials.api.contributors import Contributors
from credentials.api.credentials import Credentials
from credentials.api.exports import Exports
from credentials.api.imports import Imports

router = SimpleRouter(trailing_slash=False)
router.register("api/credentials", Credentials, basename="api-credential")
router.register("api/contributors", Contributors, basename="api-contributor")
router.register("api/imports", Imports, basename="api-import")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/credentials/export", Exports.as_view(), name="api-export"),
    *router.urls,
]
