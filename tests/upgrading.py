"""A database as the release before made it, with keys, limits, open holds and entries; what became of it by the migrations since.

python -m tests.upgrading        prints one JSON object about the database of the settings
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

BEFORE = [
    ("accounts", "0001_initial"),
    ("quotas", "0004_default_multipliers"),
    ("apiproxy", "0005_rules_and_errors"),
    ("credentials", "0003_chores"),
    ("gateway", "0002_jobs_and_audit"),
]


def fill(apps):
    user = apps.get_model("accounts", "User").objects.create(username="alice", password="!")
    keys, balances = apps.get_model("accounts", "ApiKey"), apps.get_model("quotas", "Balance")
    entries, holds = apps.get_model("quotas", "Entry"), apps.get_model("quotas", "Hold")
    for number in range(3):
        # 1,000 granted, 100 used, 40 reserved.
        balance = balances.objects.create(
            label=f"key {number}",
            total_micros=1_000,
            used_micros=100,
            reserved_micros=40,
            remaining_micros=860,
        )
        entries.objects.create(balance=balance, kind="grant", amount_micros=1_000)
        entries.objects.create(
            balance=balance,
            kind="settle",
            amount_micros=100,
            reserved_micros=120,
            request_id=f"req_{number}",
        )
        holds.objects.create(
            request_id=f"open_{number}", balance=balance, amount_micros=40, holder_id="gone"
        )
        keys.objects.create(
            public_id=f"key{number:09}",
            digest=f"{number:064}",
            owner=user if number else None,
            balance=balance,
            unlimited=number == 2,
            allowed_models=["gemini-*"] if number == 1 else [],
        )
    apps.get_model("gateway", "AuditEntry").objects.create(actor="alice", action="keys.create")


def told():
    """By the code as it is."""
    from accounts.models import ApiKey
    from gateway.lib.audit import AuditEntry
    from quotas import ledger, selectors
    from quotas.ledger import Close, Reserve
    from quotas.models import Entry, Hold
    from quotas.terms import Account

    checked, wrong = selectors.prove()
    keys = list(ApiKey.objects.select_related("balance", "limits").order_by("pk"))
    [booked], _ = ledger.book(
        [Reserve("new", (Account(keys[0].balance_id),), 60)], [], holder_id="h"
    )
    ledger.book([], [Close("new", 60, "answered")], holder_id="h")
    # A request that was settled before is not charged again.
    _, [again] = ledger.book([], [Close("req_0", 5, "answered")], holder_id="h")
    return {
        "balances": checked,
        "wrong": [repr(one) for one in [*wrong, *selectors.prove()[1]]],
        "holds": Hold.objects.count(),
        "refunded": list(
            Entry.objects.filter(kind="refund").order_by("id").values_list("request_id", flat=True)
        ),
        "open_ended": [key.balance.open_ended for key in keys],
        "models": [key.limits.allowed_models if key.limits else None for key in keys],
        "booked": [booked.accepted, booked.remaining_micros, again.accepted],
        "audited": AuditEntry.objects.count(),
        "receipt": selectors.receipt("req_1").settled_micros,
    }


def main():
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    fill(executor.loader.project_state(BEFORE).apps)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    sys.stdout.write(json.dumps(told()) + "\n")


if __name__ == "__main__":
    main()
