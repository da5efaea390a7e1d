"""What the windows of the limiter (quotas/limiter.py) hold at this moment, for pages: nobody is held up by the look, and
it may be a call or two behind."""

from __future__ import annotations

import time
from collections.abc import Sequence

import redis
from django.conf import settings
from django.db.models import Count, Q, Sum
from msgspec import Struct
from redis.exceptions import RedisError

from quotas.limiter import AHEAD_S, LEASE_S, WINDOW_S
from quotas.models import Gate, Passage
from quotas.periods import day_of
from quotas.terms import Terms

_PREFIX = "wellspring:pace:"
_PATIENCE_S = 0.5


class Passed(Struct):
    """Requests and tokens of the last minute, calls that run, requests of the day."""

    requests: int = 0
    tokens: int = 0
    running: int = 0
    calls: int = 0


def passed(terms: Sequence[Terms]) -> dict[str, Passed]:
    """By scope; only of those that have a pace. Redis' word where the site has one and it answers, else the database's."""
    paced = [one for one in terms if one.paced]
    if not paced:
        return {}
    if settings.REDIS_URL:
        try:
            return _in_redis(paced)
        except (RedisError, OSError):
            # The proxy counts in the database as long as Redis is away.
            pass
    return _in_database(paced)


def _in_database(terms: Sequence[Terms]) -> dict[str, Passed]:
    now = time.time()
    found = {one.scope: Passed() for one in terms}
    recent = Q(at__gt=now - WINDOW_S)
    rows = (
        Passage.objects.filter(scope__in=list(found), at__lte=now + AHEAD_S)
        .values("scope")
        .annotate(
            requests=Count("id", filter=recent),
            tokens=Sum("tokens", filter=recent, default=0),
            running=Count(
                "id", filter=Q(lease_until__gt=now, lease_until__lte=now + LEASE_S + AHEAD_S)
            ),
        )
    )
    for row in rows:
        one = found[row["scope"]]
        one.requests, one.tokens, one.running = row["requests"], row["tokens"], row["running"]
    days = Gate.objects.filter(scope__in=list(found)).values_list("scope", "day", "calls")
    gates = {scope: (day, calls) for scope, day, calls in days}
    for own in terms:
        day, calls = gates.get(own.scope, (0, 0))
        if own.rpd is not None and day == day_of(now, own.time_zone):
            found[own.scope].calls = calls
    return found


def _in_redis(terms: Sequence[Terms]) -> dict[str, Passed]:
    now = time.time()
    found: dict[str, Passed] = {}
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
    ) as client:
        for one in terms:
            key = _PREFIX + one.scope
            with client.pipeline(transaction=False) as pipe:
                pipe.zrangebyscore(f"{key}:passed", now - WINDOW_S, "+inf")
                pipe.hgetall(f"{key}:tokens")
                pipe.zcount(f"{key}:running", now, "+inf")
                pipe.get(f"{key}:day:{day_of(now, one.time_zone)}")
                ids, tokens, running, calls = pipe.execute()
            found[one.scope] = Passed(
                requests=len(ids),
                tokens=sum(int(tokens.get(one_id, 0)) for one_id in ids),
                running=running,
                calls=int(calls or 0),
            )
    return found
