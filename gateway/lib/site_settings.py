"""Settings that operators change while the gateway runs.

Each change is a version, a row that stays; the newest counts. A value is laid over Django's settings, so whoever reads
`settings.AUTO_BAN` reads what the operator chose: web processes when the feed tells them of a new version, workers before each
task. The environment goes before all of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, models, transaction
from msgspec import Struct

from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import Conflict, InvalidRequest
from gateway.lib.fields import EncryptedJSONField
from gateway.lib.models import Revision, bump
from gateway.lib.site_registry import BY_NAME, SETTINGS, Setting, checked, contradictions

logger = logging.getLogger(__name__)

TOPIC = "settings"


class SettingsVersion(models.Model):
    """All values that differ from the defaults, sealed, as a proxy's address holds a password; and what this version changed, for
    people: {name: [before, after]}, null for the default."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    values = EncryptedJSONField(default=dict)
    changes = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    undoes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by"
    )

    class Meta:
        app_label = "gateway"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"settings {self.pk}"


class WrongValues(Exception):
    """`words` by the name of the setting."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {said}" for name, said in words.items()))
        self.words = dict(words)


class Change(Struct, frozen=True):
    """As people may see it. None: the default."""

    name: str
    before: Any
    after: Any


class Told(Struct, frozen=True):
    """`value` and `default` without secrets. `locked`: the environment fixes it."""

    setting: Setting
    value: Any
    default: Any
    locked: bool
    changed: bool


def stored() -> tuple[int, dict[str, Any]]:
    """(number of the newest version, what it holds); 0 and nothing before the first."""
    newest = SettingsVersion.objects.order_by("-pk").first()
    return (0, {}) if newest is None else (newest.pk, _opened(newest))


def _opened(version: SettingsVersion) -> dict[str, Any]:
    try:
        return dict(version.values.open())
    except SecretUnreadable as exc:
        logger.error("the changed settings cannot be read, the defaults count: %s", exc)
        return {}


def told() -> list[Told]:
    """Every setting as it is by the newest version, whether or not this process knows that one already."""
    _, values = stored()
    return [_told(setting, values) for setting in known()]


def _told(setting: Setting, values: Mapping[str, Any]) -> Told:
    locked, default = is_locked(setting), _default(setting)
    changed = setting.name in values and not locked
    return Told(
        setting=setting,
        value=setting.shown(values[setting.name] if changed else default),
        default=setting.shown(default),
        locked=locked,
        changed=changed,
    )


def known() -> list[Setting]:
    return [setting for setting in SETTINGS if hasattr(settings, setting.key)]


def is_locked(setting: Setting) -> bool:
    return setting.name in settings.FIXED_BY_ENVIRONMENT


class Saved(Struct, frozen=True):
    version: int
    changes: list[Change]


@transaction.atomic
def change(
    *,
    values: Mapping[str, Any],
    actor: str,
    version: int | None = None,
    dry_run: bool = False,
) -> Saved:
    """Sets what is given, None: back to the default; all of it or nothing. `version`: the one these values were chosen by; Conflict
    when somebody was faster. Raises WrongValues."""
    if not dry_run:
        bump(TOPIC)  # its lock: one after the other
    newest, old = stored()
    if version is not None and version != newest:
        raise Conflict("Somebody else changed the settings meanwhile. Load them again, then edit.")
    good, wrong = checked({name: value for name, value in values.items() if value is not None})
    for name in values:
        setting = BY_NAME.get(name)
        if setting is None or setting not in known():
            wrong.setdefault(
                name[:60], "There is no such setting that can be changed while running."
            )
        elif is_locked(setting):
            wrong[name] = "The environment fixes it: change it there."
    new = {name: value for name, value in old.items() if values.get(name, ...) is not None}
    new |= {name: value for name, value in good.items() if name not in wrong}
    wrong |= contradictions(_effective(new), settings.LENDING_INVITE_CODES)
    if wrong:
        raise WrongValues(wrong)
    new = {name: value for name, value in new.items() if value != _default(BY_NAME[name])}
    changes = _differences(old, new)
    if dry_run or not changes:
        return Saved(newest, changes)
    return Saved(_keep(new, changes, actor, None), changes)


@transaction.atomic
def undo(*, actor: str, version: int | None = None) -> Saved:
    """Takes one version back: by default the newest that is neither an undoing nor undone. Settings that were changed again since
    make it a Conflict; InvalidRequest when there is nothing to take back."""
    bump(TOPIC)
    candidates = SettingsVersion.objects.filter(undone_by=None)
    if version is None:
        meant = candidates.filter(undoes=None).order_by("-pk").first()
    else:
        meant = candidates.filter(pk=version).first()
    if meant is None:
        raise InvalidRequest("There is no such change that could be taken back.", param="version")
    earlier = SettingsVersion.objects.filter(pk__lt=meant.pk).order_by("-pk").first()
    before, then = _opened(earlier) if earlier else {}, _opened(meant)
    _, now = stored()
    again = [name for name in meant.changes if now.get(name, ...) != then.get(name, ...)]
    if again:
        raise Conflict(f"Changed again since: {', '.join(sorted(again))}. Set them by hand.")
    locked = [name for name in meant.changes if name in BY_NAME and is_locked(BY_NAME[name])]
    if locked:
        raise Conflict(f"The environment fixes {', '.join(sorted(locked))} by now.")
    new = {name: value for name, value in now.items() if name not in meant.changes}
    new |= {name: before[name] for name in meant.changes if name in before}
    if wrong := contradictions(_effective(new), settings.LENDING_INVITE_CODES):
        raise WrongValues(wrong)
    changes = _differences(now, new)
    return Saved(_keep(new, changes, actor, meant), changes)


def _keep(
    values: dict[str, Any], changes: list[Change], actor: str, undoes: SettingsVersion | None
) -> int:
    row = SettingsVersion.objects.create(
        actor=actor[:150],
        values=values,
        changes={change.name: [change.before, change.after] for change in changes},
        undoes=undoes,
    )
    # This process at once, so that whoever changed something sees it; the others within half a second.
    transaction.on_commit(lambda: apply(values))
    return row.pk


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    names = [name for name in BY_NAME if old.get(name, ...) != new.get(name, ...)]
    return [Change(name, _shown(name, old), _shown(name, new)) for name in names]


def _shown(name: str, values: Mapping[str, Any]) -> Any:
    return BY_NAME[name].shown(values[name]) if name in values else None


def _effective(values: Mapping[str, Any]) -> dict[str, Any]:
    return {setting.name: values.get(setting.name, _default(setting)) for setting in known()}


# ---------------------------------------------------------------------- what this process works with

_lock = threading.Lock()
_defaults: dict[str, Any] = {}
"""Of the names that are laid over now: what the environment, CONFIG_FILE or the code says."""
_seen = -1
_next_look = 0.0


def _default(setting: Setting) -> Any:
    with _lock:
        value = _defaults.get(setting.name, ...)
    return getattr(settings, setting.key) if value is ... else value


def apply(values: Mapping[str, Any]) -> bool:
    """Lays them over Django's settings; what is not among them goes back. Whether anything changed."""
    changed = False
    with _lock:
        for setting in known():
            wanted = ... if is_locked(setting) else values.get(setting.name, ...)
            if wanted is ...:
                if setting.name not in _defaults:
                    continue
                wanted = _defaults.pop(setting.name)
            else:
                _defaults.setdefault(setting.name, getattr(settings, setting.key))
            if getattr(settings, setting.key) != wanted:
                setattr(settings, setting.key, wanted)
                changed = True
                if setting.name == "LOG_LEVEL":
                    logging.getLogger().setLevel(wanted)
    return changed


def refresh(*, at_most_every_s: float = 0.5) -> None:
    """For processes without a feed: one small query, at most so often. A database that is away changes nothing."""
    global _seen, _next_look
    now = time.monotonic()
    if now < _next_look:
        return
    _next_look = now + at_most_every_s
    try:
        number = Revision.objects.filter(topic=TOPIC).values_list("number", flat=True).first() or 0
        if number != _seen:
            apply(stored()[1])
            _seen = number
    except DatabaseError as exc:
        logger.warning("changed settings cannot be read: %s", exc)
