"""What a key used of late, by model: a chart and its figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from django.utils import timezone
from msgspec import Struct

from apiproxy.selectors.keys import Used, used_by_model
from gateway.dashboard.quota.chart import Chart, draw


class Span(Struct, frozen=True):
    """`back`: how far before the running hour or day it begins."""

    words: str
    step: Literal["hour", "day"]
    back: timedelta


SPANS = {
    "24h": Span("24 hours", "hour", timedelta(hours=23)),
    "7d": Span("7 days", "day", timedelta(days=6)),
    "30d": Span("30 days", "day", timedelta(days=29)),
}
SHOWN = {"credits": "credits", "requests": "requests"}
UNKNOWN = "?"
NAMELESS = "a model that is not known"


class Row(Struct, frozen=True):
    """`series`: the number of its colour, 0 for all that have none of their own."""

    model: str
    series: int
    used: Used


class Usage(Struct, frozen=True):
    """`shows`: what the bars are, credits or requests."""

    span: str
    step: str
    words: str
    shows: str
    chart: Chart
    rows: tuple[Row, ...]
    total: Used
    since: datetime
    until: datetime


def usage(key_id: int, span: str, shows: str) -> Usage:
    """`span` and `shows`: what the visitor asked for, whatever that is. Where nothing was charged, requests are shown."""
    span = span if span in SPANS else "7d"
    chosen = SPANS[span]
    now = timezone.now()
    points = used_by_model(key_id, now - chosen.back, chosen.step)
    models: dict[str, Used] = {}
    total = Used()
    for _, of_models in points:
        for model, used in of_models.items():
            models.setdefault(model, Used()).add(used)
            total.add(used)
    if shows not in SHOWN or (shows == "credits" and not total.cost_micros):
        shows = "credits" if total.cost_micros else "requests"
    chart = draw(
        [
            (at, {model: _amount(used, shows) for model, used in of_models.items()})
            for at, of_models in points
        ],
        name_of=named,
    )
    ordered = sorted(models.items(), key=lambda one: (-_amount(one[1], shows), one[0]))
    return Usage(
        span=span,
        step=chosen.step,
        words=chosen.words,
        shows=shows,
        chart=chart,
        rows=tuple(Row(named(m), chart.series.get(m, 0), used) for m, used in ordered),
        total=total,
        since=points[0][0] if points else now,
        until=now.astimezone(UTC),
    )


def named(model: str) -> str:
    return NAMELESS if model == UNKNOWN else model


def _amount(used: Used, shows: str) -> int:
    return used.cost_micros if shows == "credits" else used.requests
