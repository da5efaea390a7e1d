"""The management API's resources about prices, the ledger and codes. One router: each resource adds its line."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver
from rest_framework.routers import SimpleRouter

from quotas.api.campaigns import Campaigns
from quotas.api.codes import Codes
from quotas.api.ledger import Ledger, MyLedger
from quotas.api.multipliers import Multipliers
from quotas.api.prices import Prices

app_name = "quotas"

router = SimpleRouter(trailing_slash=False)
router.register("api/campaigns", Campaigns, basename="api-campaign")
router.register("api/codes", Codes, basename="api-code")
router.register("api/ledger", Ledger, basename="api-ledger")
router.register("api/my/ledger", MyLedger, basename="api-my-ledger")
router.register("api/multipliers", Multipliers, basename="api-multiplier")
router.register("api/prices", Prices, basename="api-price")

urlpatterns: list[URLPattern | URLResolver] = [*router.urls]
