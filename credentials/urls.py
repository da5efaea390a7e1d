"""Lending, the contributor's own page, and the management of the pool."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from credentials.api.urls import urlpatterns as api
from credentials.intake_urls import urlpatterns as intake
from credentials.lending_urls import urlpatterns as lending
from credentials.older_urls import urlpatterns as older
from credentials.pool_urls import urlpatterns as pool
from credentials.private_urls import urlpatterns as private

app_name = "credentials"

urlpatterns: list[URLPattern | URLResolver] = [
    *api,
    *intake,
    *lending,
    *older,
    *private,
    *pool,
]
