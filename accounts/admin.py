"""People and keys, until they have pages of their own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from accounts import services
from accounts.forms import IssueKeyForm, KeyForm
from accounts.models import ApiKey, User
from gateway.lib import credits
from gateway.lib.errors import InvalidRequest

# Roles say who may do what.
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):
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
        services.save_user(user=obj)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    list_display = (
        "masked_key",
        "description",
        "owner",
        "left",
        "state",
        "expires_at",
        "last_used_at",
    )
    list_select_related = ("owner", "balance")
    search_fields = ("public_id", "description", "owner__username")
    autocomplete_fields = ("owner",)
    actions = ("revoke", "pause", "resume")
    show_full_result_count = False

    _facts = (
        "masked_key",
        "state",
        "left",
        "used",
        "created_at",
        "last_used_at",
        "revoked_at",
    )

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        kwargs["form"] = KeyForm if change else IssueKeyForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        editable = ("description", "owner", "expires_at", "models")
        return ("quota", *editable) if obj is None else (*self._facts, *editable)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return () if obj is None else self._facts

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        allowed_models = form.cleaned_data["models"]
        if change:
            obj.allowed_models = allowed_models
            # Only what the form holds: a revocation that happens meanwhile stays.
            obj.save(update_fields=["description", "owner", "expires_at", "allowed_models"])
            return
        issued, key = services.issue_key(
            quota_micros=credits.to_micros(form.cleaned_data["quota"]),
            description=obj.description,
            owner=obj.owner,
            expires_at=obj.expires_at,
            allowed_models=allowed_models,
        )
        obj.pk = issued.pk
        obj.refresh_from_db()
        # Messages travel in the browser's cookie: the key does not pass through the database.
        note = "Copy the key now, it is not shown again: <code>{}</code>"
        self.message_user(request, format_html(note, key), messages.WARNING)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """The ledger speaks of keys for as long as it exists: revoke them instead."""
        return False

    @admin.display(description="key", ordering="public_id")
    def masked_key(self, key: ApiKey) -> str:
        return key.masked

    @admin.display(description="credits left", ordering="balance__remaining_micros")
    def left(self, key: ApiKey) -> str:
        if key.unlimited:
            return "unlimited"
        remaining, total = key.balance.remaining_micros, key.balance.total_micros
        return f"{credits.to_text(remaining)} of {credits.to_text(total)}"

    @admin.display(description="credits used", ordering="balance__used_micros")
    def used(self, key: ApiKey) -> str:
        return credits.to_text(key.balance.used_micros)

    @admin.display
    def state(self, key: ApiKey) -> str:
        return key.state_at(timezone.now())

    @admin.action(description="Revoke selected keys for good")
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        for key in chosen:
            services.revoke_key(key=key)
        self.message_user(request, f"{len(chosen)} revoked.", messages.SUCCESS)

    @admin.action(description="Pause selected keys")
    def pause(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        self._set_active(request, chosen, is_active=False)

    @admin.action(description="Let selected keys work again")
    def resume(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        self._set_active(request, chosen, is_active=True)

    def _set_active(
        self, request: HttpRequest, chosen: QuerySet[ApiKey], *, is_active: bool
    ) -> None:
        for key in chosen:
            try:
                services.set_key_active(key=key, is_active=is_active)
            except InvalidRequest as exc:
                self.message_user(request, f"{key.masked} {exc.message}", messages.ERROR)
