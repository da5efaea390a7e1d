"""Caps, rests that end and credentials that are taken back, in a running process with the strict fake behind it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from credentials.models import Allowance, Credential, Draining, ModelState, ProbeClaim
from credentials.services import set_state, store
from credentials.states import Event
from tests.apiproxy.conftest import API_KEYS

MODEL = "gemini-2.5-flash"


def change(pk, **fields):
    row = Credential.objects.get(pk=pk)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


async def read(function):
    return await sync_to_async(function)()


async def happened(condition):
    """Within ten seconds."""
    for _ in range(1000):
        if await read(condition):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


async def test_forty_at_once_and_a_cap_of_ten(edge, fake, lent, key):
    await sync_to_async(change)(lent[0], calls_a_day=10)
    await sync_to_async(change)(lent[1], paused_at=timezone.now())
    await edge.runtime.feed.update()
    answers = await asyncio.gather(*(edge.chat(key.text) for _ in range(40)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] * 10 + [503] * 30
    assert len(fake.calls(credential=API_KEYS[0])) == 10
    assert (await read(Allowance.objects.get)).taken == 10
    refused = next(answer for answer in answers if answer.status == 503)
    assert int(refused.headers["retry-after"]) > 1
    assert (await edge.receipt(refused)).state == "refunded"


async def test_a_cap_of_one_model_leaves_the_others(edge, fake, lent, key):
    for pk in lent:
        await sync_to_async(change)(pk, model_calls_a_day={"gemini-2.5-flash*": 1})
    answers = [(await edge.chat(key.text)).status for _ in range(3)]
    assert answers == [200, 200, 503]
    assert (await edge.chat(key.text, model="gemini-2.5-pro")).status == 200


async def test_a_call_that_fails_is_given_back(edge, fake, lent, key):
    await sync_to_async(change)(lent[0], calls_a_day=5)
    await sync_to_async(change)(lent[1], paused_at=timezone.now())
    fake.script("error", error="bad_request", times=1)
    assert (await edge.chat(key.text)).status == 400
    await edge.settled()
    assert (await read(Allowance.objects.get)).taken == 0


async def test_an_answer_that_breaks_off_counts(edge, fake, lent, key):
    await sync_to_async(change)(lent[0], calls_a_day=5)
    await sync_to_async(change)(lent[1], paused_at=timezone.now())
    fake.script("reset_mid_stream")
    await edge.chat(key.text, stream=True)
    await edge.settled()
    assert (await read(Allowance.objects.get)).taken == 1


async def test_the_clients_that_leave_while_they_wait_for_a_permit_leave_it_untaken(
    edge, fake, lent, key
):
    await sync_to_async(change)(lent[0], calls_a_day=5)
    await edge.runtime.feed.update()
    relay, pool = edge.runtime.relay, edge.runtime.pool
    permits = relay._picker._permits
    lease = next(
        found
        for found in (pool.acquire(MODEL, ("gemini_api",)) for _ in range(2000))
        if found.guarded
    )
    asking = asyncio.ensure_future(permits.take(lease))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    def untaken():
        row = Allowance.objects.filter(credential=lent[0]).first()
        return row is not None and row.taken == 0

    await happened(untaken)


async def test_the_first_call_after_a_rest_makes_it_active_again(edge, fake, lent, key):
    await sync_to_async(change)(lent[1], paused_at=timezone.now())
    await sync_to_async(ModelState.objects.create)(
        credential_id=lent[0], model=MODEL, state="exhausted", until=timezone.now(), revision=1
    )
    await sync_to_async(change)(
        lent[0], state="cooling", state_reason="rate_limited", state_until=timezone.now()
    )
    assert (await edge.chat(key.text)).status == 200
    await edge.settled()
    credential = await read(lambda: Credential.objects.get(pk=lent[0]))
    assert (credential.state, credential.state_until) == ("active", None)
    assert (await read(ModelState.objects.get)).state == "active"
    await happened(lambda: not ProbeClaim.objects.exists())


async def test_a_clients_mistake_says_nothing_about_one_that_comes_back(edge, fake, lent, key):
    await sync_to_async(change)(lent[1], paused_at=timezone.now())
    await sync_to_async(change)(
        lent[0], state="cooling", state_reason="rate_limited", state_until=timezone.now()
    )
    fake.script("error", error="bad_request", times=1)
    assert (await edge.chat(key.text)).status == 400
    await edge.settled()
    assert (await read(lambda: Credential.objects.get(pk=lent[0]))).state == "cooling"
    assert (await edge.chat(key.text)).status == 200
    await edge.settled()
    assert (await read(lambda: Credential.objects.get(pk=lent[0]))).state == "active"


async def test_paused_means_no_more_calls(edge, fake, lent, key):
    await sync_to_async(change)(lent[0], paused_at=timezone.now())
    for _ in range(4):
        assert (await edge.chat(key.text)).status == 200
    assert not fake.calls(credential=API_KEYS[0])
    await sync_to_async(change)(lent[0], paused_at=None)
    for _ in range(2):
        await edge.chat(key.text)
    assert fake.calls(credential=API_KEYS[0])


async def test_what_rested_for_a_model_before_it_was_paused_rests_afterwards(edge, lent, key):
    until = timezone.now() + timedelta(hours=1)
    await sync_to_async(ModelState.objects.create)(
        credential_id=lent[0], model=MODEL, state="exhausted", until=until, revision=1
    )
    for paused_at in (timezone.now(), None):
        await sync_to_async(change)(lent[0], paused_at=paused_at)
        await edge.runtime.feed.update()
    assert edge.runtime.pool.usable(MODEL, ("gemini_api",)) == 1


async def test_a_withdrawn_credentials_last_call_ends_its_draining(edge, fake, lent, key):
    await sync_to_async(change)(lent[1], paused_at=timezone.now())
    await edge.runtime.feed.update()
    pool = edge.runtime.pool
    lease = pool.acquire(MODEL, ("gemini_api",))
    await sync_to_async(set_state)(credential_id=lent[0], event=Event.WITHDRAWN)
    await edge.runtime.feed.update()
    row = await read(Draining.objects.get)
    assert (row.credential_id, row.calls) == (lent[0], 1)
    pool.release(lease, None)
    await edge.runtime.feed.update()
    assert not await read(Draining.objects.exists)


class TestSlowLogin:
    @pytest.fixture
    def accounts(self, fake, database):
        for n in (1, 2):
            fake.add_account(
                access_token=f"ya29.{n}",
                refresh_token=f"1//refresh{n}",
                client_id="client",
                client_secret="secret",
                project=f"project-{n}",
                email=f"p{n}@example.com",
            )
            store(
                provider="code_assist",
                secret={
                    "client_id": "client",
                    "client_secret": "secret",
                    "refresh_token": f"1//refresh{n}",
                    "access_token": f"ya29.{n}",
                    "expires_at": 4_000_000_000,
                },
                project=f"project-{n}",
            )

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch):
        monkeypatch.setattr("apiproxy.renewal._PATIENCE_S", 0.05)

    async def test_nobody_waits_for_it_while_another_credential_serves(
        self, edge, fake, accounts, key
    ):
        fake.expire("ya29.1")
        fake.script("slow_refresh", on="token", seconds=1.0)
        answers = [await edge.chat(key.text) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        log = next(log for log in [await edge.log(a) for a in answers] if len(log.attempts) == 2)
        assert log.attempts[0]["reason"] == "refresh_slow"
        assert {row.state for row in await read(lambda: list(Credential.objects.all()))} == {
            "active"
        }

    async def test_a_refresh_leaves_the_caps_as_they_are(self, edge, fake, accounts, key):
        pks = await read(lambda: list(Credential.objects.values_list("pk", flat=True)))
        await read(lambda: [change(pk, calls_a_day=3) for pk in pks])
        await edge.runtime.feed.update()
        edge.runtime.feed._apply_credential = lambda snapshot: None  # no news come in between
        for n in (1, 2):
            fake.expire(f"ya29.{n}")
        for _ in range(2):
            assert (await edge.chat(key.text)).status == 200
        assert fake.refreshes()
        lease = edge.runtime.pool.acquire(MODEL, ("code_assist",))
        assert lease.limits == (("", 3),)
        edge.runtime.pool.release(lease, None)

    async def test_who_has_no_other_waits(self, edge, fake, accounts, key):
        for n in (1, 2):
            fake.expire(f"ya29.{n}")
        fake.script("slow_refresh", on="token", seconds=0.4)
        assert (await edge.chat(key.text)).status == 200
        assert 1 <= len(fake.refreshes()) <= 2
