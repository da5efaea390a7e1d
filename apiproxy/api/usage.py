"""/api/usage: what keys, people, groups, models, credentials and dialects used; /api/my/usage: the same of one's own calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import key_ids_of
from apiproxy import sums
from apiproxy.api.pages import numbered
from apiproxy.api.requests import CSV
from apiproxy.api.serializers import (
    OwnSeriesQuery,
    OwnUsageQuery,
    SeriesQuery,
    SeriesSerializer,
    UsageQuery,
    UsageSerializer,
)
from apiproxy.selectors.labels import labels
from apiproxy.selectors.usage import (
    PERCENTS,
    Filters,
    Pivot,
    Point,
    Use,
    pivot,
    series,
    summed_up_at,
)
from gateway.lib.access import IsSignedIn
from gateway.lib.credits import MICROS_PER_CREDIT, to_text
from gateway.lib.errors import InvalidRequest
from gateway.lib.tables import AnyAccept, csv_response

_DEFAULT = timedelta(days=30)
_HEADER = [
    *sums.NAMES[:-1],
    "credits",
    *(f"{name}_p{percent}" for name in sums.HISTOGRAMS for percent in PERCENTS),
]
_LINES_A_QUERY = 100


class _Asked(APIView):
    """The query, checked; `filters` are those of the sums."""

    scope = "usage"
    query: type[serializers.Serializer[Any]]

    def asked(self, request: Request) -> dict[str, Any]:
        form = self.query(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked: dict[str, Any] = form.validated_data
        asked.setdefault("until", timezone.now())
        try:
            asked.setdefault("since", asked["until"] - _DEFAULT)
        except OverflowError as exc:
            raise InvalidRequest("There were no calls so long ago.", param="until") from exc
        return asked

    def filters(self, request: Request, asked: dict[str, Any]) -> Filters:
        return Filters(
            **{
                name: str(asked[name])
                for name in Filters.__struct_fields__
                if asked.get(name) is not None
            }
        )


class _Own(_Asked):
    """Of whoever is signed in. A key of one's own may be asked for alone; it is taken whole."""

    permission_classes = (IsSignedIn,)

    def filters(self, request: Request, asked: dict[str, Any]) -> Filters:
        # The panel password is nobody and owns nothing.
        own = request.user.pk or 0
        found = super().filters(request, asked)
        if found.key is None:
            return Filters(user=str(own), model=found.model)
        if int(found.key) not in key_ids_of(owner_id=own):
            raise InvalidRequest("This is none of your keys.", param="key")
        return Filters(key=found.key, model=found.model)


class Usage(_Asked):
    """Operators only."""

    query: type[serializers.Serializer[Any]] = UsageQuery

    @extend_schema(parameters=[UsageQuery], responses=UsageSerializer)
    def get(self, request: Request) -> Response:
        """One line for each key, user, group, model, credential or dialect, the most used first. Keys of a user or a group, and
        users of a group, are those that belong to it now; what no sums tell, such as the keys that used one credential, is
        counted from the request log as far as that is kept, and refused where there are too many."""
        return self.answer(request)

    def answer(self, request: Request) -> Response:
        asked = self.asked(request)
        number, size = asked["page"], asked["page_size"]
        found = self.pivot(request, asked, limit=size, offset=(number - 1) * size)
        names = self.labels(asked["by"], found)
        return Response(
            {
                "since": found.since,
                "until": found.until,
                "as_of": summed_up_at(),
                **numbered(request, number, size, found.count),
                "results": [
                    {
                        "subject": line.subject,
                        "label": names.get(line.subject, ""),
                        **_shown(line.use),
                    }
                    for line in found.lines
                ],
            }
        )

    def pivot(self, request: Request, asked: dict[str, Any], *, limit: int, offset: int) -> Pivot:
        with _in_words():
            return pivot(
                asked["by"],
                self.filters(request, asked),
                asked["since"],
                asked["until"],
                sort=asked["sort"],
                limit=limit,
                offset=offset,
            )

    def labels(self, by: str, found: Pivot) -> dict[str, str]:
        subjects = [line.subject for line in found.lines]
        if by in ("model", "dialect"):
            return {subject: subject for subject in subjects}
        return labels(by, subjects)


class MyUsage(_Own, Usage):
    """One's own calls."""

    query = OwnUsageQuery

    @extend_schema(parameters=[OwnUsageQuery], responses=UsageSerializer)
    def get(self, request: Request) -> Response:
        """One line for each of one's models, keys or dialects, the most used first."""
        return self.answer(request)


class UsageCsv(Usage):
    content_negotiation_class = AnyAccept

    @extend_schema(parameters=[UsageQuery], responses=CSV)
    def get(self, request: Request) -> StreamingHttpResponse:  # type: ignore[override]
        """All lines; `page` and `page_size` mean nothing here."""
        return self.table(request)

    def table(self, request: Request) -> StreamingHttpResponse:
        asked = self.asked(request)
        # Asked before the answer begins: what cannot be told is still refused in words.
        first = self.pivot(request, asked, limit=_LINES_A_QUERY, offset=0)
        header = [asked["by"], "label", *_HEADER]
        lines = self._lines(request, asked, first)
        return csv_response(request._request, "usage.csv", header, lines)

    def _lines(self, request: Request, asked: dict[str, Any], found: Pivot) -> Iterator[list[Any]]:
        told = 0
        while found.lines:
            names = self.labels(asked["by"], found)
            for line in found.lines:
                yield [line.subject, names.get(line.subject, ""), *_cells(line.use)]
            told += len(found.lines)
            if told >= found.count:
                return
            found = self.pivot(request, asked, limit=_LINES_A_QUERY, offset=told)


class MyUsageCsv(_Own, UsageCsv):
    query = OwnUsageQuery

    @extend_schema(parameters=[OwnUsageQuery], responses=CSV)
    def get(self, request: Request) -> StreamingHttpResponse:  # type: ignore[override]
        """All lines; `page` and `page_size` mean nothing here."""
        return self.table(request)


class UsageSeries(_Asked):
    """Operators only."""

    query: type[serializers.Serializer[Any]] = SeriesQuery

    @extend_schema(parameters=[SeriesQuery], responses=SeriesSerializer)
    def get(self, request: Request) -> Response:
        """What a chart shows: every hour or day (of UTC) of the span, with `split=model` one point for each model in use."""
        return self.answer(request)

    def answer(self, request: Request) -> Response:
        asked = self.asked(request)
        # Made as SeriesSerializer describes it, by hand: there may be thousands of points.
        return Response(
            {
                "step": asked["step"],
                "as_of": summed_up_at(),
                "points": [
                    {"start": point.start, "model": point.model, **_shown(point.use)}
                    for point in self.points(request, asked)
                ],
            }
        )

    def points(self, request: Request, asked: dict[str, Any]) -> list[Point]:
        with _in_words():
            return series(
                self.filters(request, asked),
                asked["since"],
                asked["until"],
                step=asked["step"],
                split="split" in asked,
            )


class MyUsageSeries(_Own, UsageSeries):
    """One's own calls."""

    query = OwnSeriesQuery

    @extend_schema(parameters=[OwnSeriesQuery], responses=SeriesSerializer)
    def get(self, request: Request) -> Response:
        """What a chart of one's own calls shows."""
        return self.answer(request)


class UsageSeriesCsv(UsageSeries):
    content_negotiation_class = AnyAccept

    @extend_schema(parameters=[SeriesQuery], responses=CSV)
    def get(self, request: Request) -> StreamingHttpResponse:  # type: ignore[override]
        return self.table(request)

    def table(self, request: Request) -> StreamingHttpResponse:
        points = self.points(request, self.asked(request))
        lines = ([point.start.isoformat(), point.model, *_cells(point.use)] for point in points)
        return csv_response(request._request, "usage.csv", ["start", "model", *_HEADER], lines)


class MyUsageSeriesCsv(_Own, UsageSeriesCsv):
    query = OwnSeriesQuery

    @extend_schema(parameters=[OwnSeriesQuery], responses=CSV)
    def get(self, request: Request) -> StreamingHttpResponse:  # type: ignore[override]
        return self.table(request)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise InvalidRequest(str(exc)) from exc


def _shown(use: Use) -> dict[str, Any]:
    counts = use.counts
    return {
        "requests": use.requests,
        "successes": use.successes,
        "errors": {name.removesuffix("_errors"): counts[name] for name in sums.ERRORS},
        "tokens": {
            name: counts[f"{name}_tokens"] for name in ("input", "cached", "output", "thinking")
        },
        "credits": f"{use.cost_micros // MICROS_PER_CREDIT}.{use.cost_micros % MICROS_PER_CREDIT:06d}",
        "duration_ms": use.duration_ms,
        "first_byte_ms": use.first_byte_ms,
    }


def _cells(use: Use) -> list[Any]:
    return [
        *use.sums[: len(sums.NAMES) - 1],
        to_text(use.cost_micros),
        *use.duration_ms.values(),
        *use.first_byte_ms.values(),
    ]
