"""Django admin for what has no page yet. Secrets go in and never come out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from credentials import services
from credentials.importers import Item, parse
from credentials.models import (
    Contributor,
    Credential,
    ModelState,
    Notice,
    QuotaReading,
    StateChange,
)
from credentials.services import Event, Outcome
from credentials.states import IllegalMove
from gateway.lib import audit
from gateway.lib.admin import ReadOnlyAdmin
from gateway.lib.crypto import SecretUnreadable

if TYPE_CHECKING:
    CredentialAdminBase = admin.ModelAdmin[Credential]
    StateChangeAdminBase = admin.ModelAdmin[StateChange]
    ModelStateInlineBase = admin.TabularInline[ModelState, Credential]
    PasteFormBase = forms.ModelForm[Credential]
else:
    CredentialAdminBase = StateChangeAdminBase = admin.ModelAdmin
    ModelStateInlineBase = admin.TabularInline
    PasteFormBase = forms.ModelForm


class WriteOnlyTextarea(forms.Textarea):
    def format_value(self, value: Any) -> str:
        """Nothing: what was pasted is not sent back, not even beside an error."""
        return ""


class PasteForm(PasteFormBase):
    paste = forms.CharField(
        label="Credential",
        widget=WriteOnlyTextarea(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="API keys, or the JSON of gcli2api, gemini-cli, gcloud (ADC) or CLIProxyAPI.",
    )

    class Meta:
        model = Credential
        fields: list[str] = []

    def clean_paste(self) -> list[Item]:
        items = parse("paste", self.cleaned_data["paste"].encode())
        results = services.import_items(items=items, dry_run=True)
        if all(result.outcome is Outcome.UNUSABLE for result in results):
            raise ValidationError([f"{result.source}: {result.reason}" for result in results])
        return items


class ModelStateInline(ModelStateInlineBase):
    model = ModelState
    fields = readonly_fields = ("model", "state", "reason", "until")
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Credential)
class CredentialAdmin(CredentialAdminBase):
    list_display = (
        "label",
        "provider",
        "state",
        "state_reason",
        "state_until",
        "project_id",
        "contributor",
        "weight",
        "secret_is",
        "updated_at",
    )
    list_filter = ("provider", "state")
    list_select_related = ("contributor",)
    search_fields = ("label", "email", "project_id", "source")
    ordering = ("label", "pk")
    actions = ("enable", "disable")
    inlines = (ModelStateInline,)
    fields = (
        "label",
        "weight",
        "contributor",
        "provider",
        "email",
        "project_id",
        "tier",
        "state",
        "state_reason",
        "state_until",
        "help_url",
        "secret_is",
        "source",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields[3:]
    raw_id_fields = ("contributor",)

    @admin.display(description="secret")
    def secret_is(self, obj: Credential) -> str:
        try:
            return "encrypted" if obj.secret.open() else "destroyed"
        except SecretUnreadable:
            return "unreadable: its key is missing from ENCRYPTION_KEYS"

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            return PasteForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ("paste",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()

    @method_decorator(sensitive_post_parameters("paste"))
    def add_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().add_view(*args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            # Only what was edited: a whole row would undo a refresh that ran meanwhile.
            fields = [name for name in form.changed_data if name in self.fields]
            with transaction.atomic():
                obj.save(update_fields=fields)
                _audit(request, "edit", obj.pk, fields=sorted(fields))
            return
        with transaction.atomic():
            results = services.import_items(
                items=form.cleaned_data["paste"], by=request.user.get_username()
            )
            audit.record_request(
                request,
                action="credentials.import",
                subject="admin",
                **Counter(result.outcome.value for result in results),
            )
        stored = [result for result in results if result.credential_id]
        obj.pk, obj.label = stored[0].credential_id, stored[0].label
        for result in results:
            if result.outcome is Outcome.UNUSABLE:
                messages.warning(request, f"{result.source}: {result.reason}")
        if len(stored) > 1:
            messages.info(request, f"{len(stored)} credentials were taken in.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        self._set_state(request, queryset, Event.ENABLED)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        self._set_state(request, queryset, Event.DISABLED)

    def _set_state(
        self, request: HttpRequest, queryset: QuerySet[Credential], event: Event
    ) -> None:
        done = 0
        for credential in queryset:
            try:
                with transaction.atomic():
                    services.set_state(
                        credential_id=credential.pk, event=event, by=request.user.get_username()
                    )
                    _audit(
                        request, "enable" if event is Event.ENABLED else "disable", credential.pk
                    )
                done += 1
            except IllegalMove as exc:
                messages.warning(request, f"{credential}: {exc}")
        messages.success(request, f"{event}: {done}")


def _audit(request: HttpRequest, name: str, credential_id: int, **detail: Any) -> None:
    audit.record_request(
        request, action=f"credentials.{name}", subject=f"credential {credential_id}", **detail
    )


@admin.register(StateChange)
class StateChangeAdmin(StateChangeAdminBase):
    list_display = ("at", "credential", "model", "from_state", "to_state", "reason", "request_id")
    list_filter = ("to_state",)
    list_select_related = ("credential",)
    search_fields = ("credential__label", "model", "reason", "request_id")
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Contributor)
class ContributorAdmin(ReadOnlyAdmin):
    """Their link and webhook are not shown. A new link is made by the API, what they lend is managed on the pool's page."""

    list_display = ("__str__", "email", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "email", "public_id", "user__username")
    fields = ("public_id", "name", "email", "user", "created_at")


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "credential", "sent_at", "channels", "error", "closed_at")
    list_filter = ("kind",)
    list_select_related = ("credential",)
    date_hierarchy = "created_at"


@admin.register(QuotaReading)
class QuotaReadingAdmin(ReadOnlyAdmin):
    list_display = (
        "credential",
        "model",
        "remaining_fraction",
        "remaining_calls",
        "resets_at",
        "read_at",
    )
    list_select_related = ("credential",)
    search_fields = ("model", "credential__label")
