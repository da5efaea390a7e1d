"""How a change in the database reaches every process: numbered changes.

Each topic ("keys", "credentials", "prices", "catalogue") has a counter. Whoever changes a row of the topic adds one in
the same transaction and stamps the row with the number; the counter's row lock makes commits happen in the order of
their numbers, so a reader that asks for `revision > last seen` never misses one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models import F

from gateway.lib import nudge


class Revision(models.Model):
    topic = models.CharField(max_length=32, primary_key=True)
    number = models.BigIntegerField(default=0)

    class Meta:
        app_label = "gateway"

    def __str__(self) -> str:
        return f"{self.topic} {self.number}"


def bump(topic: str) -> int:
    """The next number of the topic. Call it inside the transaction that makes the change."""
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "bump() belongs inside the changing transaction"
        )
    if not Revision.objects.filter(topic=topic).update(number=F("number") + 1):
        Revision.objects.bulk_create([Revision(topic=topic)], ignore_conflicts=True)
        Revision.objects.filter(topic=topic).update(number=F("number") + 1)
    transaction.on_commit(nudge.send)
    return Revision.objects.values_list("number", flat=True).get(topic=topic)


class Revisioned(models.Model):
    """A row whose every save reaches the processes that follow `TOPIC`.

    `QuerySet.update()` passes by `save`: such a change stamps `revision=bump(TOPIC)` itself.
    """

    TOPIC: ClassVar[str]

    revision = models.BigIntegerField(default=0, editable=False, db_index=True)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            self.revision = bump(self.TOPIC)
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "revision"}
            super().save(*args, **kwargs)
