"""The contributor's private page. Everything of it lies below /auth, where the cookie is sent."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from credentials.views import private

urlpatterns: list[URLPattern] = [
    path("auth/mine", private.mine, name="mine"),
    path("auth/mine/open", private.open_my_link, name="open_my_link"),
    path("auth/mine/contact", private.save_contact, name="save_contact"),
    path("auth/mine/new-link", private.renew_link, name="renew_link"),
    path("auth/mine/<int:credential_id>", private.one, name="loan"),
    path("auth/mine/<int:credential_id>/limits", private.save_limits, name="save_limits"),
    path("auth/mine/<int:credential_id>/pause", private.pause, name="pause"),
    path("auth/mine/<int:credential_id>/resume", private.resume, name="resume"),
    path("auth/mine/<int:credential_id>/test", private.test_now, name="test_now"),
    path("auth/mine/<int:credential_id>/withdraw", private.withdraw, name="withdraw"),
    path("auth/mine/<int:credential_id>/receipt", private.receipt, name="receipt"),
    re_path(
        r"^auth/mine/(?P<credential_id>[0-9]{1,18})/receipt\.(?P<form>json|txt)$",
        private.download_receipt,
        name="download_receipt",
    ),
    path("auth/no-more-mail/<str:token>", private.unsubscribe, name="unsubscribe"),
]
