"""/auth: the way in for contributors, and the older gateways' way for panels and scripts."""

from __future__ import annotations

from django.urls import URLPattern, path

from credentials.views import lending, older_login

urlpatterns: list[URLPattern] = [
    path("auth", lending.lend, name="lend"),
    path("auth/flows/<uuid:flow_id>", lending.flow, name="flow"),
    path("auth/callback", older_login.callback, name="callback"),
    path("auth/link/<str:token>", lending.open_link, name="link"),
    path("auth/mine/<int:credential_id>/reconnect", lending.reconnect, name="reconnect"),
    path("auth/login", older_login.Login.as_view(), name="older_login"),
    path("auth/start", older_login.Start.as_view(), name="older_start"),
    path("auth/callback-url", older_login.CallbackUrl.as_view(), name="older_callback_url"),
    path("auth/status/<str:project_id>", older_login.Status.as_view(), name="older_status"),
]
