from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import SimpleRouter

from apiproxy.api import prices, usage
from apiproxy.api.requests import MyRequests, Requests
from gateway.lib.tables import AnyAccept

_CSV = {"content_negotiation_class": AnyAccept, "pagination_class": None}

router = SimpleRouter(trailing_slash=False)
router.register("api/requests", Requests, basename="api-request")
router.register("api/my/requests", MyRequests, basename="api-my-request")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/requests.csv", Requests.as_view({"get": "csv"}, **_CSV), name="api-requests-csv"),
    path(
        "api/my/requests.csv",
        MyRequests.as_view({"get": "csv"}, **_CSV),
        name="api-my-requests-csv",
    ),
    path("api/usage", usage.Usage.as_view(), name="api-usage"),
    path("api/usage.csv", usage.UsageCsv.as_view(), name="api-usage-csv"),
    path("api/usage/series", usage.UsageSeries.as_view(), name="api-usage-series"),
    path("api/usage/series.csv", usage.UsageSeriesCsv.as_view(), name="api-usage-series-csv"),
    path("api/my/usage", usage.MyUsage.as_view(), name="api-my-usage"),
    path("api/my/usage.csv", usage.MyUsageCsv.as_view(), name="api-my-usage-csv"),
    path("api/my/usage/series", usage.MyUsageSeries.as_view(), name="api-my-usage-series"),
    path(
        "api/my/usage/series.csv", usage.MyUsageSeriesCsv.as_view(), name="api-my-usage-series-csv"
    ),
    path("api/price-list", prices.PublicPriceList.as_view(), name="api-price-list"),
    path("api/prices/what-if", prices.WhatIf.as_view(), name="api-what-if"),
    *router.urls,
]
