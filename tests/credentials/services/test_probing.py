"""Tests nobody asked for: whom they are given to, how often, and never more than the budget."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.utils import timezone

from credentials import services, tasks, upstream
from credentials.caps import upstream_day
from credentials.models import Budget, Credential, DailyUse
from credentials.services import chores, probing
from credentials.states import Event, StateMove
from credentials.upstream import Finding
from gateway.lib.jobs import Job
from tests.credentials.samples import store_key

pytestmark = pytest.mark.django_db


class Scripted:
    """Answers every check with the same verdict, and remembers what was asked."""

    def __init__(self):
        self.checked = []
        self.verdict, self.usable = "works", True

    def check(self, ids):
        self.checked += ids
        return [Finding(pk, "", self.verdict, self.usable) for pk in ids]


@pytest.fixture
def google(monkeypatch):
    scripted = Scripted()
    monkeypatch.setattr(upstream, "_upstream", scripted)
    return scripted


@pytest.fixture
def plenty(settings):
    settings.PROBES_PER_HOUR = 6000


def attention(number, reason):
    row = store_key(number)
    services.apply_verdicts([StateMove(row.pk, Event.ATTENTION, reason=reason)])
    return row


def probe():
    tasks.probe_credentials()
    return Job.objects.get(kind=tasks.probe_credentials.name).result


def pause(row):
    return Credential.objects.get(pk=row.pk).probe_at - timezone.now()


@pytest.mark.usefixtures("plenty")
class TestWhom:
    def test_what_came_in_and_was_not_used_yet(self, google):
        fresh, used = store_key(1), store_key(2)
        DailyUse.objects.create(
            credential=used, day=upstream_day(time.time()), model="m", status=200, calls=1
        )
        assert probe() == {"tested": 1, "usable": 1}
        assert google.checked == [fresh.pk]
        assert pause(fresh) > timedelta(days=6)

    def test_what_was_used_long_ago_only(self, google):
        row = store_key()
        week = upstream_day(time.time()) - timedelta(days=probing.UNUSED_DAYS + 1)
        DailyUse.objects.create(credential=row, day=week, model="m", status=200, calls=9)
        assert probe()["tested"] == 1

    def test_what_may_have_been_mended(self, google):
        row = attention(1, "service_disabled")
        probe()
        assert google.checked == [row.pk]

    @pytest.mark.parametrize("reason", probing.BANNED)
    def test_never_what_google_banned(self, google, reason):
        attention(1, reason)
        probe()
        assert google.checked == []

    @pytest.mark.parametrize("event", [Event.REVOKED, Event.DISABLED, Event.WITHDRAWN])
    def test_never_what_cannot_come_back_by_itself(self, google, event):
        row = store_key()
        if event is Event.REVOKED:
            services.apply_verdicts([StateMove(row.pk, event)])
        else:
            services.set_state(credential_id=row.pk, event=event)
        probe()
        assert google.checked == []

    def test_never_what_its_contributor_paused(self, google):
        Credential.objects.filter(pk=store_key().pk).update(paused_at=timezone.now())
        probe()
        assert google.checked == []

    def test_not_at_hours_its_contributor_keeps(self, google):
        now = datetime.now(ZoneInfo("UTC"))
        row = store_key()
        rows = Credential.objects.filter(pk=row.pk)
        rows.update(hours_from=(now.hour + 2) % 24, hours_to=(now.hour + 3) % 24)
        probe()
        assert google.checked == []
        assert timedelta(0) < pause(row) <= timedelta(hours=2)
        rows.update(hours_from=now.hour, hours_to=(now.hour + 2) % 24, probe_at=None)
        probe()
        assert google.checked == [row.pk]

    def test_those_who_sleep_keep_nobody_else_waiting(self, google, settings):
        settings.PROBES_PER_HOUR = 60
        now = datetime.now(ZoneInfo("UTC"))
        for number in range(25):
            store_key(number)
        Credential.objects.update(hours_from=(now.hour + 2) % 24, hours_to=(now.hour + 3) % 24)
        awake = store_key(99)
        probe()
        probe()
        assert google.checked == [awake.pk]

    def test_what_was_never_tested_comes_first(self, google, settings):
        settings.PROBES_PER_HOUR = 60
        long_due, fresh = store_key(1), store_key(2)
        past = timezone.now() - timedelta(days=1)
        Credential.objects.filter(pk=long_due.pk).update(probe_at=past)
        probe()
        assert google.checked == [fresh.pk]


class TestBackoff:
    pytestmark = pytest.mark.usefixtures("plenty")

    def test_doubles_up_to_a_day(self, google, plenty):
        google.verdict, google.usable = "needs licence", False
        row = attention(1, "subscription_required")
        pauses = []
        for _ in range(10):
            Credential.objects.filter(pk=row.pk).update(probe_at=timezone.now())
            probe()
            pauses.append(pause(row))
        assert timedelta(minutes=11) < pauses[0] <= timedelta(minutes=15)
        assert timedelta(minutes=22) < pauses[1] <= timedelta(minutes=30)
        assert all(timedelta(hours=17) < one <= timedelta(days=1) for one in pauses[-3:])
        assert google.checked == [row.pk] * 10

    def test_success_forgets_the_failures(self, google, plenty):
        row = attention(1, "subscription_required")
        Credential.objects.filter(pk=row.pk).update(probe_failures=7)
        probe()
        assert Credential.objects.get(pk=row.pk).probe_failures == 0

    def test_one_that_killed_its_worker_waits_too(self, google, plenty, monkeypatch):
        row = attention(1, "subscription_required")

        def dies(ids):
            raise SystemExit

        monkeypatch.setattr(google, "check", dies)
        with pytest.raises(SystemExit):
            probe()
        assert pause(row) > timedelta(minutes=10)

    def test_a_probe_is_no_news_for_the_processes_that_serve(self, google, plenty):
        row = store_key()
        probe()
        assert Credential.objects.get(pk=row.pk).revision == row.revision


class TestBudget:
    def test_a_round_has_its_share_of_the_hour(self, google, settings):
        settings.PROBES_PER_HOUR = 120
        for number in range(10):
            store_key(number)
        assert [probe()["tested"] for _ in range(6)] == [2, 2, 2, 2, 2, 0]

    @pytest.mark.parametrize(("fresh", "broken"), [(3, 12), (12, 3)])
    def test_however_many_are_of_one_kind_the_other_has_its_half(
        self, google, settings, fresh, broken
    ):
        settings.PROBES_PER_HOUR = 360
        new = {store_key(number).pk for number in range(fresh)}
        old = {attention(100 + number, "service_disabled").pk for number in range(broken)}
        probe()
        asked = set(google.checked)
        assert (len(asked & new), len(asked & old)) == (3, 3)
        probe()  # what one does not need is the other's
        assert len(google.checked) == 12

    @pytest.mark.parametrize("lot", ["as it is", "turned"])
    def test_a_round_of_one_is_of_either(self, google, settings, monkeypatch, lot):
        settings.PROBES_PER_HOUR = 60
        if lot == "as it is":
            monkeypatch.setattr(probing.random, "shuffle", lambda kinds: None)
        else:
            monkeypatch.setattr(probing.random, "shuffle", list.reverse)
        new, old = store_key(1), attention(2, "service_disabled")
        probe()
        assert google.checked == [new.pk if lot == "as it is" else old.pk]

    def test_of_the_broken_the_longest_waiting_first(self, google, settings):
        settings.PROBES_PER_HOUR = 60
        rows = [attention(number, "service_disabled") for number in range(3)]
        for hours, row in zip((1, 3, 2), rows, strict=True):
            past = timezone.now() - timedelta(hours=hours)
            Credential.objects.filter(pk=row.pk).update(probe_at=past)
        for _ in rows:
            probe()
        assert google.checked == [rows[1].pk, rows[2].pk, rows[0].pk]

    def test_none_is_none(self, google, settings):
        settings.PROBES_PER_HOUR = 0
        store_key()
        assert probe()["tested"] == 0

    def test_the_hours_end(self, google, settings):
        settings.PROBES_PER_HOUR = 60
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        Budget.objects.create(name="probes", hour=hour, spent=60)
        store_key()
        assert probe()["tested"] == 0
        Budget.objects.update(hour=hour - timedelta(hours=1))
        assert probe()["tested"] == 1


@pytest.mark.django_db(transaction=True)
def test_many_workers_together_spend_no_more_than_the_budget():
    taken = []
    start = threading.Barrier(6)

    def worker():
        start.wait()
        taken.extend(chores.take("probes", 25) for _ in range(10))
        connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), sum(taken)) == (60, 25)
