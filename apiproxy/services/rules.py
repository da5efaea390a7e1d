"""Writes of what people edit: the rules for upstream errors."""

from __future__ import annotations

from django.db import transaction

from apiproxy.models import VerdictRule
from gateway.lib.errors import Conflict
from gateway.lib.models import bump


@transaction.atomic
def save_rule(*, rule: VerdictRule, version: int | None = None) -> VerdictRule:
    """Adds it, or changes the one with its id. Raises Conflict when that is gone, or when `version` is given and is not its
    newest `revision`."""
    if rule.pk:
        bump(VerdictRule.TOPIC)  # its lock: rules change one after the other
        known = VerdictRule.objects.filter(pk=rule.pk).first()
        if known is None:
            raise Conflict(
                "Somebody else deleted this rule meanwhile. Add it anew if it is needed."
            )
        if version is not None and version != known.revision:
            raise Conflict("Somebody else changed this rule meanwhile. Load it again, then edit.")
    rule.save()
    return rule
