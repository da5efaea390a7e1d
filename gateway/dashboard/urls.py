from __future__ import annotations

from django.urls import path

from gateway.dashboard import views

app_name = "dashboard"

urlpatterns = [
    path("", views.landing, name="landing"),
    path("system", views.system, name="system"),
    path("system/selftest", views.run_selftest, name="run_selftest"),
]
