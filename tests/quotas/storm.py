"""A process that does at random what can be done to balances, for tests that run several of them at once on one database.

python -m tests.quotas.storm make            migrates, makes balances and codes, prints what it made
python -m tests.quotas.storm run SEED OPS    does OPS things in THREADS threads, prints what came of them
python -m tests.quotas.storm end             sweeps and proves, prints the result
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from datetime import timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from gateway.lib.errors import Conflict, InvalidRequest  # noqa: E402
from quotas import ledger, selectors, services  # noqa: E402
from quotas.ledger import Close, Reserve  # noqa: E402
from quotas.models import Balance, Campaign, Entry, Hold  # noqa: E402
from quotas.terms import Account  # noqa: E402

THREADS = 2
BALANCES = 6
CODE = "STORM2026"
USES = 15
EXPECTED = (ValueError, Conflict, InvalidRequest)


def make():
    call_command("migrate", verbosity=0)
    ids = [
        services.open_balance(total_micros=2_000, open_ended=number == 0, label=f"b{number}").pk
        for number in range(BALANCES)
    ]
    campaign = services.save_campaign(
        campaign=None, values={"name": "storm", "amount_micros": 500, "credit_days": 1}
    )
    services.make_words(campaign=campaign, words=[CODE], max_uses=USES)
    Campaign.objects.update(once_each=False)
    return {"ids": ids}


class Storm:
    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.name = f"s{seed}"
        self.ids = list(Balance.objects.order_by("pk").values_list("pk", flat=True))
        self.open = []
        self.closed = []
        self.count = 0
        self.came = Counter()

    def run(self, ops):
        acts = [self.batch] * 8 + [self.late, self.move, self.total, self.redeem, self.expire]
        acts += [self.sweep]
        for _ in range(ops):
            act = self.draw.choice(acts)
            try:
                act()
                self.came[act.__name__] += 1
            except EXPECTED:
                self.came["refused"] += 1

    def accounts(self):
        """One to three, in any order; a balance with limits by day is one always, as its terms say so."""
        some = self.draw.sample(self.ids, self.draw.randint(1, 3))
        return tuple(
            Account(pk, day_micros=3_000, week_micros=9_000) if pk % 3 == 0 else Account(pk)
            for pk in some
        )

    def batch(self):
        draw = self.draw
        reserves = []
        for _ in range(draw.randint(0, 4)):
            self.count += 1
            request_id = f"{self.name}-{self.count}"
            reserves.append(Reserve(request_id, self.accounts(), draw.randint(0, 300)))
        ending = [
            self.open.pop(draw.randrange(len(self.open))) for _ in range(min(len(self.open), 3))
        ]
        closes = [Close(one, draw.choice([0, 50, 150, 400]), "answered") for one in ending]
        booked, _ = ledger.book(reserves, closes, holder_id=self.name)
        self.open += [r.request_id for r, b in zip(reserves, booked, strict=True) if b.accepted]
        self.closed += ending

    def late(self):
        """Once more what is closed already: a repeated settle, or one that comes after the sweep."""
        if self.closed:
            ledger.book([], [Close(self.draw.choice(self.closed), 70, "late")], holder_id=self.name)

    def sweep(self):
        services.sweep(lease_s=3600)

    def move(self):
        services.adjust(
            balance_id=self.draw.choice(self.ids),
            amount_micros=self.draw.choice([300, 100, -100, -400]),
            reason="by hand",
        )

    def total(self):
        services.set_total(
            balance_id=self.draw.choice(self.ids[1:]), total_micros=self.draw.randint(500, 4_000)
        )

    def redeem(self):
        services.redeem(code=CODE, balance=Balance(pk=self.draw.choice(self.ids)))

    def expire(self):
        services.expire_lots(now=timezone.now() + timedelta(days=self.draw.choice([0, 2])))


def run(seed, ops):
    storms = [Storm(f"{seed}t{number}") for number in range(THREADS)]
    failures = []

    def one(storm):
        try:
            storm.run(ops)
        except Exception as exc:  # noqa: BLE001 - told to whoever started us
            failures.append(repr(exc))
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(storm,)) for storm in storms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    came = sum((storm.came for storm in storms), Counter())
    return {"failures": failures, **came}


def end():
    services.sweep(lease_s=-3600)
    checked, wrong = selectors.prove()
    overdrawn = Balance.objects.filter(open_ended=False, remaining_micros__lt=0).count()
    code = Entry.objects.filter(kind=Entry.Kind.REDEEM).count()
    return {
        "balances": checked,
        "wrong": [repr(one) for one in wrong],
        "holds": Hold.objects.count(),
        "overdrawn": overdrawn,
        "redeemed": code,
        "entries": Entry.objects.count(),
    }


def main():
    what, *rest = sys.argv[1:]
    result = {"make": make, "end": end, "run": run}[what](*(int(word) for word in rest))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
