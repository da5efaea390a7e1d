"""The resources of people and keys. One router: each resource adds its line."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import SimpleRouter

from accounts.api.announcements import Announcements
from accounts.api.groups import Groups
from accounts.api.invitations import Invitations
from accounts.api.key_templates import KeyTemplates
from accounts.api.keys import Keys
from accounts.api.me import Me
from accounts.api.redeem import Redeem
from accounts.api.tokens import Tokens
from accounts.api.users import Users

router = SimpleRouter(trailing_slash=False)
router.register("api/keys", Keys, basename="api-key")
router.register("api/key-templates", KeyTemplates, basename="api-key-template")
router.register("api/users", Users, basename="api-user")
router.register("api/groups", Groups, basename="api-group")
router.register("api/invitations", Invitations, basename="api-invitation")
router.register("api/tokens", Tokens, basename="api-token")
router.register("api/announcements", Announcements, basename="api-announcement")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/me", Me.as_view(), name="api-me"),
    path("api/redeem", Redeem.as_view(), name="api-redeem"),
    *router.urls,
]
