"""Pages of keys: a member's own, the operators', and the links by which keys are fetched."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from accounts.views import all_keys, claim, key_templates, my_keys

_KEY = r"(?P<public_id>[0-9A-Za-z]{12})"
_OWN_ACTIONS = "|".join(my_keys.ACTIONS)
_ACTIONS = "|".join(all_keys.ACTIONS)

urlpatterns: list[URLPattern | URLResolver] = [
    path("keys", my_keys.my_keys, name="my_keys"),
    path("keys/new", my_keys.make, name="make_key"),
    re_path(rf"^keys/{_KEY}/(?P<action>{_OWN_ACTIONS})$", my_keys.act, name="my_key_act"),
    path("claim/<str:code>", claim.claim, name="claim"),
    path("api-key-admin", all_keys.all_keys, name="all_keys"),
    path("api-key-admin/export.csv", all_keys.export, name="keys_export"),
    path("api-key-admin/many", all_keys.many, name="many_keys"),
    path("api-key-admin/new", all_keys.issue, name="issue_key"),
    path("api-key-admin/batch", all_keys.batch, name="issue_batch"),
    path("api-key-admin/templates", key_templates.templates, name="key_templates"),
    path("api-key-admin/templates/new", key_templates.edit, name="new_key_template"),
    path("api-key-admin/templates/<int:pk>", key_templates.edit, name="key_template"),
    path(
        "api-key-admin/templates/<int:pk>/delete", key_templates.delete, name="key_template_delete"
    ),
    re_path(rf"^api-key-admin/{_KEY}$", all_keys.one, name="key"),
    re_path(rf"^api-key-admin/{_KEY}/(?P<action>{_ACTIONS})$", all_keys.act, name="key_act"),
]
