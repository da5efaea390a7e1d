from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("quotas", "0007_append_only"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="multiplier",
            name="multiplier_identity",
        ),
        migrations.RemoveConstraint(
            model_name="price",
            name="price_identity",
        ),
        migrations.AddConstraint(
            model_name="multiplier",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("valid_until__isnull", True),
                    ("valid_until__gt", models.F("valid_from")),
                    _connector="OR",
                ),
                fields=("feature", "valid_from"),
                name="multiplier_identity",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("valid_until__isnull", True),
                    ("valid_until__gt", models.F("valid_from")),
                    _connector="OR",
                ),
                fields=("tariff", "pattern", "valid_from"),
                name="price_identity",
            ),
        ),
    ]
