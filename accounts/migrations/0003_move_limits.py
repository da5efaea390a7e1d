from __future__ import annotations

from typing import Any

from django.db import migrations


def move(apps: Any, schema_editor: Any) -> None:
    """A key's allowed models become a row of limits, and an unlimited key one whose balance has no end."""
    limits, balance = apps.get_model("quotas", "Limits"), apps.get_model("quotas", "Balance")
    keys = apps.get_model("accounts", "ApiKey")
    for key in keys.objects.exclude(allowed_models=[]):
        key.limits = limits.objects.create(allowed_models=key.allowed_models)
        key.save(update_fields=["limits"])
    unlimited = keys.objects.filter(unlimited=True).values("balance_id")
    balance.objects.filter(pk__in=unlimited).update(open_ended=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_groups_limits_and_invitations")]
    operations = [migrations.RunPython(move, migrations.RunPython.noop)]
