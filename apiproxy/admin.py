from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apiproxy.models import (
    CatalogueModel,
    ModelAlias,
    RequestLog,
    StoredImage,
    UpstreamError,
    VerdictRule,
)
from gateway.lib.admin import ReadOnlyAdmin
from gateway.lib.credits import to_text
from quotas import selectors as quota_selectors


@admin.register(CatalogueModel)
class CatalogueModelAdmin(admin.ModelAdmin[CatalogueModel]):
    list_display = ("name", "display_name", "served_by", "listed")
    list_filter = ("listed",)
    search_fields = ("name", "display_name")

    @admin.display(description="served by")
    def served_by(self, model: CatalogueModel) -> str:
        return ", ".join(model.providers)


@admin.register(ModelAlias)
class ModelAliasAdmin(admin.ModelAdmin[ModelAlias]):
    list_display = ("pattern", "target")
    search_fields = ("pattern", "target")


@admin.register(VerdictRule)
class VerdictRuleAdmin(admin.ModelAdmin[VerdictRule]):
    list_display = (
        "position",
        "__str__",
        "provider",
        "status",
        "kind",
        "reason",
        "action",
        "enabled",
    )
    list_display_links = ("__str__",)
    list_filter = ("enabled", "action")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VerdictRule]) -> None:
        for rule in queryset:
            rule.delete()


@admin.register(UpstreamError)
class UpstreamErrorAdmin(ReadOnlyAdmin):
    list_display = ("at", "credential_id", "model", "status", "kind", "reason", "judged", "fault")
    list_filter = ("kind", "provider", "fault")
    search_fields = ("=request_id", "=credential_id")
    show_full_result_count = False
    ordering = ("-id",)


@admin.register(StoredImage)
class StoredImageAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "name", "mime_type", "size_bytes", "request_id", "expires_at")
    search_fields = ("=name", "=request_id")


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin):
    list_display = (
        "at",
        "request_id",
        "model",
        "requested_model",
        "dialect",
        "status",
        "error_code",
        "provider",
        "attempt_count",
        "cost",
        "first_byte_ms",
        "duration_ms",
    )
    list_filter = ("status", "dialect", "provider")
    search_fields = ("=request_id", "=key_id", "=model")
    show_full_result_count = False
    readonly_fields = ("attempt_table", "receipt")
    exclude = ("attempts",)
    ordering = ("-id",)

    @admin.display(description="attempts")
    def attempt_count(self, log: RequestLog) -> int:
        return len(log.attempts)

    @admin.display(ordering="cost_micros")
    def cost(self, log: RequestLog) -> str:
        return to_text(log.cost_micros)

    @admin.display(description="attempts")
    def attempt_table(self, log: RequestLog) -> SafeString:
        rows: list[tuple[Any, ...]] = [
            (
                attempt["credential"] or "-",
                attempt["provider"],
                attempt["status"] or "-",
                attempt["outcome"],
                attempt["reason"],
                attempt["ms"],
            )
            for attempt in log.attempts
        ]
        if not rows:
            return format_html("none: {}", log.error or "the call never reached an upstream")
        return format_html(
            "<table><tr><th>credential<th>provider<th>status<th>outcome<th>reason<th>ms</tr>{}</table>",
            format_html_join("", "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>", rows),
        )

    @admin.display
    def receipt(self, log: RequestLog) -> str:
        receipt = quota_selectors.receipt(log.request_id)
        if receipt is None:
            return "nothing was reserved"
        return (
            f"{receipt.state}: reserved {to_text(receipt.reserved_micros)}, "
            f"settled {to_text(receipt.settled_micros)}, "
            f"refunded {to_text(receipt.refunded_micros)} ({receipt.reason})"
        )
