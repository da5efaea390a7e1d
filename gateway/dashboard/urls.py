from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from gateway.dashboard import views
from gateway.dashboard.jobs_api import Jobs

app_name = "dashboard"

router = SimpleRouter(trailing_slash=False)
router.register("api/jobs", Jobs, basename="api-job")

urlpatterns = [
    path("", views.landing, name="landing"),
    path("system", views.system, name="system"),
    path("system/selftest", views.run_selftest, name="run_selftest"),
    path("jobs", views.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/cancel", views.cancel_job, name="cancel_job"),
    *router.urls,
]
