import uuid
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import credentials.models.contributor
import credentials.models.credential
import gateway.lib.fields


def make_contributors(apps: Any, schema_editor: Any) -> None:
    Credential = apps.get_model("credentials", "Credential")
    Contributor = apps.get_model("credentials", "Contributor")
    lent = Credential.objects.exclude(contributor=None)
    for user_id in list(lent.values_list("contributor_id", flat=True).distinct()):
        contributor = Contributor.objects.create(user_id=user_id)
        lent.filter(contributor_id=user_id).update(lender=contributor)


def fill_in(apps: Any, schema_editor: Any) -> None:
    """A name for each, and the age of its secret as far as it is known."""
    Credential = apps.get_model("credentials", "Credential")
    for credential in Credential.objects.only("pk", "provider", "project_id", "created_at"):
        head = credential.project_id or credential.provider
        Credential.objects.filter(pk=credential.pk).update(
            name=f"{head}-{int(credential.created_at.timestamp())}-{credential.pk}.json",
            connected_at=credential.created_at,
        )


class Migration(migrations.Migration):
    dependencies = [
        ("credentials", "0001_initial"),
        ("gateway", "0002_jobs_and_audit"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="credential",
            name="allowed_models",
            field=models.JSONField(
                blank=True, default=list, help_text="Names or globs; empty: every model."
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="calls_a_day",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="credential",
            name="connected_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="When the secret it has now came in.",
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="hours_from",
            field=models.PositiveSmallIntegerField(blank=True, help_text="0 to 23", null=True),
        ),
        migrations.AddField(
            model_name="credential",
            name="hours_to",
            field=models.PositiveSmallIntegerField(blank=True, help_text="0 to 23", null=True),
        ),
        migrations.AddField(
            model_name="credential",
            name="hours_zone",
            field=models.CharField(
                blank=True, help_text="Europe/Berlin; empty: UTC", max_length=64
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="model_calls_a_day",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='{"gemini-2.5-pro*": 100}: calls a day by name or glob.',
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="paused_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="credential",
            name="preview",
            field=models.BooleanField(
                blank=True,
                help_text="Whether its account may use preview models; unknown at first.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="probe_at",
            field=models.DateTimeField(
                blank=True,
                db_index=True,
                editable=False,
                help_text="When upkeep tests it next.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="probe_failures",
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="credential",
            name="proxy",
            field=gateway.lib.fields.EncryptedJSONField(
                blank=True,
                default=dict,
                editable=False,
                help_text='{"url": "socks5://user:password@host:1080"} or {}',
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="revocation",
            field=models.CharField(
                blank=True,
                choices=[("asked", "Asked"), ("done", "Done"), ("refused", "refused by Google")],
                editable=False,
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="secret_destroyed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="credential",
            name="stop_below_percent",
            field=models.PositiveSmallIntegerField(
                blank=True, help_text="What the contributor keeps of the daily quota.", null=True
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="tags",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="credential",
            name="withdrawn_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="statechange",
            name="by",
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name="statechange",
            name="event",
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.CreateModel(
            name="Contributor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "public_id",
                    models.CharField(
                        default=credentials.models.contributor.new_public_id,
                        editable=False,
                        max_length=16,
                        unique=True,
                    ),
                ),
                ("link_version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "name",
                    models.CharField(
                        blank=True, help_text="As they want to be called.", max_length=100
                    ),
                ),
                (
                    "email",
                    models.EmailField(
                        blank=True, help_text="For notices; never shown to others.", max_length=254
                    ),
                ),
                (
                    "webhook",
                    gateway.lib.fields.EncryptedJSONField(
                        blank=True, default=dict, editable=False, help_text='{"url": …} or {}'
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "user",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="contributor",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        # The people who lend get a table of their own: most of them have no account.
        migrations.AddField(
            model_name="credential",
            name="lender",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="credentials.contributor",
            ),
        ),
        migrations.RunPython(make_contributors, migrations.RunPython.noop),
        migrations.RemoveField(model_name="credential", name="contributor"),
        migrations.RenameField(model_name="credential", old_name="lender", new_name="contributor"),
        migrations.AlterField(
            model_name="credential",
            name="contributor",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="credentials",
                to="credentials.contributor",
            ),
        ),
        migrations.AddField(
            model_name="credential",
            name="name",
            field=models.CharField(max_length=200, default=""),
        ),
        migrations.RunPython(fill_in, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="credential",
            name="name",
            field=models.CharField(
                default=credentials.models.credential.new_name,
                help_text="File name by which exports and older clients know it.",
                max_length=200,
                unique=True,
            ),
        ),
        migrations.CreateModel(
            name="Import",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        blank=True, help_text="Names of the files, shortened.", max_length=255
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("preview", "waiting to be confirmed"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="preview",
                        max_length=10,
                    ),
                ),
                (
                    "counts",
                    models.JSONField(
                        default=dict,
                        help_text='{"new", "updated", "duplicate", "unusable"}: as foreseen, then as done',
                    ),
                ),
                (
                    "tags",
                    models.JSONField(
                        blank=True, default=list, help_text="Given to all that is stored."
                    ),
                ),
                ("actor", models.CharField(blank=True, max_length=150)),
                (
                    "created_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "contributor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="credentials.contributor",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="gateway.job",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Allowance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("scope", models.CharField(blank=True, max_length=150)),
                ("taken", models.IntegerField(default=0)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="allowances",
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("credential", "day", "scope"), name="allowance_identity"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DailyUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("model", models.CharField(max_length=150)),
                ("status", models.IntegerField()),
                ("calls", models.IntegerField(default=0)),
                ("input_tokens", models.BigIntegerField(default=0)),
                (
                    "output_tokens",
                    models.BigIntegerField(default=0, help_text="Thinking included."),
                ),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uses",
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["day"], name="credentials_day_3de6a3_idx")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("credential", "day", "model", "status"), name="daily_use_identity"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Draining",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("holder_id", models.CharField(max_length=32)),
                ("calls", models.IntegerField()),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="draining",
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("holder_id", "credential"), name="draining_identity"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Flow",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("google", "Google account"), ("api_key", "Gemini API keys")],
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "waiting for Google's consent"),
                            ("exchanging", "Exchanging"),
                            ("choosing", "waiting for the choice of a project"),
                            ("checking", "being tried"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                (
                    "state_digest",
                    models.CharField(
                        help_text="SHA-256 of OAuth's one-time state",
                        max_length=64,
                        null=True,
                        unique=True,
                    ),
                ),
                (
                    "browser_digest",
                    models.CharField(
                        blank=True,
                        help_text="SHA-256 of the cookie of the browser it began in",
                        max_length=64,
                    ),
                ),
                (
                    "secret",
                    gateway.lib.fields.EncryptedJSONField(
                        blank=True,
                        default=dict,
                        help_text="code_verifier, client_id, client_secret; {} when it is over",
                    ),
                ),
                ("redirect_uri", models.CharField(blank=True, max_length=300)),
                (
                    "project",
                    models.CharField(
                        blank=True, help_text="Asked for by the person.", max_length=100
                    ),
                ),
                ("projects", models.JSONField(default=list, help_text="To choose from.")),
                ("step", models.CharField(blank=True, help_text="Where it failed.", max_length=20)),
                (
                    "words",
                    models.CharField(
                        blank=True, help_text="Why it failed, for the person.", max_length=500
                    ),
                ),
                (
                    "results",
                    models.JSONField(default=list, help_text="A verdict for each credential."),
                ),
                ("address", models.CharField(blank=True, max_length=45)),
                (
                    "created_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "contributor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="credentials.contributor",
                    ),
                ),
                (
                    "credential",
                    models.ForeignKey(
                        help_text="What came of it; at the beginning, what is to be reconnected in place.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["address", "created_at"], name="credentials_address_e13c16_idx"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.IntegerField()),
                ("source", models.CharField(max_length=255)),
                (
                    "outcome",
                    models.CharField(
                        help_text="new, updated, duplicate or unusable", max_length=10
                    ),
                ),
                ("provider", models.CharField(blank=True, max_length=20)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("sealed", gateway.lib.fields.EncryptedJSONField(blank=True, default=dict)),
                ("stored_at", models.DateTimeField(blank=True, null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="credentials.import",
                    ),
                ),
                (
                    "credential",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("batch", "position"), name="import_item_position"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=30)),
                ("words", models.CharField(max_length=1000)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                (
                    "channels",
                    models.CharField(blank=True, help_text="email, webhook", max_length=40),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("try_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)),
                        fields=("credential", "kind"),
                        name="notice_one_open_of_a_kind",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProbeClaim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.CharField(blank=True, max_length=150)),
                ("until", models.DateTimeField()),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="probe_claims",
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("credential", "model"), name="probe_claim_identity"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="QuotaReading",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.CharField(max_length=150)),
                ("remaining_fraction", models.FloatField(help_text="0 to 1")),
                ("remaining_calls", models.BigIntegerField(blank=True, null=True)),
                ("resets_at", models.DateTimeField(blank=True, null=True)),
                ("read_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="readings",
                        to="credentials.credential",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("credential", "model"), name="quota_reading_identity"
                    )
                ],
            },
        ),
    ]
