"""Import and export: pages, and the routes of older gateways for files. Their API stands with the others (api/urls.py)."""

from __future__ import annotations

from django.urls import URLPattern, path

from credentials.views import intake, older_files

urlpatterns: list[URLPattern] = [
    path("credentials/import", intake.begin, name="import_begin"),
    path("credentials/import/<uuid:import_id>", intake.detail, name="import"),
    path("credentials/import/<uuid:import_id>/confirm", intake.confirm, name="import_confirm"),
    path("credentials/import/<uuid:import_id>/cancel", intake.cancel, name="import_cancel"),
    path("credentials/export", intake.export, name="export"),
    path("auth/upload", older_files.Upload.as_view(), name="older_upload"),
    path("auth/load-env-creds", older_files.LoadEnvironment.as_view(), name="older_load_env"),
    path("auth/env-creds", older_files.ForgetEnvironment.as_view(), name="older_forget_env"),
    path("auth/env-creds-status", older_files.EnvironmentStatus.as_view(), name="older_env_status"),
    path("creds/download-all", older_files.DownloadAll.as_view(), name="older_download_all"),
    path("creds/download/<str:name>", older_files.Download.as_view(), name="older_download"),
]
