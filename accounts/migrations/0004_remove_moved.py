from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_move_limits")]
    operations = [
        migrations.RemoveField(model_name="apikey", name="allowed_models"),
        migrations.RemoveField(model_name="apikey", name="unlimited"),
    ]
