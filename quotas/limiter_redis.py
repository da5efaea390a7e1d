"""The windows in Redis: whatever waits in this process is asked in one script, answered in one step, by Redis' own clock.

Of each scope there are a sorted set of the requests that passed in the last minute, a hash of their tokens with the sum of
them, a sorted set of the calls that run, until when each was renewed, and the requests of the day. All of it expires by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import redis.asyncio

from gateway.lib.tasks import spawn
from quotas.limiter import (
    AHEAD_S,
    LEASE_S,
    WINDOW_S,
    Granted,
    Item,
    Refused,
    Release,
    Renew,
    Room,
    Take,
    tightest,
)
from quotas.periods import day_of, ends_at

_PREFIX = "wellspring:pace:"
# Whoever calls waits for it; past this the database takes over.
_PATIENCE_S = 0.5
# A script holds up everybody else who asks Redis something.
_AT_ONCE = 200
_TAKE, _RELEASE, _RENEW = 0, 1, 2

_NOW = """
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end
"""

# ARGV[1], in MessagePack, is a list of what is asked, in order. -1: no such limit.
#   {0, request id, tokens, {{key, rpm, rpd, tpm, concurrency, day, seconds of the day that are left}, ...}}
#   {1, request id, tokens, undone, {{key, day or -1}, ...}}
#   {2, {{key, request id}, ...}}
# The answer is as long: {} for what is only told, else the counts of each scope after the call: {{requests, tokens, calls of the
# day}, ...}, or what refuses it: {number of the scope, which limit, the limit, used, seconds, hopeless}.
_DECIDE = (
    f"""
local WINDOW, AHEAD, LEASE = {WINDOW_S:.0f}, {AHEAD_S:.0f}, {LEASE_S:.0f}
local at, slid = now(), {{}}
"""
    + """
local function forget(key, ids)
  for _, id in ipairs(ids) do
    local tokens = redis.call('HGET', key .. ':tokens', id)
    if tokens then
      redis.call('HDEL', key .. ':tokens', id)
      redis.call('DECRBY', key .. ':sum', tokens)
    end
    redis.call('ZREM', key .. ':passed', id)
  end
end

-- Take out what has left the window, and what a clock stamped that was set back since.
local function slide(key)
  if slid[key] then return end
  slid[key] = true
  forget(key, redis.call('ZRANGEBYSCORE', key .. ':passed', '-inf', at - WINDOW))
  forget(key, redis.call('ZRANGEBYSCORE', key .. ':passed', '(' .. (at + AHEAD), '+inf'))
  redis.call('ZREMRANGEBYSCORE', key .. ':running', '-inf', at)
  redis.call('ZREMRANGEBYSCORE', key .. ':running', '(' .. (at + LEASE + AHEAD), '+inf')
end

local function take(id, tokens, scopes)
  local counts = {}
  for i, scope in ipairs(scopes) do
    local key, rpm, rpd, tpm, concurrency, day, left = unpack(scope)
    slide(key)
    -- It asked before, when the answer came too late for it: that one never began.
    redis.call('ZREM', key .. ':running', id)
    forget(key, {id})
    local requests = redis.call('ZCARD', key .. ':passed')
    local sum = tonumber(redis.call('GET', key .. ':sum') or '0')
    local calls = 0
    if rpd >= 0 then calls = tonumber(redis.call('GET', key .. ':day:' .. day) or '0') end
    if tpm >= 0 and tokens > tpm then return {i, 'tpm', tpm, sum, WINDOW, true} end
    if rpd >= 0 and calls >= rpd then return {i, 'rpd', rpd, calls, left, false} end
    if rpm >= 0 and requests >= rpm then
      local wait = WINDOW
      if rpm > 0 then
        local first = redis.call('ZRANGE', key .. ':passed', requests - rpm, requests - rpm, 'WITHSCORES')
        wait = math.max(first[2] + WINDOW - at, 0)
      end
      return {i, 'rpm', rpm, requests, wait, rpm == 0}
    end
    if tpm >= 0 and sum + tokens > tpm then
      local over, wait = sum + tokens - tpm, WINDOW
      local passed = redis.call('ZRANGE', key .. ':passed', 0, -1, 'WITHSCORES')
      for j = 1, #passed, 2 do
        over = over - tonumber(redis.call('HGET', key .. ':tokens', passed[j]) or '0')
        if over <= 0 then wait = math.max(passed[j + 1] + WINDOW - at, 0) break end
      end
      return {i, 'tpm', tpm, sum, wait, false}
    end
    if concurrency >= 0 then
      local running = redis.call('ZCARD', key .. ':running')
      if running >= concurrency then
        return {i, 'concurrency', concurrency, running, 0, concurrency == 0}
      end
    end
    counts[i] = {requests + 1, sum + tokens, calls + 1}
  end
  for _, scope in ipairs(scopes) do
    local key, rpm, rpd, tpm, concurrency, day, left = unpack(scope)
    redis.call('ZADD', key .. ':passed', at, id)
    redis.call('EXPIRE', key .. ':passed', WINDOW + 60)
    redis.call('HSET', key .. ':tokens', id, tokens)
    redis.call('EXPIRE', key .. ':tokens', WINDOW + 60)
    redis.call('INCRBY', key .. ':sum', tokens)
    redis.call('EXPIRE', key .. ':sum', WINDOW + 60)
    redis.call('ZADD', key .. ':running', at + LEASE, id)
    redis.call('EXPIRE', key .. ':running', LEASE + 60)
    if rpd >= 0 then
      redis.call('INCR', key .. ':day:' .. day)
      redis.call('EXPIRE', key .. ':day:' .. day, math.ceil(left) + 3600)
    end
  end
  return counts
end

local function release(id, tokens, undone, scopes)
  for _, scope in ipairs(scopes) do
    local key, day = unpack(scope)
    redis.call('ZREM', key .. ':running', id)
    if undone then
      forget(key, {id})
      if day >= 0 and tonumber(redis.call('GET', key .. ':day:' .. day) or '0') > 0 then
        redis.call('DECR', key .. ':day:' .. day)
      end
    else
      local old = redis.call('HGET', key .. ':tokens', id)
      if old then
        redis.call('HSET', key .. ':tokens', id, tokens)
        redis.call('INCRBY', key .. ':sum', tokens - tonumber(old))
      end
    end
  end
end

-- Also one that was taken out when the clock was set.
local function renew(calls)
  for _, call in ipairs(calls) do
    redis.call('ZADD', call[1] .. ':running', at + LEASE, call[2])
    redis.call('EXPIRE', call[1] .. ':running', LEASE + 60)
  end
end

local answers = {}
for n, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  answers[n] = {}
  if item[1] == 0 then
    answers[n] = take(item[2], item[3], item[4])
  elseif item[1] == 1 then
    release(item[2], item[3], item[4], item[5])
  else
    renew(item[2])
  end
end
return cmsgpack.pack(answers)
"""
)


class RedisLimiter:
    """One question at a time is on its way; what comes meanwhile goes together in the next. In the order in which it came."""

    def __init__(self, url: str) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
        )
        self._script = self._client.register_script(_NOW + _DECIDE)
        self._waiting: list[tuple[Item, asyncio.Future[Granted | Refused | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    def ask(self, item: Item) -> asyncio.Future[Granted | Refused | None]:
        """None for what is not asked but told. The future fails with RedisError or OSError when Redis is away."""
        answered: asyncio.Future[Granted | Refused | None]
        answered = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answered))
        if self._asking is None:
            self._asking = spawn(self._ask_all(), name="limits in Redis")
        return answered

    async def close(self) -> None:
        """What was asked is answered first."""
        if self._asking is not None:
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._client.aclose()

    async def decide(self, items: Sequence[Item]) -> list[Granted | Refused | None]:
        """Raises RedisError, OSError."""
        now = time.time()
        asked = [_asked(item, now) for item in items]
        said = await self._script(keys=_keys(items), args=[msgspec.msgpack.encode(asked)])
        return [
            _answer(item, question, answer)
            for item, question, answer in zip(
                items, asked, msgspec.msgpack.decode(said), strict=True
            )
        ]

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                try:
                    answers = await self.decide([item for item, _ in some])
                except Exception as exc:  # noqa: BLE001 - whoever waits is told
                    for _, answered in some:
                        if not answered.done():
                            answered.set_exception(exc)
                else:
                    for (_, answered), answer in zip(some, answers, strict=True):
                        if not answered.done():
                            answered.set_result(answer)
        finally:
            self._asking = None
            for _, answered in self._waiting:
                answered.cancel()
            self._waiting.clear()


def _keys(items: Sequence[Item]) -> list[str]:
    """What the script touches; it names them by itself, they are told for those who look at Redis' log."""
    scopes = {scope for item in items if not isinstance(item, Renew) for scope in item.scopes}
    return [_PREFIX + scope for scope in sorted(scopes)]


def _asked(item: Item, now: float) -> list[Any]:
    if isinstance(item, Take):
        scopes = []
        for terms in item.terms:
            day, left_s = 0, 0.0
            if terms.rpd is not None:
                day = day_of(now, terms.time_zone)
                left_s = ends_at("day", day, terms.time_zone) - now
            paces = (terms.rpm, terms.rpd, terms.tpm, terms.concurrency)
            limits = [-1 if pace is None else pace for pace in paces]
            scopes.append([_PREFIX + terms.scope, *limits, day, left_s])
        return [_TAKE, item.request_id, item.tokens, scopes]
    if isinstance(item, Release):
        days = item.days or (None,) * len(item.scopes)
        counted = [
            [_PREFIX + scope, -1 if day is None else day]
            for scope, day in zip(item.scopes, days, strict=True)
        ]
        return [_RELEASE, item.request_id, item.tokens, item.undone, counted]
    calls = [
        [_PREFIX + scope, request_id]
        for request_id, scopes in zip(item.request_ids, item.scopes, strict=True)
        for scope in scopes
    ]
    return [_RENEW, calls]


def _answer(item: Item, asked: list[Any], answer: Any) -> Granted | Refused | None:
    if not isinstance(item, Take):
        return None
    if answer and isinstance(answer[0], int):
        which, pace, limit, used, wait_s, hopeless = answer
        return Refused(item.scopes[which - 1], pace, limit, used, float(wait_s), hopeless)
    requests = tokens = None
    for terms, scope, (passed, tokens_used, calls) in zip(
        item.terms, asked[3], answer, strict=True
    ):
        if terms.rpm is not None:
            requests = tightest(requests, Room(terms.rpm, max(terms.rpm - passed, 0), WINDOW_S))
        if terms.rpd is not None:
            room = Room(terms.rpd, max(terms.rpd - calls, 0), scope[6])
            requests = tightest(requests, room)
        if terms.tpm is not None:
            room = Room(terms.tpm, max(terms.tpm - tokens_used, 0), WINDOW_S)
            tokens = tightest(tokens, room)
    days = [
        None if terms.rpd is None else scope[5]
        for terms, scope in zip(item.terms, asked[3], strict=True)
    ]
    return Granted(requests, tokens, tuple(days))
