"""One include per app. `/v1…` never comes here: gateway/asgi.py hands it to the proxy's edge."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

admin.site.site_header = "Wellspring"
admin.site.site_title = "Wellspring"
admin.site.index_title = "Administration"

urlpatterns = [
    path("", include("gateway.dashboard.urls")),
    path("", include("accounts.urls")),
    path("", include("apiproxy.urls")),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
