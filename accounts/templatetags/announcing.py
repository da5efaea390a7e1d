"""`{% announcements as told %}`: what is announced now to whoever looks at the page."""

from __future__ import annotations

from typing import Any

from django import template

from accounts import announcing

register = template.Library()


@register.simple_tag(takes_context=True)
def announcements(context: dict[str, Any]) -> list[announcing.Shown]:
    user = context.get("user")
    return announcing.current(member=bool(getattr(user, "is_authenticated", False)))
