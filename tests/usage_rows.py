"""Rows of a request log as a busy site would have them, made fast and always alike.

Keys are used as unevenly as they are in life (Zipf), credentials evenly, as the pool does; one call in twenty fails.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from apiproxy.models import RequestLog
from apiproxy.record import _COLUMNS as COLUMNS
from gateway.lib.sql import batch, insert_many

KEYS, OWNERS, GROUPS, CREDENTIALS, MODELS = 5_000, 2_000, 20, 10_000, 40
DAYS = 30
DIALECTS = ("openai-chat", "openai-responses", "anthropic", "gemini", "simple")
_DIALECT_SHARES = (50, 10, 15, 23, 2)
_ERRORS = (
    (400, "invalid_request"),
    (401, "invalid_api_key"),
    (404, "model_not_found"),
    (429, "rate_limit_exceeded"),
    (429, "insufficient_quota"),
    (499, "client_gone"),
    (502, "upstream_failed"),
    (503, "no_credential_available"),
    (504, "upstream_timeout"),
    (500, "internal_error"),
)
_ERROR_SHARES = (12, 4, 4, 25, 10, 15, 15, 8, 5, 2)
# What calls are made of repeats itself; drawing each number anew would take longer than writing the rows.
_SHAPES = 20_011
_CHUNK = 20_000


def model_name(number: int) -> str:
    return f"gemini-{2 + number // 10}.{number % 10}-{('flash', 'pro', 'flash-lite')[number % 3]}"


def rows(
    count: int, *, until: datetime, days: float = DAYS, seed: int = 7, last_id: int = 0
) -> Iterator[tuple[Any, ...]]:
    """In the order of their ends, as the log is written, with the columns of `COLUMNS`. `at` is a datetime."""
    draw = random.Random(seed)
    shapes = [_shape(draw) for _ in range(_SHAPES)]
    keys = _zipf(KEYS, 1.0)
    models = _zipf(MODELS, 1.1)
    owner_of = [1 + draw.randrange(OWNERS) if draw.random() < 0.95 else None for _ in range(KEYS)]
    group_of = [1 + draw.randrange(GROUPS) for _ in range(OWNERS + 1)]
    names = [model_name(number) for number in range(MODELS)]
    span_s = days * 86_400
    start = until - timedelta(seconds=span_s)
    for first in range(0, count, _CHUNK):
        size = min(_CHUNK, count - first)
        key_draws = draw.choices(range(KEYS), cum_weights=keys, k=size)
        model_draws = draw.choices(range(MODELS), cum_weights=models, k=size)
        dialect_draws = draw.choices(DIALECTS, _DIALECT_SHARES, k=size)
        for place in range(size):
            number = first + place
            shape = shapes[draw.randrange(_SHAPES)]
            key, status = key_draws[place], shape[0]
            ended = start + timedelta(seconds=span_s * (number + 1) / count)
            at = max(ended - timedelta(milliseconds=shape[-1]), start)
            owner = owner_of[key]
            name = names[model_draws[place]]
            served = status != 401
            yield (
                f"req_{last_id + number:032x}",
                at,
                key + 1 if served else None,
                owner if served else None,
                group_of[owner] if served and owner else None,
                1 + draw.randrange(CREDENTIALS) if status not in (400, 401, 404, 429) else None,
                dialect_draws[place],
                "generate",
                name if served else "",
                name,
                "",
                "",
                1,
                False,
                "gemini_api",
                *shape[1:3],
                *shape[3:5],
                '[{"credential":1,"provider":"gemini_api","status":200,"outcome":"ok","reason":"","ms":812}]',
                "[]",
                *shape[5:],
            )


def _shape(draw: random.Random) -> tuple[Any, ...]:
    """(status, stream, status, error_code, error, tokens in, cached, out, thinking, cost, first byte, waited, duration)"""
    duration_ms = min(int(draw.lognormvariate(math.log(2500), 0.9)), 600_000)
    stream = draw.random() < 0.7
    if draw.random() < 0.05:
        [(status, code)] = draw.choices(_ERRORS, _ERROR_SHARES)
        words = "the reason is told here in a sentence"
        return (status, stream, status, code, words, 0, 0, 0, 0, 0, None, 0, duration_ms // 4)
    tokens_in = int(draw.lognormvariate(7, 1.2))
    tokens_out = int(draw.lognormvariate(5.5, 1))
    cached = tokens_in // 2 if draw.random() < 0.3 else 0
    thinking = tokens_out if draw.random() < 0.4 else 0
    cost = draw.choice((1_000_000, 2_000_000, 10_000_000)) + tokens_out
    first_byte_ms = int(duration_ms * draw.uniform(0.1, 0.6)) if stream else None
    waited_ms = 0 if draw.random() < 0.97 else draw.randrange(5_000)
    usage = (tokens_in, cached, tokens_out, thinking, cost)
    return (200, stream, 200, "", "", *usage, first_byte_ms, waited_ms, duration_ms)


def _zipf(count: int, exponent: float) -> list[float]:
    return list(itertools.accumulate(1 / rank**exponent for rank in range(1, count + 1)))


def fill(count: int, *, until: datetime, days: float = DAYS, seed: int = 7) -> None:
    """Into the request log of the default database, in the order of the log."""
    last_id = RequestLog.objects.count()
    made = rows(count, until=until, days=days, seed=seed, last_id=last_id)
    if connection.vendor == "postgresql":
        _copy(made)
        return
    while some := list(itertools.islice(made, _CHUNK)):
        stored = [(one[0], _stored(one[1]), *one[2:]) for one in some]
        with batch() as cursor:
            insert_many(cursor, RequestLog._meta.db_table, COLUMNS, stored)


def _stored(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at.astimezone(UTC))


def _copy(made: Iterator[Sequence[Any]]) -> None:
    connection.ensure_connection()
    names = ", ".join(COLUMNS)
    with (
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY {RequestLog._meta.db_table} ({names}) FROM STDIN") as copy,
    ):
        for one in made:
            copy.write_row(one)
