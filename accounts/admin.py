"""People, until they have pages of their own, and keys to look up."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey, User
from accounts.people_facts import facts_of_user
from gateway.lib import audit, credits
from gateway.lib.admin import ReadOnlyAdmin
from gateway.lib.errors import Conflict

# Roles say who may do what.
admin.site.unregister(Group)


class UserForm(UserChangeForm[User]):
    def clean_username(self) -> str:
        """As the form of a new one does: names are typed with capitals or without to sign in."""
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError("A user with that username already exists.")
        return name


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):
    form = UserForm
    list_display = ("username", "role", "email", "is_active", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("username", "email")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Access", {"fields": ("role", "is_active")}),
        ("Contact", {"fields": ("email", "first_name", "last_name")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "role", "usable_password", "password1", "password2"),
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        before = facts_of_user(User.objects.get(pk=obj.pk)) if change else {}
        try:
            services.save_user(user=obj)
        except Conflict as exc:
            self.message_user(request, exc.message, messages.ERROR)
            return
        audit.record_change(
            request,
            action="users.edit" if change else "users.create",
            subject=f"user {obj.username}",
            before=before,
            after=facts_of_user(obj),
        )

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        with transaction.atomic():
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            if request.method == "POST" and answer.status_code == 302:
                user = get_object_or_404(User, pk=id)
                audit.record_request(
                    request, action="users.password", subject=f"user {user.username}"
                )
        return answer

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """People are switched off: the ledger speaks of them."""
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are issued and changed at /api-key-admin; here they are only looked up."""

    list_display = ("masked_key", "description", "owner", "left", "state", "expires_at")
    list_select_related = ("owner", "balance")
    search_fields = ("public_id", "description", "owner__username")
    show_full_result_count = False
    fields = (
        "masked_key",
        "description",
        "notes",
        "owner",
        "group",
        "state",
        "left",
        "used",
        "expires_at",
        "lifetime_days",
        "first_used_at",
        "previous_until",
        "created_at",
        "last_used_at",
        "revoked_at",
        "deleted_at",
    )
    readonly_fields = ("masked_key", "state", "left", "used")

    @admin.display(description="key", ordering="public_id")
    def masked_key(self, key: ApiKey) -> str:
        return key.masked

    @admin.display(description="credits left", ordering="balance__remaining_micros")
    def left(self, key: ApiKey) -> str:
        if key.balance.open_ended:
            return "unlimited"
        remaining, total = key.balance.remaining_micros, key.balance.total_micros
        return f"{credits.to_text(remaining)} of {credits.to_text(total)}"

    @admin.display(description="credits used", ordering="balance__used_micros")
    def used(self, key: ApiKey) -> str:
        return credits.to_text(key.balance.used_micros)

    @admin.display
    def state(self, key: ApiKey) -> str:
        return key.state_at(timezone.now())
