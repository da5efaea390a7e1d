from __future__ import annotations

from django import template

register = template.Library()

_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60))


@register.filter
def duration(seconds: int) -> str:
    """In the largest unit that needs no fraction: 14400 is 4 hours."""
    for name, size in _UNITS:
        if seconds and seconds % size == 0:
            count = seconds // size
            return f"{count} {name if count > 1 else name[:-1]}"
    return f"{seconds} s"
