"""Who did what to which object, and from where. Written once, never changed; secrets are not written at all."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.http import HttpRequest


class AuditEntry(models.Model):
    """`actor`: a user's name, "panel-password", "contributor <public id>" or "command". `subject`: what it was done
    to, such as "credential 7". `detail`: counts, names and filters.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        app_label = "gateway"
        ordering: ClassVar = ["-at", "-pk"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.subject}".rstrip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("audit entries are written once")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("audit entries are never deleted")


def record(
    *, actor: str, action: str, subject: str = "", address: str = "", **detail: Any
) -> AuditEntry:
    """`action` as "credentials.export". Call it in the transaction of what it tells."""
    return AuditEntry.objects.create(
        actor=actor[:150], action=action, subject=subject[:200], address=address, detail=detail
    )


def record_request(
    request: HttpRequest, *, action: str, subject: str = "", **detail: Any
) -> AuditEntry:
    """The same for what a signed-in person, or the panel password, asked for."""
    return record(
        actor=request.user.get_username() or "nobody",
        action=action,
        subject=subject,
        address=request.META.get("REMOTE_ADDR") or "",
        **detail,
    )
