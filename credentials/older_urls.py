"""The older gateways' routes for credentials and their counters."""

from __future__ import annotations

from django.urls import path

from credentials.views import older_creds, older_usage

urlpatterns = [
    path("creds/status", older_creds.status),
    path("creds/action", older_creds.action),
    path("creds/batch-action", older_creds.batch_action),
    path("creds/fetch-email/<path:name>", older_creds.fetch_email),
    path("creds/refresh-all-emails", older_creds.refresh_all_emails),
    path("usage/stats", older_usage.stats),
    path("usage/aggregated", older_usage.aggregated),
    path("usage/update-limits", older_usage.update_limits),
    path("usage/reset", older_usage.reset),
]
