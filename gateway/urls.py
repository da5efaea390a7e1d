"""One include per app. `/v1…` never comes here: gateway/asgi.py hands it to the proxy's edge."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.forms import AuthenticationForm
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

admin.site.site_header = "Wellspring"
admin.site.site_title = "Wellspring"
admin.site.index_title = "Administration"
# Everybody signs in there, stewards and members too; the admin itself still lets in operators alone.
admin.site.login_form = AuthenticationForm

urlpatterns = [
    path("", include("gateway.dashboard.urls")),
    path("", include("accounts.urls")),
    path("", include("credentials.urls")),
    path("", include("apiproxy.urls")),
    # The admin's pages name no icon, so browsers ask here for one.
    path("favicon.ico", RedirectView.as_view(url=static("css/mark.svg"))),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
