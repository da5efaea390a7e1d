from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts import views

app_name = "accounts"

urlpatterns = [
    path("setup/<str:token>", views.setup, name="setup"),
    path("welcome", views.welcome, name="welcome"),
    path("sign-out", LogoutView.as_view(next_page="dashboard:landing"), name="sign_out"),
]
