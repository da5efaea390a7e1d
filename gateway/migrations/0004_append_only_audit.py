from __future__ import annotations

from django.db import migrations

from gateway.lib.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("gateway", "0003_audit_before_and_after")]

    operations = [append_only("gateway_auditentry")]
