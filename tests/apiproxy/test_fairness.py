"""Every contributor's part of what they lent is used up at the same pace."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.pool import WHOLE, Pool
from apiproxy.wire.types import OK, Credential
from credentials.caps import Caps

GEMINI = ("gemini_api",)


def share_of(weight, calls_a_day):
    return weight * min(calls_a_day or 1000, 1000) / 1000


class Site:
    """A pool, and what everybody in it has given since they were last away."""

    def __init__(self, donors):
        """`donors`: [(how many, weight, calls a day or None)]"""
        self.now = 1000.0
        self.pool = Pool(lambda: self.now)
        self.shares = {}
        self.donor_of = {}
        for donor, (count, weight, calls_a_day) in enumerate(donors, start=1):
            for _ in range(count):
                pk = len(self.shares) + 1
                self.shares[pk] = share_of(weight, calls_a_day)
                self.donor_of[pk] = donor
                self.pool.put(
                    Credential(id=pk, provider="gemini_api", weight=weight, contributor_id=donor),
                    caps=Caps(calls_a_day=calls_a_day),
                )
        self.given = Counter()
        self.resting = set()
        self.running = []

    def begin(self):
        lease = self.pool.acquire("m", GEMINI)
        self.given[lease.credential.id] += 1
        self.running.append(lease)

    def end(self, which):
        if self.running:
            self.pool.release(self.running.pop(which % len(self.running)), OK)

    def toggle(self, which):
        """Rest one, or let it come back; from then on everybody is counted anew."""
        pk = which % len(self.shares) + 1
        if pk in self.resting:
            self.resting.discard(pk)
            self.pool.rest(pk, WHOLE, 0.0)
        elif len(self.resting) < len(self.shares) - 1:
            self.resting.add(pk)
            self.pool.rest(pk, WHOLE, 1e9)
        self.given.clear()

    def spread(self, in_flight):
        """How far apart, beyond what one turn and the calls that run explain, the usable ones are."""
        usable = self.shares.keys() - self.resting
        paces = {pk: self.given[pk] / self.shares[pk] for pk in usable}
        low, high = min(usable, key=paces.get), max(usable, key=paces.get)
        turns = 1 / self.shares[low] + 1 / self.shares[high]
        return paces[high] - paces[low], turns * (1 + in_flight)


DONORS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 5]),
        st.sampled_from([1, 2, 3]),
        st.sampled_from([None, 50, 200, 500, 1500]),
    ),
    min_size=2,
    max_size=4,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 30)),
        st.tuples(st.just("toggle"), st.integers(0, 30)),
    ),
    max_size=300,
)


@settings(deadline=None, max_examples=60)
@given(donors=DONORS, steps=STEPS)
def test_at_every_instant_the_usable_have_given_the_same_part(donors, steps):
    site = Site(donors)
    for what, number in steps:
        if what == "toggle":
            site.toggle(number)
        else:
            for _ in range(number):
                site.begin()
                site.end(0)
                apart, allowed = site.spread(0)
                assert apart <= allowed + 1e-6


@settings(deadline=None, max_examples=60)
@given(
    donors=DONORS,
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=400),
)
def test_calls_that_run_side_by_side_shift_it_by_no_more_than_themselves(donors, steps):
    site = Site(donors)
    most = 0
    for begins, number in steps:
        if begins:
            site.begin()
        else:
            site.end(number)
        most = max(most, len(site.running))
        apart, allowed = site.spread(most)
        assert apart <= allowed + 1e-6


def test_donors_of_1_10_and_100_credentials_come_to_the_same_part_of_their_day():
    """Forty capped ones among them last as long as the others: nobody is drained first."""
    donors = [(1, 1, None), (10, 1, None), (100, 1, None), (40, 1, 25), (5, 2, 500)]
    site = Site(donors)
    calls = 20_000
    for _ in range(calls):
        site.begin()
        site.end(0)
    parts = Counter()
    offered = Counter()
    for pk, donor in site.donor_of.items():
        parts[donor] += site.given[pk]
        offered[donor] += site.shares[pk]
    paces = [parts[donor] / offered[donor] for donor in offered]
    assert max(paces) / min(paces) < 1.03


def test_a_newcomer_gets_no_burst():
    site = Site([(10, 1, None)])
    for _ in range(500):
        site.begin()
        site.end(0)
    site.pool.put(Credential(id=99, provider="gemini_api", contributor_id=9))
    site.given.clear()
    for _ in range(110):
        site.begin()
        site.end(0)
    assert set(site.given.values()) <= {9, 10, 11}


def test_one_back_from_a_rest_makes_up_for_nothing():
    site = Site([(10, 1, None)])
    site.pool.rest(3, WHOLE, 1e9)
    for _ in range(900):
        site.begin()
        site.end(0)
    site.pool.rest(3, WHOLE, 0.0)
    site.given.clear()
    for _ in range(100):
        site.begin()
        site.end(0)
    assert set(site.given.values()) <= {9, 10, 11}


def test_one_back_for_a_model_makes_up_for_nothing_there():
    """Other models used it meanwhile, but less."""
    site = Site([(10, 1, None)])
    site.pool.rest(3, "m", 1e9)
    for _ in range(900):
        site.begin()
        site.end(0)
    site.pool.rest(3, "m", 0.0)
    site.given.clear()
    for _ in range(100):
        site.begin()
        site.end(0)
    assert set(site.given.values()) <= {9, 10, 11}


def test_projects_of_one_account_count_as_one():
    pool = Pool(lambda: 0.0)
    for pk in (1, 2, 3, 4):
        pool.put(
            Credential(id=pk, provider="code_assist", contributor_id=pk),
            login="" if pk == 4 else "one account",
        )
    given_by = Counter()
    for _ in range(400):
        lease = pool.acquire("m", ("code_assist",))
        pool.release(lease, OK)
        given_by[lease.credential.id] += 1
    assert 195 <= given_by[4] <= 205
    pool.remove(1)
    pool.remove(2)
    given_by.clear()
    for _ in range(400):
        lease = pool.acquire("m", ("code_assist",))
        pool.release(lease, OK)
        given_by[lease.credential.id] += 1
    assert 195 <= given_by[4] <= 205


def test_the_credentials_of_one_donor_do_not_come_in_a_row():
    site = Site([(5, 1, None), (5, 1, None)])
    order = []
    for _ in range(200):
        lease = site.pool.acquire("m", GEMINI)
        site.pool.release(lease, OK)
        order.append(site.donor_of[lease.credential.id])
    longest = run = 1
    for before, after in zip(order, order[1:], strict=False):
        run = run + 1 if before == after else 1
        longest = max(longest, run)
    assert longest <= 2


def test_it_stays_fair_where_every_model_has_other_exceptions():
    """Each model then has an order of its own, and each call puts all the others out of date."""
    draw = random.Random(1)
    pool = Pool(lambda: 1000.0)
    weights = {pk: 5 if pk % 10 == 0 else 1 for pk in range(1, 301)}
    models = [f"model-{n}" for n in range(40)]
    for pk, weight in weights.items():
        pool.put(Credential(id=pk, provider="gemini_api", contributor_id=pk % 7, weight=weight))
        for model in models:
            if draw.random() < 0.05:
                pool.rest(pk, model, 1e9)
    given_by = Counter()
    for _ in range(30_000):
        lease = pool.acquire(draw.choice(models), GEMINI)
        pool.release(lease, OK)
        given_by[lease.credential.id] += 1
    paces = [given_by[pk] / weight for pk, weight in weights.items()]
    assert max(paces) / min(paces) < 1.15


def test_a_hundred_orders_of_many_are_as_one():
    """The first in each of them are those whom the others have just taken."""
    draw = random.Random(1)
    pool = Pool(lambda: 1000.0)
    models = [f"model-{n}" for n in range(100)]
    for pk in range(1, 3_001):
        pool.put(Credential(id=pk, provider="gemini_api", contributor_id=pk % 40))
    for model in models:
        for pk in draw.sample(range(1, 3_001), 20):
            pool.rest(pk, model, 1e9)
    given_by = Counter()
    for _ in range(5 * 3_000):
        lease = pool.acquire(draw.choice(models), GEMINI)
        pool.release(lease, OK)
        given_by[lease.credential.id] += 1
    assert len(given_by) == 3_000
    assert min(given_by.values()) >= 2
    assert max(given_by.values()) <= 8
    pool.put(Credential(id=9_999, provider="gemini_api", contributor_id=1))
    for _ in range(3_000):
        lease = pool.acquire(draw.choice(models), GEMINI)
        pool.release(lease, OK)
        given_by[lease.credential.id] += 1
    assert given_by[9_999] <= 4
