"""One include per app. `/v1…` never comes here: gateway/asgi.py hands it to the proxy's edge."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views.profile import admin_login
from gateway.dashboard.docs import Docs, Schema

admin.site.site_header = "Wellspring"
admin.site.site_title = "Wellspring"
admin.site.index_title = "Administration"

handler400 = "gateway.refusals.bad_request"
handler404 = "gateway.refusals.not_found"
handler500 = "gateway.refusals.failed"

urlpatterns = [
    path("", include("gateway.dashboard.urls")),
    path("", include("accounts.urls")),
    path("", include("credentials.urls")),
    path("", include("quotas.urls")),
    path("", include("apiproxy.urls")),
    path("", include("gateway.older.urls")),
    # The admin's pages name no icon, so browsers ask here for one.
    path("favicon.ico", RedirectView.as_view(url=static("css/mark.svg"))),
    path("account/", include("accounts.people_urls")),
    path("admin/login/", admin_login),
    # In one place as well, where tries are counted and the change is told.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("api/schema/", Schema.as_view(), name="schema"),
    path("api/docs/", Docs.as_view(), name="api-docs"),
]
