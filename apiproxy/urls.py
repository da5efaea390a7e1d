from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apiproxy import rule_api, rule_pages, views

_rules = SimpleRouter(trailing_slash=False)
_rules.register("api/rules", rule_api.Rules, basename="api-rule")

urlpatterns = [
    path("health", views.health, name="health"),
    path("ready", views.ready, name="ready"),
    path("media/<path:name>", views.media, name="media"),
    path("api/models", views.Models.as_view(), name="models"),
    path("", include("apiproxy.api.urls")),
    path("api/upstream-errors", rule_api.UpstreamErrors.as_view(), name="upstream-errors"),
    path("", include(_rules.urls)),
    path("credentials/rules", rule_pages.rules, name="rules"),
    path("credentials/rules/<int:pk>", rule_pages.rules, name="rule"),
    path("credentials/rules/<int:pk>/delete", rule_pages.delete, name="rule-delete"),
]
