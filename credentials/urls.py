"""Lending, the contributor's own page, the management of the pool, and the routes that older clients know."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView

from credentials.api.urls import urlpatterns as api
from credentials.views import (
    intake,
    lending,
    older_creds,
    older_files,
    older_login,
    older_usage,
    pool,
    private,
)

app_name = "credentials"

_LENDING = [
    path("auth", lending.lend, name="lend"),
    path("auth/", RedirectView.as_view(pattern_name="credentials:lend", permanent=True)),
    path("auth/flows/<uuid:flow_id>", lending.flow, name="flow"),
    path("auth/link/<str:token>", lending.open_link, name="link"),
    path("auth/mine/<int:credential_id>/reconnect", lending.reconnect, name="reconnect"),
]

# Everything of a contributor lies below /auth, where the cookie is sent.
_PRIVATE = [
    path("auth/mine", private.mine, name="mine"),
    path("auth/mine/open", private.open_my_link, name="open_my_link"),
    path("auth/mine/contact", private.save_contact, name="save_contact"),
    path("auth/mine/new-link", private.renew_link, name="renew_link"),
    path("auth/mine/leave", private.leave, name="leave"),
    path("auth/mine/<int:credential_id>", private.one, name="loan"),
    path("auth/mine/<int:credential_id>/limits", private.save_limits, name="save_limits"),
    path("auth/mine/<int:credential_id>/pause", private.pause, name="pause"),
    path("auth/mine/<int:credential_id>/resume", private.resume, name="resume"),
    path("auth/mine/<int:credential_id>/test", private.test_now, name="test_now"),
    path("auth/mine/<int:credential_id>/withdraw", private.withdraw, name="withdraw"),
    path("auth/mine/<int:credential_id>/receipt", private.receipt, name="receipt"),
    re_path(
        r"^auth/mine/(?P<credential_id>[0-9]{1,18})/receipt\.(?P<form>json|txt)$",
        private.download_receipt,
        name="download_receipt",
    ),
    path("auth/no-more-mail/<str:token>", private.unsubscribe, name="unsubscribe"),
]

_POOL = [
    path("credentials", pool.pool, name="pool"),
    path("credentials/bulk", pool.bulk_action, name="pool_bulk"),
    path("credentials/import", intake.begin, name="import_begin"),
    path("credentials/import/<uuid:import_id>", intake.detail, name="import"),
    path("credentials/import/<uuid:import_id>/confirm", intake.confirm, name="import_confirm"),
    path("credentials/import/<uuid:import_id>/cancel", intake.cancel, name="import_cancel"),
    path("credentials/export", intake.export, name="export"),
    path("credentials/<int:credential_id>", pool.one, name="credential"),
    path("credentials/<int:credential_id>/edit", pool.edit, name="credential_edit"),
    path("credentials/<int:credential_id>/limits", pool.limits, name="credential_limits"),
    path("credentials/<int:credential_id>/<slug:action>", pool.act, name="credential_act"),
]

_OLDER = [
    path("auth/callback", older_login.callback, name="callback"),
    path("auth/login", older_login.Login.as_view()),
    path("auth/start", older_login.Start.as_view()),
    path("auth/callback-url", older_login.CallbackUrl.as_view()),
    path("auth/status/<str:project_id>", older_login.Status.as_view()),
    path("auth/upload", older_files.Upload.as_view()),
    path("auth/load-env-creds", older_files.LoadEnvironment.as_view()),
    path("auth/env-creds", older_files.ForgetEnvironment.as_view()),
    path("auth/env-creds-status", older_files.EnvironmentStatus.as_view()),
    path("creds/status", older_creds.status),
    path("creds/action", older_creds.action),
    path("creds/batch-action", older_creds.batch_action),
    path("creds/fetch-email/<path:name>", older_creds.fetch_email),
    path("creds/refresh-all-emails", older_creds.refresh_all_emails),
    path("creds/download-all", older_files.DownloadAll.as_view()),
    path("creds/download/<str:name>", older_files.Download.as_view()),
    path("usage/stats", older_usage.stats),
    path("usage/aggregated", older_usage.aggregated),
    path("usage/update-limits", older_usage.update_limits),
    path("usage/reset", older_usage.reset),
]

urlpatterns: list[URLPattern | URLResolver] = [*api, *_LENDING, *_PRIVATE, *_POOL, *_OLDER]
