"""Addresses of the older gateways about keys, costs and settings; they answer in the older shapes."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gateway.older import config, costs, keys, quota

app_name = "older"

urlpatterns: list[URLPattern | URLResolver] = [
    path("config/get", config.Get.as_view()),
    path("config/save", config.Save.as_view()),
    path("auth/keys", keys.OlderKeys.as_view()),
    path("auth/keys/<str:named>", keys.OlderKey.as_view()),
    path("auth/models/costs", costs.OlderCosts.as_view()),
    path("auth/models/costs/<path:name>", costs.OlderCost.as_view()),
    path("auth/models/<path:name>/cost", costs.OlderModelCost.as_view()),
    path("auth/quota", quota.quota),
    path("auth/query", quota.query),
]
