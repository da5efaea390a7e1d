"""Who did what to which object, from where, and what it was before. Written once, never changed; of secrets only that they are
others now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.http import HttpRequest


class AuditEntry(models.Model):
    """`actor`: a user's name, "panel-password", "contributor <public id>" or "command". `subject`: what it was done
    to, such as "credential 7". `before` and `after` hold the fields that a change made differ; `detail` counts, names and filters.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=200, blank=True)
    before = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    detail = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)

    class Meta:
        app_label = "gateway"
        ordering: ClassVar = ["-at", "-pk"]
        verbose_name_plural = "audit entries"
        # What one person did, and what happened to one thing, newest first.
        indexes: ClassVar = [
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
        ]

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
        actor=actor[:150],
        action=action,
        subject=subject[:200],
        address=address[:45],
        detail=_fit(detail),
    )


def record_request(
    request: HttpRequest, *, action: str, subject: str = "", **detail: Any
) -> AuditEntry:
    """The same for what a signed-in person, their token, or the panel password asked for."""
    return record(
        actor=request.user.get_username() or "nobody",
        action=action,
        subject=subject,
        address=request.META.get("REMOTE_ADDR") or "",
        **detail,
        **_token_of(request),
    )


def record_change(
    request: HttpRequest,
    *,
    action: str,
    subject: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    **detail: Any,
) -> AuditEntry:
    """The same for a change of fields: those that differ are kept, secrets without their value. An empty `before` or `after` is
    that of something made or deleted."""
    changed = [
        name for name in {**before, **after} if before.get(name, ...) != after.get(name, ...)
    ]
    return AuditEntry.objects.create(
        actor=(request.user.get_username() or "nobody")[:150],
        address=(request.META.get("REMOTE_ADDR") or "")[:45],
        action=action,
        subject=subject[:200],
        before={name: shown(name, before[name]) for name in changed if name in before},
        after={name: shown(name, after[name]) for name in changed if name in after},
        detail=_fit({**detail, **_token_of(request)}),
    )


# Whole words of a name: "input_tokens" and "member_keys" are counts.
_SECRET = re.compile(
    r"(^|_)(secret|password|token|digest|cookie|cookies|webhook|code|key|private)($|_(key|url|hash))"
)
_SECRET_TEXT = re.compile(r"\b(?:sk-|wsp_|AIza|ya29\.|GOCSPX-|1//)[\w.-]{20,}")
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_HIDDEN = "…"


def shown(name: str, value: Any) -> Any:
    """The value as an entry keeps it: without a secret, by its name or by its look."""
    if isinstance(value, Mapping):
        return {str(inner): shown(str(inner), held) for inner, held in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    if value and _SECRET.search(name.lower()):
        return _HIDDEN
    if isinstance(value, list | tuple | set | frozenset):
        return [shown("", held) for held in value]
    if isinstance(value, str):
        # PostgreSQL's JSON takes no NUL, and UTF-8 no half of a surrogate pair.
        text = value.replace("\0", "").encode(errors="replace").decode()
        return _LOGIN_IN_URL.sub(_HIDDEN, _SECRET_TEXT.sub(_HIDDEN, text))
    return value


def _fit(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _without_secrets(value) for name, value in detail.items()}


def _without_secrets(value: Any) -> Any:
    """By their look alone: what callers put into `detail` they chose one by one."""
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(held) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(held) for held in value]
    return shown("", value)


def _token_of(request: HttpRequest) -> dict[str, str]:
    """Whoever came by a token of theirs is told apart from who sat at the screen."""
    name = getattr(getattr(request, "auth", None), "name", "")
    return {"token_name": name} if name else {}
