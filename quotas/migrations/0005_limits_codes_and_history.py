from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def refund_open_holds(apps: Any, schema_editor: Any) -> None:
    """The table is made anew. No process serves calls while it is migrated, so what is held is abandoned."""
    hold, balance, entry = (apps.get_model("quotas", name) for name in ("Hold", "Balance", "Entry"))
    for one in hold.objects.all():
        balance.objects.filter(pk=one.balance_id).update(
            reserved_micros=models.F("reserved_micros") - one.amount_micros,
            remaining_micros=models.F("remaining_micros") + one.amount_micros,
        )
        entry.objects.create(
            balance_id=one.balance_id,
            kind="refund",
            amount_micros=0,
            reserved_micros=one.amount_micros,
            request_id=one.request_id,
            reason="the gateway was upgraded while the call ran",
        )
    hold.objects.all().delete()


def begin_history(apps: Any, schema_editor: Any) -> None:
    """What prices there are, held from the beginning."""
    beginning = datetime(2020, 1, 1, tzinfo=UTC)
    for name in ("Price", "Multiplier"):
        apps.get_model("quotas", name).objects.update(valid_from=beginning)


class Migration(migrations.Migration):
    dependencies = [
        ("quotas", "0004_default_multipliers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Campaign",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("amount_micros", models.BigIntegerField()),
                (
                    "credit_days",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Unspent credits expire after so many days; empty: never.",
                        null=True,
                    ),
                ),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                (
                    "once_each",
                    models.BooleanField(
                        default=True,
                        help_text="A balance takes part once, however many codes its holder has.",
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="Code",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("hint", models.CharField(max_length=12)),
                ("max_uses", models.PositiveIntegerField(default=1)),
                ("uses", models.PositiveIntegerField(default=0)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="Gate",
            fields=[
                ("scope", models.CharField(max_length=24, primary_key=True, serialize=False)),
                ("day", models.IntegerField(default=0, help_text="Ordinal of the local date.")),
                ("calls", models.IntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Limits",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "day_micros",
                    models.BigIntegerField(
                        blank=True, help_text="Micro-credits; empty: no limit.", null=True
                    ),
                ),
                (
                    "week_micros",
                    models.BigIntegerField(
                        blank=True, help_text="Micro-credits; empty: no limit.", null=True
                    ),
                ),
                (
                    "month_micros",
                    models.BigIntegerField(
                        blank=True, help_text="Micro-credits; empty: no limit.", null=True
                    ),
                ),
                (
                    "rpm",
                    models.PositiveIntegerField(
                        blank=True, help_text="Requests a minute.", null=True
                    ),
                ),
                (
                    "rpd",
                    models.PositiveIntegerField(blank=True, help_text="Requests a day.", null=True),
                ),
                (
                    "tpm",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Tokens a minute, of requests and answers together.",
                        null=True,
                    ),
                ),
                (
                    "concurrency",
                    models.PositiveIntegerField(
                        blank=True, help_text="Calls that run at the same time.", null=True
                    ),
                ),
                (
                    "allowed_models",
                    models.JSONField(
                        blank=True, default=list, help_text="Names or globs; empty: every model."
                    ),
                ),
                (
                    "allowed_dialects",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="openai, anthropic, gemini, simple; empty: all.",
                    ),
                ),
                (
                    "allowed_networks",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Addresses or CIDR ranges; empty: from anywhere.",
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        blank=True,
                        help_text="Such as Asia/Shanghai; empty: the site's.",
                        max_length=64,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "limits",
            },
        ),
        migrations.CreateModel(
            name="Lot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("left_micros", models.BigIntegerField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "ordering": ["expires_at", "pk"],
            },
        ),
        migrations.CreateModel(
            name="Passage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("scope", models.CharField(max_length=24)),
                ("request_id", models.CharField(max_length=40)),
                (
                    "at",
                    models.FloatField(
                        help_text="Epoch seconds, by the database's clock where it has one."
                    ),
                ),
                (
                    "tokens",
                    models.BigIntegerField(
                        default=0, help_text="The estimate while the call runs."
                    ),
                ),
                (
                    "lease_until",
                    models.FloatField(
                        help_text="While later than now the call counts as running; its process renews it. 0: it is over."
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Redemption",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("address", models.CharField(blank=True, max_length=45)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.AlterModelOptions(
            name="multiplier",
            options={"ordering": ["feature", "-valid_from"]},
        ),
        migrations.AlterModelOptions(
            name="price",
            options={"ordering": ["tariff", "pattern", "-valid_from"]},
        ),
        migrations.RemoveConstraint(
            model_name="balance",
            name="balance_not_negative",
        ),
        migrations.RemoveConstraint(
            model_name="entry",
            name="entry_once_a_request",
        ),
        migrations.AddField(
            model_name="balance",
            name="day",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="balance",
            name="day_micros",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="balance",
            name="month_micros",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="balance",
            name="open_ended",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="balance",
            name="shared_out_micros",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="balance",
            name="week_micros",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="entry",
            name="actor",
            field=models.CharField(
                blank=True, help_text="Who did it, where a person did.", max_length=150
            ),
        ),
        migrations.AddField(
            model_name="multiplier",
            name="valid_from",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="multiplier",
            name="valid_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="price",
            name="note",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="price",
            name="tariff",
            field=models.CharField(
                blank=True,
                help_text="Groups may have a price list of their own; empty: everybody's.",
                max_length=60,
            ),
        ),
        migrations.AddField(
            model_name="price",
            name="valid_from",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="price",
            name="valid_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="entry",
            name="balance",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="quotas.balance",
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("grant", "Grant"),
                    ("adjust", "Adjust"),
                    ("redeem", "Redeem"),
                    ("reward", "Reward"),
                    ("expire", "Expire"),
                    ("settle", "Settle"),
                    ("refund", "Refund"),
                ],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="multiplier",
            name="feature",
            field=models.CharField(
                help_text="anti_truncation, fake_stream, search, image_2k, image_4k, thinking_high and the like.",
                max_length=40,
            ),
        ),
        migrations.AlterField(
            model_name="price",
            name="pattern",
            field=models.CharField(
                help_text="A model name or a glob such as *flash*.", max_length=200
            ),
        ),
        migrations.AddIndex(
            model_name="entry",
            index=models.Index(fields=["balance", "id"], name="quotas_entr_balance_cf3f4d_idx"),
        ),
        migrations.AddConstraint(
            model_name="balance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("reserved_micros__gte", 0),
                    ("used_micros__gte", 0),
                    models.Q(("open_ended", True), ("remaining_micros__gte", 0), _connector="OR"),
                ),
                name="balance_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.UniqueConstraint(
                fields=("request_id", "kind", "balance"), name="entry_once_a_request"
            ),
        ),
        migrations.AddConstraint(
            model_name="multiplier",
            constraint=models.UniqueConstraint(
                fields=("feature", "valid_from"), name="multiplier_identity"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                fields=("tariff", "pattern", "valid_from"), name="price_identity"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_until__isnull", True),
                    ("valid_until__gte", models.F("valid_from")),
                    _connector="OR",
                ),
                name="price_ends_after_it_begins",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_micros__gt", 0)), name="campaign_gives"
            ),
        ),
        migrations.AddField(
            model_name="code",
            name="campaign",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="codes",
                to="quotas.campaign",
            ),
        ),
        migrations.AddField(
            model_name="lot",
            name="balance",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="lots",
                to="quotas.balance",
            ),
        ),
        migrations.AddField(
            model_name="lot",
            name="entry",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="lot", to="quotas.entry"
            ),
        ),
        migrations.AddIndex(
            model_name="passage",
            index=models.Index(fields=["scope", "at"], name="quotas_pass_scope_b0988a_idx"),
        ),
        migrations.AddConstraint(
            model_name="passage",
            constraint=models.UniqueConstraint(
                fields=("request_id", "scope"), name="passage_identity"
            ),
        ),
        migrations.AddField(
            model_name="redemption",
            name="balance",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="redemptions",
                to="quotas.balance",
            ),
        ),
        migrations.AddField(
            model_name="redemption",
            name="campaign",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="redemptions",
                to="quotas.campaign",
            ),
        ),
        migrations.AddField(
            model_name="redemption",
            name="code",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="redemptions",
                to="quotas.code",
            ),
        ),
        migrations.AddField(
            model_name="redemption",
            name="entry",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="redemption",
                to="quotas.entry",
            ),
        ),
        migrations.AddField(
            model_name="redemption",
            name="user",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="redemptions",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="code",
            constraint=models.CheckConstraint(
                condition=models.Q(("uses__lte", models.F("max_uses"))), name="code_uses_in_bounds"
            ),
        ),
        migrations.RunPython(refund_open_holds, migrations.RunPython.noop),
        migrations.DeleteModel(name="Hold"),
        migrations.CreateModel(
            name="Hold",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "request_id",
                        "balance_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("request_id", models.CharField(max_length=40)),
                ("amount_micros", models.BigIntegerField()),
                (
                    "day",
                    models.IntegerField(
                        default=0,
                        help_text="The balance's day that it was counted in; 0: it has no such limits.",
                    ),
                ),
                ("holder_id", models.CharField(max_length=32)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "balance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="holds",
                        to="quotas.balance",
                    ),
                ),
            ],
        ),
        migrations.RunPython(begin_history, migrations.RunPython.noop),
    ]
