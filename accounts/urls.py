from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path, re_path

from accounts.api.urls import urlpatterns as api
from accounts.key_urls import urlpatterns as keys
from accounts.views import people, profile, setup

app_name = "accounts"

urlpatterns = [
    *api,
    *keys,
    path("setup/<str:token>", setup.setup, name="setup"),
    path("welcome", setup.welcome, name="welcome"),
    path("account", profile.profile, name="profile"),
    path("account/everywhere", profile.everywhere, name="sign_out_everywhere"),
    path("users", people.people, name="people"),
    path("users/invite", people.invite, name="invite"),
    path("users/groups", people.make_group, name="make_group"),
    path("users/invitations/<int:pk>/revoke", people.revoke, name="revoke_invitation"),
    path("users/<int:pk>", people.person, name="person"),
    re_path(
        rf"^users/(?P<pk>\d{{1,18}})/(?P<action>{'|'.join(people.ACTIONS)})$",
        people.act,
        name="person_act",
    ),
    path("sign-out", LogoutView.as_view(next_page="dashboard:landing"), name="sign_out"),
]
