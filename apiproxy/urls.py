from __future__ import annotations

from django.urls import path

from apiproxy import views

urlpatterns = [
    path("health", views.health, name="health"),
    path("ready", views.ready, name="ready"),
    path("media/<path:name>", views.media, name="media"),
    path("api/models", views.Models.as_view(), name="models"),
    path("api/requests/<str:request_id>", views.RequestDetail.as_view(), name="request"),
]
