from __future__ import annotations

from django.db import migrations

from gateway.lib.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("quotas", "0006_once_each_campaign")]

    operations = [append_only("quotas_entry")]
