from __future__ import annotations

from typing import Any

from django.db import migrations

# An answer that is continued asks the upstream again and again (reference 6.8).
DEFAULTS = {"anti_truncation": 2}


def seed(apps: Any, schema_editor: Any) -> None:
    multiplier = apps.get_model("quotas", "Multiplier")
    for feature, factor in DEFAULTS.items():
        multiplier.objects.get_or_create(feature=feature, defaults={"factor": factor})


class Migration(migrations.Migration):
    dependencies = [("quotas", "0003_multiplier")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
