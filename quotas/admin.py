from __future__ import annotations

from django.contrib import admin

from gateway.lib.admin import ReadOnlyAdmin
from gateway.lib.credits import to_text
from quotas.models import Balance, Entry, Multiplier, Price


@admin.register(Balance)
class BalanceAdmin(ReadOnlyAdmin):
    list_display = ("label", "total", "used", "reserved", "remaining", "created_at")
    search_fields = ("label",)

    @admin.display(ordering="total_micros")
    def total(self, balance: Balance) -> str:
        return to_text(balance.total_micros)

    @admin.display(ordering="used_micros")
    def used(self, balance: Balance) -> str:
        return to_text(balance.used_micros)

    @admin.display(ordering="reserved_micros")
    def reserved(self, balance: Balance) -> str:
        return to_text(balance.reserved_micros)

    @admin.display(ordering="remaining_micros")
    def remaining(self, balance: Balance) -> str:
        return to_text(balance.remaining_micros)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "balance", "kind", "amount", "reserved", "request_id", "reason")
    list_filter = ("kind",)
    list_select_related = ("balance",)
    search_fields = ("request_id", "balance__label")
    show_full_result_count = False

    @admin.display(ordering="amount_micros")
    def amount(self, entry: Entry) -> str:
        return to_text(entry.amount_micros)

    @admin.display(ordering="reserved_micros")
    def reserved(self, entry: Entry) -> str:
        return to_text(entry.reserved_micros)


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    list_display = (
        "tariff",
        "pattern",
        "valid_from",
        "valid_until",
        "per_call",
        "input",
        "cached",
        "output",
        "thinking",
    )
    search_fields = ("pattern",)

    @admin.display(ordering="per_call_micros", description="credits a call")
    def per_call(self, price: Price) -> str:
        return to_text(price.per_call_micros)

    @admin.display(description="a million input tokens")
    def input(self, price: Price) -> str:
        return to_text(price.input_micros_per_million)

    @admin.display(description="cached")
    def cached(self, price: Price) -> str:
        return to_text(price.cached_micros_per_million)

    @admin.display(description="output")
    def output(self, price: Price) -> str:
        return to_text(price.output_micros_per_million)

    @admin.display(description="thinking")
    def thinking(self, price: Price) -> str:
        return to_text(price.thinking_micros_per_million)


@admin.register(Multiplier)
class MultiplierAdmin(ReadOnlyAdmin):
    list_display = ("feature", "factor", "valid_from", "valid_until")
    search_fields = ("feature",)
