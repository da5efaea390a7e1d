from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apiproxy", "0002_catalogue"),
    ]

    operations = [
        migrations.CreateModel(
            name="ModelAlias",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("revision", models.BigIntegerField(db_index=True, default=0, editable=False)),
                (
                    "pattern",
                    models.CharField(
                        help_text="A name or a glob such as claude-*haiku*; the one with the most literal characters wins.",
                        max_length=200,
                        unique=True,
                    ),
                ),
                (
                    "target",
                    models.CharField(
                        help_text="A model of the catalogue, or a variant of one.", max_length=200
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "model aliases",
                "ordering": ["pattern"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SelfTest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("version", models.CharField(max_length=40)),
                ("duration_ms", models.IntegerField()),
                (
                    "results",
                    models.JSONField(
                        default=list, help_text='[{"dialect", "case", "passed", "detail", "ms"}]'
                    ),
                ),
            ],
            options={
                "ordering": ["-at"],
                "get_latest_by": "at",
            },
        ),
        migrations.CreateModel(
            name="StoredImage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(help_text="In the storage.", max_length=200, unique=True),
                ),
                ("mime_type", models.CharField(max_length=60)),
                ("size_bytes", models.BigIntegerField()),
                ("request_id", models.CharField(db_index=True, max_length=40)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="StoredResponse",
            fields=[
                ("response_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("key_id", models.BigIntegerField()),
                ("sealed", models.BinaryField(help_text="Input items and response, encrypted.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name="requestlog",
            name="requested_model",
            field=models.CharField(
                blank=True,
                help_text="As the client wrote it: with variants, or an alias.",
                max_length=200,
            ),
        ),
    ]
