"""Idempotency-Key: one call, one answer, one charge; whatever is repeated, killed or lost in between."""

from __future__ import annotations

import asyncio
import threading
import uuid
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from cryptography.fernet import Fernet
from django.db import OperationalError
from django.utils import timezone

from accounts.services import issue_key
from apiproxy import idempotency
from apiproxy.idempotency import Claim, Idempotency, Kept, delete_expired, ending
from apiproxy.models import IdempotentCall
from apiproxy.request import Request
from apiproxy.tasks import delete_expired_idempotent_calls
from apiproxy.writer import Writer
from gateway.lib.errors import CallRunning, LedgerUnavailable
from quotas import ledger, services
from quotas.ledger import Close
from quotas.models import Balance, Entry, Hold, Holder, Price
from quotas.terms import Account

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]

rows = sync_to_async(lambda: list(IdempotentCall.objects.order_by("pk")))


@pytest.fixture
def ask(edge, lent, key):
    async def ask(idempotency_key="one", *, of=None, path=CHAT, body=None, headers=None, **fields):
        body = body or {"model": "gemini-2.5-flash", "messages": HELLO, **fields}
        sent = {"idempotency-key": idempotency_key, **(headers or {})}
        return await edge.post(path, body, key=of or key.text, headers=sent)

    return ask


@pytest.fixture
def used(key):
    @sync_to_async
    def used():
        return Balance.objects.get(pk=key.balance_id).used_micros // 1_000_000

    return used


class TestRepeats:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_same_answer_comes_again_and_is_charged_once(
        self, ask, edge, fake, used, stream
    ):
        first = await ask(stream=stream)
        again = await ask(stream=stream)
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["x-original-request-id"] == first.headers["x-request-id"]
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert "idempotent-replayed" not in first.headers
        assert len(fake.calls()) == 1
        assert await used() == 2
        row = await edge.log(again)
        assert (row.status, row.cost_micros, row.answers, row.attempts) == (200, 0, 0, [])
        assert first.headers["x-request-id"] in row.dropped[0]
        assert await edge.receipt(again) is None
        assert await edge.proves()

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v1/messages", {"model": "gemini-2.5-flash", "max_tokens": 9, "messages": HELLO}),
            ("/v1/responses", {"model": "gemini-2.5-flash", "input": "hello"}),
            ("/v1/embeddings", {"model": "gemini-embedding-001", "input": "hello"}),
            ("/v1/generate", {"model": "gemini-2.5-flash", "prompt": "hello"}),
            (
                "/v1beta/models/gemini-2.5-flash:generateContent",
                {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
            ),
            (
                "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
                {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
            ),
        ],
    )
    async def test_on_every_route_that_is_charged(self, ask, fake, path, body):
        first = await ask(path=path, body=body)
        assert first.status == 200, first.body
        again = await ask(path=path, body=body)
        assert again.body == first.body
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["idempotent-replayed"] == "true"
        asked = [*fake.calls("embed"), *fake.calls()]
        assert len(asked) == 1

    async def test_the_answer_rests_sealed(self, ask, fake):
        fake.script("text", text="a rare sentence")
        assert "a rare sentence" in (await ask()).body.decode()
        [row] = await rows()
        assert b"rare" not in bytes(row.sealed)
        assert row.expires_at - row.created_at == timedelta(hours=24)

    async def test_another_body_is_refused(self, ask, fake, used):
        first = await ask()
        other = await ask(temperature=0.5)
        assert other.status == 422
        assert other.json["error"]["code"] == "idempotency_key_reused"
        assert first.headers["x-request-id"] in other.json["error"]["message"]
        assert len(fake.calls()) == 1
        assert await used() == 2

    async def test_the_same_body_on_another_route_is_another_request(self, ask):
        await ask()
        body = {"model": "gemini-2.5-flash", "messages": HELLO, "max_tokens": 5}
        assert (await ask(path="/v1/messages", body=body)).status == 422

    async def test_another_caller_may_use_the_same_key(self, ask, edge, fake, settings, database):
        bob = (await sync_to_async(issue_key)(quota_micros=9_000_000, description="Bob"))[1]
        first = await ask()
        other = await ask(of=bob)
        assert "idempotent-replayed" not in other.headers
        assert first.headers["x-request-id"] != other.headers["x-request-id"]
        assert len(fake.calls()) == 2

    async def test_a_forms_boundary_may_change(self, ask, fake):
        def form(boundary):
            lines = [
                f"--{boundary}",
                'content-disposition: form-data; name="prompt"',
                "",
                "a hat",
                f"--{boundary}",
                'content-disposition: form-data; name="model"',
                "",
                "gemini-2.5-flash-image",
                f"--{boundary}",
                'content-disposition: form-data; name="image"; filename="a.png"',
                "content-type: image/png",
                "",
                "\x89PNG\r\n\x1a\n0000",
                f"--{boundary}--",
                "",
            ]
            return {
                "path": "/v1/images/edits",
                "body": "\r\n".join(lines).encode("latin-1"),
                "headers": {"content-type": f"multipart/form-data; boundary={boundary}"},
            }

        fake.script("image")
        first = await ask(**form("aaaa1111"))
        assert first.status == 200, first.body
        again = await ask(**form("bbbb2222"))
        assert again.body == first.body

    @pytest.mark.parametrize("wrong", ["", " ", "x" * 256, "é", "a\tb"])
    async def test_a_key_that_is_none_is_refused(self, edge, lent, key, wrong):
        body = {"model": "gemini-2.5-flash", "messages": HELLO}
        answer = edge.exchange("POST", CHAT, key=key.text, body=body)
        answer.scope["headers"].append((b"idempotency-key", wrong.encode()))
        await answer.run()
        assert answer.status == 400
        assert answer.json["error"]["param"] == "Idempotency-Key"
        assert await rows() == []

    async def test_counting_tokens_needs_no_key(self, ask):
        body = {"model": "gemini-2.5-flash", "messages": HELLO}
        for _ in range(2):
            assert (await ask(path="/v1/messages/count_tokens", body=body)).status == 200
        assert await rows() == []

    async def test_a_call_without_a_key_asks_nothing(self, edge, lent, key, monkeypatch):
        monkeypatch.setattr(edge.runtime.idempotency, "begin", None)
        assert (await edge.chat(key.text)).status == 200

    async def test_who_has_no_limit_is_answered_once_too(self, ask, edge, fake, settings):
        edge.runtime.admission._api_password = b"a-password-for-all"
        first = await ask(of="a-password-for-all")
        again = await ask(of="a-password-for-all")
        assert (first.status, again.body) == (200, first.body)
        assert len(fake.calls()) == 1

    async def test_after_a_day_the_key_is_new(self, ask, fake, used):
        await ask()
        await sync_to_async(IdempotentCall.objects.update)(expires_at=timezone.now())
        assert "idempotent-replayed" not in (await ask(temperature=0.1)).headers
        assert len(fake.calls()) == 2
        assert await used() == 4


class TestWhatIsNotKept:
    async def test_a_call_that_failed_frees_its_key(self, ask, fake, used):
        fake.script("error", error="bad_request", times=1)
        assert (await ask()).status == 400
        assert await rows() == []
        assert (await ask()).status == 200
        assert await used() == 2

    async def test_a_call_that_could_not_be_paid_frees_its_key(self, ask, key):
        key_balance = Balance.objects.filter(pk=key.balance_id)
        await sync_to_async(key_balance.update)(total_micros=0, remaining_micros=0)
        assert (await ask()).status == 429
        assert await rows() == []

    @pytest.mark.parametrize("stream", [False, True])
    async def test_an_empty_answer_frees_its_key(self, ask, fake, stream):
        fake.script("text", text="", usage="never")
        await ask(stream=stream)
        assert await rows() == []

    async def test_a_stream_that_broke_and_was_charged_is_not_made_again(self, ask, fake, used):
        await sync_to_async(Price.objects.create)(
            pattern="gemini-2.5-flash", output_micros_per_million=10**9
        )
        fake.script("text", chunks=["one ", "two ", "three "], reset_at="middle", usage="all")
        first = await ask(stream=True)
        assert b"error" in first.body
        [row] = await rows()
        assert (row.state, row.sealed) == ("answered", None)
        again = await ask(stream=True)
        assert again.status == 409
        assert first.headers["x-request-id"] in again.json["error"]["message"]
        assert again.headers["x-should-retry"] == "false"
        assert again.json["error"]["code"] == "idempotency_answer_not_kept"
        assert len(fake.calls()) == 1

    async def test_a_stream_that_broke_and_cost_nothing_frees_its_key(self, ask, fake, used):
        # The price is one per call, which a broken one does not pay.
        fake.script("text", chunks=["one ", "two ", "three "], reset_at="middle", times=1)
        assert b"error" in (await ask(stream=True)).body
        assert await rows() == []
        assert (await ask(stream=True)).body.endswith(b"[DONE]\n\n")
        assert await used() == 2

    async def test_a_client_that_left_half_way_has_had_its_call(self, edge, ask, fake, key, used):
        fake.script("slow", text="word " * 40, count=40, interval_s=0.05)
        body = {"model": "gemini-2.5-flash", "messages": HELLO, "stream": True}
        exchange = edge.exchange(
            "POST", CHAT, key=key.text, body=body, headers={"idempotency-key": "one"}
        )
        running = asyncio.create_task(exchange.run())  # noqa: TID251
        while not exchange.pieces:
            exchange.news.clear()
            await exchange.news.wait()
        exchange.leave()
        await running
        await edge.settled()
        assert await used() == 2
        again = await ask(stream=True)
        assert again.status == 409
        assert exchange.headers["x-request-id"] in again.json["error"]["message"]
        assert await used() == 2

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_long_answer_is_charged_once_and_not_kept(self, ask, edge, fake, used, stream):
        edge.runtime.idempotency._keep_bytes = 50
        first = await ask(stream=stream)
        assert first.status == 200
        again = await ask(stream=stream)
        assert again.status == 409
        assert first.headers["x-request-id"] in again.json["error"]["message"]
        assert (len(fake.calls()), await used()) == (1, 2)

    async def test_an_answer_sealed_with_a_lost_key_is_not_kept(self, ask, settings):
        await ask()
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        assert (await ask()).status == 409


class TestAtTheSameTime:
    async def test_of_twenty_repeats_one_is_made(self, ask, fake, used):
        fake.script("silence", silence_s=0.3, silence_at="headers")
        answers = await asyncio.gather(*[ask() for _ in range(20)])
        good = [answer for answer in answers if answer.status == 200]
        waiting = [answer for answer in answers if answer.status == 409]
        assert (len(good), len(waiting)) == (1, 19)
        for answer in waiting:
            assert answer.headers["retry-after"] == "2"
            assert "x-should-retry" not in answer.headers
            assert answer.json["error"]["code"] == "idempotency_key_in_use"
        assert len(fake.calls()) == 1
        assert await used() == 2
        assert (await ask()).body == good[0].body

    async def test_a_client_that_leaves_while_the_key_is_claimed_frees_it(
        self, edge, lent, key, monkeypatch
    ):
        """The claim may stand by the time nobody wants it any more."""
        live = edge.runtime.idempotency
        insert, late = live._insert, asyncio.Event()
        loop = asyncio.get_running_loop()
        gate = threading.Event()

        def slow_insert(claims):
            loop.call_soon_threadsafe(late.set)
            gate.wait(5)
            return insert(claims)

        monkeypatch.setattr(live, "_insert", slow_insert)
        body = {"model": "gemini-2.5-flash", "messages": HELLO}
        exchange = edge.exchange(
            "POST", CHAT, key=key.text, body=body, headers={"idempotency-key": "one"}
        )
        running = asyncio.create_task(exchange.run())  # noqa: TID251
        await late.wait()
        await asyncio.sleep(0.3)  # the edge listens for clients that leave after a quarter second
        exchange.leave()
        await running
        gate.set()
        await edge.settled()
        assert await rows() == []


LEASE_S = 30.0
BODY = b'{"model": "m"}'


def request_of(key="one", body=BODY):
    return Request(
        id=f"req_{uuid.uuid4().hex}",
        method="POST",
        path=CHAT,
        headers={b"idempotency-key": key.encode()},
        query={},
        received_at=0.0,
        started=0.0,
        read_body=lambda: None,
    )


class Process:
    """One process of several on the same database, which can be stopped dead between any two steps."""

    def __init__(self, name):
        self.name = name
        self.writer = Writer(name)
        self.idempotency = Idempotency(
            writer=self.writer, holder_id=name, lease_s=LEASE_S, keep_bytes=1000
        )

    async def start(self):
        self.writer.start()
        await sync_to_async(services.beat)(holder_id=self.name)
        return self

    async def claim(self, key="one", body=BODY):
        return await self.idempotency.begin(request_of(key), 7, body)

    async def reserve(self, claim, balance):
        item = ledger.Reserve(claim.request_id, (Account(balance.pk),), 5)
        assert (await self.writer.reserve(item)).accepted

    async def answer(self, claim, body=b"the answer", charge=5):
        kept = Kept("text/plain", idempotency._sealed(body))
        also = ending(claim, kept, True)
        return await self.writer.close(Close(claim.request_id, charge, "answered", also))

    async def die(self):
        """As kill -9 does: what was not committed is gone, and the lease runs out."""
        await self.writer.stop()
        late = timezone.now() - timedelta(seconds=LEASE_S + 1)
        await sync_to_async(Holder.objects.filter(pk=self.name).update)(beat_at=late)


@pytest.fixture
async def processes(transactional_db):
    made = []

    async def make(name):
        made.append(await Process(name).start())
        return made[-1]

    yield make
    for process in made:
        await process.writer.stop()


@pytest.fixture
def balance(transactional_db):
    return services.open_balance(total_micros=100)


@sync_to_async
def charges():
    return list(Entry.objects.filter(kind="settle").values_list("request_id", "amount_micros"))


sweep = sync_to_async(services.sweep)


class TestKilledProcesses:
    async def test_while_it_lives_nobody_else_gets_the_key(self, processes):
        one, other = await processes("one"), await processes("other")
        await one.claim()
        with pytest.raises(CallRunning):
            await other.claim()

    @pytest.mark.parametrize("reserved", [False, True])
    async def test_killed_before_it_was_charged_the_repeat_is_made(
        self, processes, balance, reserved
    ):
        one, other = await processes("one"), await processes("other")
        dead = await one.claim()
        if reserved:
            await one.reserve(dead, balance)
        await one.die()
        claim = await other.claim()
        assert claim.request_id != dead.request_id
        await other.reserve(claim, balance)
        assert (await other.answer(claim)).accepted
        await sweep(lease_s=LEASE_S)
        assert await charges() == [(claim.request_id, 5)]
        assert (await other.claim()).body == b"the answer"

    async def test_killed_after_it_was_charged_the_answer_is_there(self, processes, balance):
        one, other = await processes("one"), await processes("other")
        claim = await one.claim()
        await one.reserve(claim, balance)
        await one.answer(claim)
        await one.die()
        replay = await other.claim()
        assert (replay.request_id, replay.body) == (claim.request_id, b"the answer")
        assert await charges() == [(claim.request_id, 5)]

    @pytest.mark.parametrize("swept", [False, True])
    async def test_one_that_was_only_slow_charges_nothing_any_more(self, processes, balance, swept):
        slow, other = await processes("slow"), await processes("other")
        late = await slow.claim()
        await slow.reserve(late, balance)
        gone = timezone.now() - timedelta(seconds=LEASE_S + 1)
        await sync_to_async(Holder.objects.filter(pk="slow").update)(beat_at=gone)
        if swept:
            await sweep(lease_s=LEASE_S)
        claim = await other.claim()
        await other.reserve(claim, balance)
        await slow.answer(late, b"the late answer")
        await other.answer(claim)
        assert await charges() == [(claim.request_id, 5)]
        assert (await slow.claim()).body == b"the answer"
        assert await sync_to_async(Hold.objects.count)() == 0

    async def test_a_process_that_left_in_order_is_dead_at_once(self, processes):
        one, other = await processes("one"), await processes("other")
        await one.claim()
        await sync_to_async(services.leave)(holder_id="one")
        assert (await other.claim()).request_id

    async def test_what_a_dead_process_was_asked_does_not_matter(self, processes):
        one, other = await processes("one"), await processes("other")
        await one.claim()
        await one.die()
        assert (await other.claim(body=b"something else")).request_id


class TestFailures:
    async def test_without_the_charge_there_is_no_answer(self, processes, balance, monkeypatch):
        """Whatever fails in the booking undoes the row with it, and all of it is tried again."""
        one = await processes("one")
        claim = await one.claim()
        await one.reserve(claim, balance)
        book, failures = ledger._Batch._insert_entries, [OperationalError("gone")]

        def failing(batch, charges):
            if failures:
                raise failures.pop()
            book(batch, charges)

        monkeypatch.setattr(ledger._Batch, "_insert_entries", failing)
        booked = await one.answer(claim)
        assert not booked.accepted, "the client does not wait for a database that is away"
        await one.writer.stop()
        assert await charges() == [(claim.request_id, 5)]
        [row] = await rows()
        assert row.state == "answered"

    async def test_a_commit_whose_confirmation_was_lost_changes_nothing_twice(
        self, processes, balance
    ):
        one = await processes("one")
        claim = await one.claim()
        await one.reserve(claim, balance)
        await one.answer(claim)
        await one.answer(claim)
        assert await charges() == [(claim.request_id, 5)]
        assert (await one.claim()).body == b"the answer"

    async def test_a_database_that_is_away_is_said(self, processes, monkeypatch):
        one = await processes("one")

        def away(claims):
            raise OperationalError("gone")

        monkeypatch.setattr(one.idempotency, "_insert", away)
        with pytest.raises(LedgerUnavailable):
            await one.claim()

    @pytest.mark.parametrize("left", [False, True])
    async def test_a_claim_whose_confirmation_was_lost_does_not_stand_in_the_way_of_repeats(
        self, processes, monkeypatch, left
    ):
        one = await processes("one")
        insert, asked = one.idempotency._insert, threading.Event()

        def lost(claims):
            insert(claims)
            asked.wait(5)
            raise OperationalError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(one.idempotency, "_insert", lost)
            claiming = asyncio.ensure_future(one.claim())
            await asyncio.sleep(0.05)
            if left:
                claiming.cancel()
            asked.set()
            with pytest.raises(asyncio.CancelledError if left else LedgerUnavailable):
                await claiming
            # Whatever follows from it is written before this.
            await asyncio.sleep(0.05)
        assert isinstance(await one.claim(), Claim)


async def test_rows_past_their_time_are_deleted(processes):
    one = await processes("one")
    for number in range(3):
        await one.claim(f"key {number}")
    some = await rows()
    past = IdempotentCall.objects.filter(pk__in=[row.pk for row in some[:2]])
    await sync_to_async(past.update)(expires_at=timezone.now())
    assert await sync_to_async(delete_expired)() == 2
    assert [row.pk for row in await rows()] == [some[2].pk]
    assert await sync_to_async(delete_expired_idempotent_calls)() == 0
