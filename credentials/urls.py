"""Lending, the contributor's own page, and the management of the pool."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "credentials"

urlpatterns: list[URLPattern] = []
