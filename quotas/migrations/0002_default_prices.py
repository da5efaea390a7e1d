from __future__ import annotations

from typing import Any

from django.db import migrations

DEFAULTS = {"*": 1_000_000, "*flash*": 2_000_000, "*pro*": 10_000_000}


def seed(apps: Any, schema_editor: Any) -> None:
    price = apps.get_model("quotas", "Price")
    for pattern, micros in DEFAULTS.items():
        price.objects.get_or_create(pattern=pattern, defaults={"per_call_micros": micros})


class Migration(migrations.Migration):
    dependencies = [("quotas", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
