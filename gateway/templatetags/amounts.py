"""Amounts and times as pages tell them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone

from gateway.lib.credits import MICROS_PER_CREDIT, to_text

register = template.Library()


@register.filter
def credits(micros: int | None) -> str:
    """1234500000 -> "1,234.5": exact, however small."""
    if micros is None:
        return ""
    whole, point, rest = to_text(micros).partition(".")
    sign = "-" if micros < 0 else ""
    return f"{sign}{int(whole.lstrip('-')):,}{point}{rest}"


@register.filter
def thousands(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


@register.filter
def countdown(at: datetime | None) -> str:
    """ "in 3 h 12 min": the two largest units. static/js/quota.js goes on with it."""
    if at is None:
        return ""
    seconds = int((at - timezone.now()).total_seconds())
    if seconds <= 0:
        return "now"
    for unit, size, below, small in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            rest = seconds % size // small
            return (
                f"in {seconds // size} {unit} {rest} {below}"
                if rest
                else f"in {seconds // size} {unit}"
            )
    return f"in {seconds} s"


@register.filter
def one_credit(micros: int) -> str:
    """The s of "credits"."""
    return "" if micros == MICROS_PER_CREDIT else "s"


@register.filter
def in_zone(at: datetime | None, time_zone: str) -> str:
    """ "00:00 Asia/Shanghai", with the date where it is not today or tomorrow there."""
    if at is None:
        return ""
    zone = ZoneInfo(time_zone or "UTC")
    local = at.astimezone(zone)
    days = (local.date() - timezone.now().astimezone(zone).date()).days
    date = "" if days in (0, 1) else f"{local.day} {local:%b}, "
    return f"{date}{local:%H:%M} {time_zone or 'UTC'}"


@register.filter
def unlocalized(number: float) -> str:
    """For attributes of an SVG: a point, whatever the language."""
    return f"{number:g}"
