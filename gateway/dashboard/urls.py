from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView
from rest_framework.routers import SimpleRouter

from gateway.dashboard import audit_pages, views
from gateway.dashboard.audit_api import Audit
from gateway.dashboard.jobs_api import Jobs
from gateway.dashboard.quota import views as quota
from gateway.dashboard.reward_key import make_reward_key
from gateway.dashboard.settings_api import History, Settings, Undo
from gateway.lib.tables import AnyAccept

app_name = "dashboard"

router = SimpleRouter(trailing_slash=False)
router.register("api/jobs", Jobs, basename="api-job")
router.register("api/audit", Audit, basename="api-audit")

urlpatterns = [
    path("api/settings", Settings.as_view(), name="api-settings"),
    path("api/settings/history", History.as_view(), name="api-settings-history"),
    path("api/settings/undo", Undo.as_view(), name="api-settings-undo"),
    path(
        "api/audit.csv",
        Audit.as_view({"get": "csv"}, content_negotiation_class=AnyAccept, pagination_class=None),
        name="api-audit-csv",
    ),
    path("audit", audit_pages.audit_log, name="audit"),
    path("", views.landing, name="landing"),
    path("prices", views.prices, name="prices"),
    path("system", views.system, name="system"),
    path("system/selftest", views.run_selftest, name="run_selftest"),
    path("jobs", views.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/cancel", views.cancel_job, name="cancel_job"),
    path("quota", quota.quota, name="quota"),
    path("quota/done", quota.done, name="quota_done"),
    path("quota/redeem", quota.redeem, name="quota_redeem"),
    path("quota/s/<str:token>", quota.shared, name="quota_shared"),
    path("api-key-query", RedirectView.as_view(pattern_name="dashboard:quota")),
    # Where the contributor's cookie is sent.
    path("auth/mine/reward-key", make_reward_key, name="make_reward_key"),
    *router.urls,
]
