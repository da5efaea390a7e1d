from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("quotas", "0002_default_prices"),
    ]

    operations = [
        migrations.CreateModel(
            name="Multiplier",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("revision", models.BigIntegerField(db_index=True, default=0, editable=False)),
                (
                    "feature",
                    models.CharField(
                        help_text="anti_truncation, fake_stream, search, image_2k, image_4k, thinking_high and the like.",
                        max_length=40,
                        unique=True,
                    ),
                ),
                ("factor", models.DecimalField(decimal_places=3, default=1, max_digits=8)),
            ],
            options={
                "ordering": ["feature"],
                "abstract": False,
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("factor__gte", 0)), name="multiplier_not_negative"
                    )
                ],
            },
        ),
    ]
