from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, transaction
from django.utils import timezone

from accounts import selectors
from accounts.services import delete_key, issue_key, revoke_key
from apiproxy import runtime
from apiproxy.admission import UNLIMITED, Outcome, Principal, charge_of, estimate_of, tokens_of
from apiproxy.request import Request
from apiproxy.trace import Trace
from apiproxy.wire.types import Action, Usage
from gateway.lib.errors import AuthenticationFailed, PermissionDenied, TooManyWrongKeys, Unavailable
from quotas.pricing import Price
from tests.apiproxy.providers.helpers import make_call

PRICE = Price(
    "m", per_call_micros=10, input_micros_per_million=1_000_000, output_micros_per_million=2_000_000
)
USAGE = Usage(input_tokens=3, output_tokens=5)


@pytest.mark.parametrize(
    ("outcome", "micros"),
    [
        (Outcome(delivered=True, usage=USAGE), 10 + 3 + 10),
        (Outcome(delivered=False, usage=USAGE), 0),
        (Outcome(delivered=True, usage=USAGE, broken=True), 3 + 10),
        (Outcome(delivered=False, usage=USAGE, broken=True), 0),
        (Outcome(delivered=True, usage=Usage()), 10),
        (Outcome(delivered=True, usage=USAGE, answers=3), 3 * 10 + 3 + 10),
    ],
)
def test_the_charging_rule(outcome, micros):
    assert charge_of(PRICE, outcome) == micros


TOKENS = Price(
    "m", per_call_micros=5, input_micros_per_million=10**6, output_micros_per_million=10**6
)


@pytest.mark.parametrize(
    ("config", "micros"),
    [
        ({"maxOutputTokens": 100}, 5 + 11 + 100),
        ({"maxOutputTokens": 100, "candidateCount": 4}, 5 + 11 + 4 * 100),
        ({"candidateCount": 2}, 5 + 11 + 2 * 8_192),
        ({"maxOutputTokens": 100, "candidateCount": 10**40}, 5 + 11 + 8 * 100),
        ({"maxOutputTokens": 10**40}, 5 + 11 + 65_536),
        ({"maxOutputTokens": "many", "candidateCount": None}, 5 + 11 + 8_192),
        (None, 5 + 11 + 8_192),
    ],
)
def test_what_is_reserved_covers_every_candidate(config, micros):
    assert estimate_of(TOKENS, make_call({"generationConfig": config}), 40) == micros


def test_embeddings_are_reserved_for_once_however_many_batches_they_take():
    call = make_call({"requests": []}, action=Action.EMBED)
    call.answers = 20
    assert estimate_of(TOKENS, call, 8_000) == 20 * 5 + 2_000 + 20


@pytest.mark.parametrize("name", ["inlineData", "inline_data"])
@pytest.mark.parametrize("counting", [False, True])
def test_what_is_inlined_is_not_counted_as_text(name, counting):
    parts = [{"text": "word"}, {name: {"data": "x" * 50_000}}, {name: {"data": "x" * 400_000}}]
    body = {"contents": [{"parts": parts}, {"parts": "?"}, {}]}
    call = make_call({"generateContentRequest": body} if counting else body)
    assert tokens_of(call, 450_000 + 400) == 100 + 258 + 400
    assert tokens_of(call, 440_000) == 258 + 400


@pytest.mark.parametrize("contents", [None, "?", [None], [{"parts": [{"inlineData": "?"}]}]])
def test_what_cannot_be_read_counts_as_text(contents):
    assert tokens_of(make_call({"contents": contents}), 40_000) == 10_000


def presenting(text, peer="203.0.113.7", **headers):
    sent = {b"authorization": b"Bearer " + text.encode()}
    sent |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request("req_1", "POST", "/", sent, {}, 0.0, 0.0, None, peer=peer)


class TestIdentifying:
    async def test_a_known_key_needs_no_database(self, edge, key, monkeypatch):
        admission = edge.runtime.admission
        await edge.runtime.feed.update()
        principal = await admission.identify(presenting(key.text))
        monkeypatch.setattr("accounts.selectors.principals_by_public_id", None)
        assert await admission.identify(presenting(key.text)) == principal
        assert principal.accounts[0].balance_id == key.balance_id

    async def test_the_cache_does_not_believe_a_changed_secret(self, edge, key):
        admission = edge.runtime.admission
        await admission.identify(presenting(key.text))
        forged = key.text[:-1] + ("A" if key.text[-1] != "A" else "B")
        with pytest.raises(Exception, match="wrong"):
            admission.known(forged)

    async def test_an_unknown_key_is_remembered_for_a_moment(self, edge, database):
        admission = edge.runtime.admission
        unknown = "sk-" + "a" * 48
        assert admission.known(unknown) is None
        with pytest.raises(Exception, match="does not exist"):
            await admission.identify(presenting(unknown))
        with pytest.raises(Exception, match="does not exist"):
            admission.known(unknown)
        admission.forget(["a" * 12])
        assert admission.known(unknown) is None

    async def test_an_expired_key_says_so(self, edge):
        admission = edge.runtime.admission
        tomorrow = timezone.now() + timedelta(days=1)
        _, text = await sync_to_async(issue_key)(quota_micros=1, expires_at=tomorrow)
        await admission.identify(presenting(text))
        admission._clock = lambda: tomorrow.timestamp() + 1
        with pytest.raises(AuthenticationFailed, match="expired"):
            await admission.identify(presenting(text))

    async def test_a_revoked_key_is_refused_from_memory(self, edge, key, monkeypatch):
        admission = edge.runtime.admission
        await sync_to_async(revoke_key)(key=key.row)
        await edge.runtime.feed.update()
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match="revoked"):
                await admission.identify(presenting(key.text))
            monkeypatch.setattr("accounts.selectors.principals_by_public_id", None)

    async def test_a_key_is_bound_to_its_networks_wherever_it_is_shown(self, edge, key):
        admission = edge.runtime.admission
        limits = {"allowed_networks": ["203.0.113.0/24", "2001:db8::/32"]}
        row, text = await sync_to_async(issue_key)(quota_micros=1, limits=limits)
        await edge.runtime.feed.update()
        principal = await admission.identify(presenting(text))
        assert principal.key_id == row.pk
        await admission.identify(presenting(text, peer="::ffff:203.0.113.9"))
        forged = presenting(text, peer="198.51.100.1", x_forwarded_for="203.0.113.7")
        with pytest.raises(PermissionDenied, match=r"198\.51\.100\.1"):
            await admission.identify(forged)
        passed_on = presenting(text, peer="127.0.0.1", x_forwarded_for="203.0.113.7")
        await admission.identify(passed_on)


@pytest.mark.parametrize("why", ["over", "elsewhere", "wrong"])
@pytest.mark.django_db(transaction=True)
async def test_who_is_turned_away_finds_the_request_under_their_key(edge, lent, why):
    """But nobody finds it by a key that only begins like theirs; and a key that was not let in was not used."""
    limits = {"allowed_networks": ["203.0.113.0/24"]} if why == "elsewhere" else {}
    row, text = await sync_to_async(issue_key)(quota_micros=1, limits=limits)
    if why == "over":
        await sync_to_async(revoke_key)(key=row)
    await edge.runtime.feed.update()
    presented = text[:-1] + "~" if why == "wrong" else text
    exchange = edge.exchange("POST", "/v1/chat/completions", key=presented, body=b"{}")
    await exchange.run()
    assert exchange.status == (403 if why == "elsewhere" else 401)
    logged = await edge.log(exchange)
    assert logged.key_id == (None if why == "wrong" else row.pk)
    await sync_to_async(row.refresh_from_db)()
    assert row.last_used_at is None


def unknown_keys(count):
    return [f"sk-{number:012d}{'x' * 36}" for number in range(count)]


@pytest.fixture
def lookups(monkeypatch):
    """What was asked of the database, a list each time."""
    asked = []
    look_up = selectors.principals_by_public_id
    monkeypatch.setattr(
        selectors, "principals_by_public_id", lambda ids: asked.append(ids) or look_up(ids)
    )
    return asked


async def outcomes(admission, texts, **where):
    calls = (admission.identify(presenting(text, **where)) for text in texts)
    found = await asyncio.gather(*calls, return_exceptions=True)
    return Counter(type(outcome) for outcome in found)


class TestWrongKeys:
    @pytest.fixture(autouse=True)
    async def _no_time_goes_by(self, edge):
        edge.runtime.admission._strangers._clock = lambda: 1000.0

    async def test_a_thousand_at_once_are_looked_up_together_and_only_so_many(self, edge, lookups):
        admission = edge.runtime.admission
        found = await outcomes(admission, unknown_keys(1000))
        assert found == {AuthenticationFailed: 60, TooManyWrongKeys: 940}
        assert len(lookups) <= 3
        # Elsewhere nobody suffers.
        other = await outcomes(admission, unknown_keys(1001)[-1:], peer="203.0.113.8")
        assert other == {AuthenticationFailed: 1}

    async def test_the_next_ones_are_told_when_to_come_again(self, edge):
        admission = edge.runtime.admission
        await outcomes(admission, unknown_keys(100))
        with pytest.raises(TooManyWrongKeys) as caught:
            await admission.identify(presenting("sk-" + "z" * 48))
        assert 0 < caught.value.retry_after_s <= 1

    async def test_neighbours_with_keys_that_are_known_go_on(self, edge, key, lookups):
        admission = edge.runtime.admission
        await edge.runtime.feed.update()
        await admission.identify(presenting(key.text))
        await outcomes(admission, unknown_keys(100))
        asked = len(lookups)
        assert (await admission.identify(presenting(key.text))).key_id == key.row.pk
        assert len(lookups) == asked
        # Also when their keys are changed meanwhile.
        admission.forget([key.row.public_id])
        assert (await admission.identify(presenting(key.text))).key_id == key.row.pk

    async def test_neighbours_whose_keys_were_never_shown_here_are_no_strangers(
        self, edge, lookups
    ):
        """Behind one address there are many people."""
        admission = edge.runtime.admission
        await outcomes(admission, unknown_keys(100))
        row, text = await sync_to_async(issue_key)(quota_micros=1)
        await edge.runtime.feed.update()
        assert (await admission.identify(presenting(text))).key_id == row.pk

    async def test_nor_are_they_in_a_process_that_was_started_anew(self, edge, key):
        await runtime.stop()
        admission = (await runtime.start()).admission
        admission._strangers._clock = lambda: 1000.0
        await outcomes(admission, unknown_keys(100))
        assert (await admission.identify(presenting(key.text))).key_id == key.row.pk

    async def test_a_deleted_key_makes_a_stranger_at_the_second_look(self, edge, key, lookups):
        admission = edge.runtime.admission
        await sync_to_async(delete_key)(key=key.row)
        await edge.runtime.feed.update()
        assert await outcomes(admission, [key.text]) == {AuthenticationFailed: 1}
        await outcomes(admission, unknown_keys(100))
        admission._unknown.clear()
        assert await outcomes(admission, [key.text]) == {TooManyWrongKeys: 1}

    async def test_many_right_keys_at_once_from_one_address_all_pass(self, edge, lookups):
        def issue():
            with transaction.atomic():
                return [issue_key(quota_micros=1)[1] for _ in range(150)]

        texts = await sync_to_async(issue)()
        await edge.runtime.feed.update()
        assert await outcomes(edge.runtime.admission, texts) == {Principal: 150}
        assert len(lookups) <= 6

    async def test_the_same_wrong_key_is_looked_up_once(self, edge, lookups):
        for _ in range(100):
            await outcomes(edge.runtime.admission, ["sk-" + "z" * 48])
        assert len(lookups) == 1

    async def test_an_address_of_ipv6_is_as_large_as_its_owners_network(self, edge):
        admission = edge.runtime.admission
        found = Counter()
        for number, text in enumerate(unknown_keys(100)):
            found += await outcomes(admission, [text], peer=f"2001:db8::{number:x}")
        assert found[TooManyWrongKeys] == 40

    async def test_guesses_at_the_password_are_counted_too(self, edge, lookups):
        admission = edge.runtime.admission
        admission._api_password = b"correct horse"
        found = await outcomes(admission, [f"guess-{number}" for number in range(100)])
        assert found == {AuthenticationFailed: 60, TooManyWrongKeys: 40}
        assert await admission.identify(presenting("correct horse")) == UNLIMITED
        assert not lookups

    async def test_without_a_password_there_is_nothing_to_guess(self, edge):
        found = await outcomes(edge.runtime.admission, ["AIza" + "x" * 35] * 100)
        assert found == {AuthenticationFailed: 100}

    async def test_a_database_that_is_away_takes_nobodys_tries(self, edge, monkeypatch):
        admission = edge.runtime.admission

        def away(ids):
            raise OperationalError("away")

        with monkeypatch.context() as patch:
            patch.setattr(selectors, "principals_by_public_id", away)
            assert await outcomes(admission, unknown_keys(100)) == {Unavailable: 100}
        found = await outcomes(admission, unknown_keys(60))
        assert found == {AuthenticationFailed: 60}

    async def test_they_are_refused_before_their_body_is_read_and_fill_no_log(self, edge, lent):
        admission = edge.runtime.admission
        await outcomes(admission, unknown_keys(100), peer="")
        exchange = edge.exchange("POST", "/v1/chat/completions", key="sk-" + "z" * 48, body=b"{")
        await exchange.run()
        assert exchange.status == 429
        assert exchange.json["error"]["code"] == "too_many_wrong_keys"
        assert int(exchange.headers["retry-after"]) >= 1
        assert not exchange._asked
        recorder, written = edge.runtime.recorder, []
        edge.runtime.writer.behind = lambda write, row: written.append(row)
        trace = (Trace("req_x", 0.0, 0.0, "openai-chat", error_code=TooManyWrongKeys.code),)
        for one in trace * 1000:
            recorder.finished(one)
        assert len(written) == 20
