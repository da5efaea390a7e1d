"""One of several processes that want more than the windows allow. Told what to do by a JSON object, says what it got by another.

`python -m tests.quotas.taking '{"name": "a", "redis_url": "", "threads": 2, "jobs": [{"scope": "u1", "calls": 50, "rpm": 40}]}'`
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402

from quotas import limiter_database  # noqa: E402
from quotas.limiter import Granted, Item, Release, Take  # noqa: E402
from quotas.limiter_redis import RedisLimiter  # noqa: E402
from quotas.models import Gate, Passage  # noqa: E402
from quotas.terms import Terms  # noqa: E402

Json = dict[str, Any]


def main() -> None:
    what = json.loads(sys.argv[1])
    if what.get("make"):
        with connection.schema_editor() as editor:
            editor.create_model(Gate)
            editor.create_model(Passage)
        return
    got: dict[str, list[Json]] = {job["scope"]: [] for job in what["jobs"]}
    threads = [
        threading.Thread(target=_take_all, args=(what, f"{what['name']}-{number}", got))
        for number in range(what["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(got))  # noqa: T201


def _take_all(what: Json, name: str, got: dict[str, list[Json]]) -> None:
    for job in what["jobs"]:
        if what["redis_url"]:
            asyncio.run(_take_in_redis(what["redis_url"], job, name, got[job["scope"]]))
        else:
            _take(job, name, got[job["scope"]])
    connection.close()


def _take(job: Json, name: str, got: list[Json]) -> None:
    for number in range(job["calls"]):
        take = _one(job, f"{name}-{number}")
        [outcome] = limiter_database.decide([take])
        if (told := _hold(job, take, outcome, got)) is not None:
            limiter_database.decide([told])


async def _take_in_redis(url: str, job: Json, name: str, got: list[Json]) -> None:
    limiter = RedisLimiter(url)
    for number in range(job["calls"]):
        take = _one(job, f"{name}-{number}")
        outcome = await limiter.ask(take)
        if (told := _hold(job, take, outcome, got)) is not None:
            await limiter.ask(told)
    await limiter.close()


def _one(job: Json, name: str) -> Take:
    """Of one of two keys, each of which has more than their common owner."""
    zone = job.get("time_zone", "")
    owner = Terms(
        job["scope"],
        time_zone=zone,
        rpm=job.get("rpm"),
        rpd=job.get("rpd"),
        concurrency=job.get("at_once"),
    )
    key = Terms(f"k{len(name) % 2}", rpm=100_000, concurrency=1_000)
    return Take(f"{name}-{job['scope']}", (key, owner), 1)


def _hold(job: Json, take: Take, outcome: object, got: list[Json]) -> Item | None:
    if not isinstance(outcome, Granted):
        return None
    # The clock that all processes of a machine share.
    began = time.monotonic()
    if hold_s := job.get("hold_s"):
        time.sleep(hold_s)
    got.append({"began": began, "ended": time.monotonic()})
    if not job.get("release", True):
        return None
    return Release(take.request_id, take.scopes, 1, days=outcome.days)


if __name__ == "__main__":
    main()
