"""Pages of the pool for those who manage it."""

from __future__ import annotations

from django.urls import URLPattern, path

from credentials.views import pool

urlpatterns: list[URLPattern] = [
    path("credentials", pool.pool, name="pool"),
    path("credentials/bulk", pool.bulk_action, name="pool_bulk"),
    path("credentials/<int:credential_id>", pool.one, name="credential"),
    path("credentials/<int:credential_id>/edit", pool.edit, name="credential_edit"),
    path("credentials/<int:credential_id>/limits", pool.limits, name="credential_limits"),
    path("credentials/<int:credential_id>/<slug:action>", pool.act, name="credential_act"),
]
