"""The operator's hand in a gateway's database: a process with that gateway's settings, told what to do by JSON lines.

It calls the services that pages and commands call, without the second that each `manage.py` takes to start.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.db import connection, connections, transaction  # noqa: E402
from django.db.models import Count, F  # noqa: E402

from accounts import services as accounts  # noqa: E402
from accounts.keys import public_id_of  # noqa: E402
from accounts.models import ApiKey, Group, User  # noqa: E402
from apiproxy.models import CatalogueModel, RequestLog  # noqa: E402
from credentials import services as credentials  # noqa: E402
from credentials.models import Allowance, Credential, Draining, Flow, ModelState  # noqa: E402
from credentials.states import Event  # noqa: E402
from quotas import selectors as quotas  # noqa: E402
from quotas import services as quota_services  # noqa: E402
from quotas.models import Balance, Entry, Hold, Limits, Price  # noqa: E402

Json = dict[str, Any]


@transaction.atomic
def lend(lent: list[Json], marker: str) -> list[int]:
    """Exactly these credentials from now on. A process that shows the model `marker` has seen the change."""
    others = Credential.objects.exclude(state="withdrawn").order_by("pk")
    for credential_id in others.values_list("pk", flat=True):
        credentials.set_state(credential_id=credential_id, event=Event.WITHDRAWN)
    ids = [credentials.store(**one).pk for one in lent]
    mark(marker)
    return ids


def mark(marker: str) -> None:
    model = CatalogueModel.objects.filter(name__startswith="marker-").first() or CatalogueModel()
    model.name, model.providers = marker, ["sandbox"]
    model.save()


@transaction.atomic
def price(pattern: str, marker: str, **rates: int) -> None:
    Price.objects.update_or_create(pattern=pattern, defaults=rates)
    mark(marker)


def issue_key(quota_micros: int, **options: Any) -> Json:
    row, key = accounts.issue_key(quota_micros=quota_micros, **options)
    return {"key": key, "id": row.pk, "balance_id": row.balance_id}


def crowd(keys: int) -> list[str]:
    """Keys with limits of all sorts: some of owners with a wallet, some of those in a group with a budget, some by day, rate or
    concurrency, some without an end."""
    credit = 1_000_000
    group = Group.objects.create(
        name="crowd", balance=quota_services.open_balance(total_micros=1_500 * credit)
    )
    owners = []
    for number in range(5):
        owner = User.objects.create_user(f"crowd-{number}", group=group if number < 3 else None)
        owner.balance = quota_services.open_balance(total_micros=120 * credit)
        owner.save()
        owners.append(owner)
    sorts: list[Json] = [
        {},
        {"limits": {"day_micros": 16 * credit, "time_zone": "Asia/Shanghai"}},
        {"limits": {"rpm": 12}},
        {"limits": {"concurrency": 3}},
        {"quota_micros": 10 * credit},
        {"quota_micros": None},
        {"limits": {"week_micros": 30 * credit, "month_micros": 30 * credit}},
    ]
    made = []
    for number in range(keys):
        options = {"quota_micros": 1_000 * credit, **sorts[number % len(sorts)]}
        owner = owners[number % len(owners)] if number % 2 else None
        made.append(accounts.issue_key(owner=owner, **options)[1])
    return made


def booked() -> Json:
    """Request -> {"settle" or "refund": on how many balances}, and "open" for what is reserved."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    rows = Entry.objects.exclude(request_id=None).values_list("request_id", "kind", "reason")
    for request_id, kind, _ in rows.iterator():
        found[request_id][kind] += 1
    for request_id in Hold.objects.values_list("request_id", flat=True):
        found[request_id]["open"] += 1
    return {request_id: dict(kinds) for request_id, kinds in found.items()}


def limit_key(key: str, **limits: Any) -> None:
    row = _key(key)
    row.limits = Limits.objects.create(**limits)
    row.save()


def revoke(key: str) -> None:
    accounts.revoke_key(key=_key(key))


def expire(key: str) -> None:
    row = _key(key)
    row.expires_at = row.created_at
    row.save()


def _key(key: str) -> ApiKey:
    return ApiKey.objects.get(public_id=public_id_of(key))


def balance(key: str) -> Json:
    """total, used, reserved, remaining in micros."""
    row = _key(key).balance
    return {
        name: getattr(row, f"{name}_micros") for name in ("total", "used", "reserved", "remaining")
    }


def entries(key: str) -> list[Json]:
    rows = Entry.objects.filter(balance=_key(key).balance_id).order_by("id")
    return list(rows.values("kind", "amount_micros", "reserved_micros", "request_id", "reason"))


def prove() -> Json:
    checked, wrong = quotas.prove()
    return {"balances": checked, "wrong": [str(one) for one in wrong]}


def holds() -> int:
    return Hold.objects.count()


def reserved() -> int:
    return sum(Balance.objects.values_list("reserved_micros", flat=True))


def states(ids: list[int]) -> list[Json]:
    """In the order of `ids`: {"state", "reason", "models": {name: [state, reason]}}."""
    rows = Credential.objects.in_bulk(ids)
    models: dict[int, Json] = {pk: {} for pk in ids}
    for row in ModelState.objects.filter(credential__in=ids).exclude(state="active"):
        models[row.credential_id][row.model] = [row.state, row.reason]
    return [
        {"state": rows[pk].state, "reason": rows[pk].state_reason, "models": models[pk]}
        for pk in ids
    ]


def person(username: str, password: str, role: str) -> None:
    """Somebody who can sign in."""
    User.objects.create_user(
        username=username,
        password=password,
        role=role,
        is_staff=role == "operator",
        is_superuser=role == "operator",
    )


def pool_counts() -> Json:
    """How many credentials are in each state."""
    return dict(Credential.objects.values_list("state").annotate(Count("pk")).order_by())


def tell_contributors() -> int:
    """What upkeep does every few minutes."""
    return credentials.notify_due()


def decide(credential_id: int, event: str) -> None:
    """As an operator on a page would."""
    credentials.set_state(credential_id=credential_id, event=Event(event))


def limit(credential_id: int, **limits: Any) -> None:
    """As the contributor on the private page would."""
    credentials.set_limits(credential_id=credential_id, limits=limits)


def taken(credential_id: int) -> int:
    """How many of a capped credential's calls are taken, as a whole."""
    rows = Allowance.objects.filter(credential=credential_id, scope="")
    return sum(rows.values_list("taken", flat=True))


def draining(credential_id: int) -> list[int]:
    """How many calls each process still runs with it."""
    return list(Draining.objects.filter(credential=credential_id).values_list("calls", flat=True))


def age_flows(minutes: int) -> None:
    """As if every attempt to lend had begun that much earlier."""
    earlier = timedelta(minutes=minutes)
    Flow.objects.update(expires_at=F("expires_at") - earlier, created_at=F("created_at") - earlier)


def sealed() -> list[Json]:
    """What is stored of every credential, as it is stored."""
    rows = Credential.objects.order_by("pk")
    return [
        {"id": row.pk, "secret": row.secret.token, "state": row.state, "reason": row.state_reason}
        for row in rows
    ]


def store_all(stored: list[Json]) -> list[int]:
    """Beside those that are there."""
    return [credentials.store(**one).pk for one in stored]


def log_rows() -> int:
    return RequestLog.objects.count()


def logged(key: str) -> list[Json]:
    """What the request log says of a key's requests, oldest first."""
    rows = RequestLog.objects.filter(key_id=_key(key).pk).order_by("id")
    return list(rows.values("dialect", "requested_model", "model", "status", "dropped"))


def deadlocks() -> int:
    """How often two transactions waited for each other, as PostgreSQL counts."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def dump() -> str:
    """Every row of every table as text."""
    with connection.cursor() as cursor:
        lines: list[str] = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            lines += [f"{table}: {row!r}" for row in cursor.fetchall()]
    return "\n".join(lines)


ACTIONS = {
    action.__name__: action
    for action in (
        lend,
        mark,
        price,
        issue_key,
        crowd,
        booked,
        limit_key,
        revoke,
        expire,
        balance,
        entries,
        prove,
        holds,
        reserved,
        states,
        tell_contributors,
        person,
        pool_counts,
        decide,
        limit,
        taken,
        draining,
        age_flows,
        sealed,
        store_all,
        log_rows,
        logged,
        deadlocks,
        dump,
    )
}


def main() -> None:
    for line in sys.stdin:
        order: Json = json.loads(line)
        try:
            answer = {"result": ACTIONS[order.pop("do")](**order)}
        except Exception:  # noqa: BLE001 - the test that asked fails with it, the next ones are not to
            answer = {"error": traceback.format_exc()}
            connections.close_all()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
