"""Writes: what new keys are made after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import KeyTemplate
from quotas import services as quota_services

FIELDS = ("name", "description", "quota_micros", "expires_days", "lifetime_days", "group")


@transaction.atomic
def save_template(
    *,
    template: KeyTemplate | None,
    changes: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
) -> KeyTemplate:
    """A new one for None. `changes`: any of FIELDS. Keys that were made after it stay as they are. Raises ValidationError."""
    template = template or KeyTemplate()
    for name in FIELDS:
        if name in changes:
            setattr(template, name, changes[name])
    template.full_clean()
    if limits is not None:
        template.limits = quota_services.save_limits(row=template.limits, values=limits)
    template.save()
    return template


@transaction.atomic
def delete_template(*, template: KeyTemplate) -> None:
    limits = template.limits
    template.delete()
    if limits is not None:
        limits.delete()


def terms_of_template(template: KeyTemplate | None) -> dict[str, Any]:
    """As `issue_key` and `issue_batch` take them; of none, nothing."""
    if template is None:
        return {}
    days = template.expires_days
    return {
        "quota_micros": template.quota_micros,
        "description": template.description,
        "group": template.group,
        "expires_at": timezone.now() + timedelta(days=days) if days else None,
        "lifetime_days": template.lifetime_days,
        "limits": quota_services.values_of(template.limits) if template.limits else {},
    }
