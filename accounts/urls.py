from __future__ import annotations

from django.urls import path

from accounts import views

app_name = "accounts"

urlpatterns = [
    path("setup/<str:token>", views.setup, name="setup"),
    path("welcome", views.welcome, name="welcome"),
]
