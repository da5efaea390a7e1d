from __future__ import annotations

import pytest

from apiproxy.admission import Outcome, charge_of, estimate_of
from apiproxy.wire.types import Action, Usage
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


class TestIdentifying:
    async def test_a_known_key_needs_no_database(self, edge, key, monkeypatch):
        admission = edge.runtime.admission
        await edge.runtime.feed.update()
        principal = await admission.identify(key.text)
        monkeypatch.setattr("accounts.selectors.principals_by_public_id", None)
        assert await admission.identify(key.text) == principal
        assert principal.balance_id == key.balance_id

    async def test_the_cache_does_not_believe_a_changed_secret(self, edge, key):
        admission = edge.runtime.admission
        await admission.identify(key.text)
        forged = key.text[:-1] + ("A" if key.text[-1] != "A" else "B")
        with pytest.raises(Exception, match="wrong"):
            admission.known(forged)

    async def test_an_unknown_key_is_remembered_for_a_moment(self, edge, database):
        admission = edge.runtime.admission
        unknown = "sk-" + "a" * 48
        assert admission.known(unknown) is None
        with pytest.raises(Exception, match="does not exist"):
            await admission.identify(unknown)
        with pytest.raises(Exception, match="does not exist"):
            admission.known(unknown)
        admission.forget(["a" * 12])
        assert admission.known(unknown) is None

    async def test_an_expired_key_says_so(self, edge, key):
        admission = edge.runtime.admission
        await admission.identify(key.text)
        record = admission._records[key.row.public_id]
        admission._clock = lambda: record.expires_at + 4e9
        assert admission.known(key.text) is not None
