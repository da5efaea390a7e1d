from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from apiproxy.admission import Hold, Principal, charge_of
from apiproxy.settlement import Settlement
from apiproxy.trace import Trace
from apiproxy.wire.types import Action, Usage
from gateway.lib.errors import UpstreamOverloaded
from quotas.ledger import Booked
from quotas.pricing import Price

PRICE = Price("m", per_call_micros=10, output_micros_per_million=1_000_000)
END = {
    "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"candidatesTokenCount": 3},
}


class Ledger:
    """The admission and the recorder of a runtime, as lists of what they were told."""

    def __init__(self):
        self.admission = self.recorder = self
        self.settled = []
        self.logged = []
        self.slow = False
        self.most = 1000

    async def reserve(self, principal, call, body_bytes):
        return Hold("req_1", 50, 950, PRICE)

    def settle(self, hold, outcome):
        charge = charge_of(hold.price, outcome)
        self.settled.append((charge, outcome.reason))
        booked = asyncio.get_running_loop().create_future()
        if not self.slow:
            charge = min(charge, self.most)
            booked.set_result(Booked(True, charge, 1000 - charge))
        return booked

    def finished(self, trace):
        self.logged.append(trace)


@pytest.fixture
def ledger():
    return Ledger()


async def reserved(ledger, action=Action.GENERATE, body=None):
    settlement = Settlement(ledger, Trace("req_1", 0.0, 0.0, "openai-chat"))
    call = SimpleNamespace(action=action, body=body or {})
    await settlement.reserve(Principal(key_id=1), call, 100)
    return settlement


async def test_an_answer_is_charged_once(ledger):
    settlement = await reserved(ledger)
    assert settlement.headers() == [(b"x-credits-remaining", b"0.00095")]
    settlement.see([END])
    settlement.delivered = True
    await settlement.answered()
    settlement.give_up(asyncio.CancelledError())
    await settlement.fail(UpstreamOverloaded("busy"))
    assert ledger.settled == [(13, "answered")]
    [trace] = ledger.logged
    assert (trace.cost_micros, trace.usage) == (13, Usage(output_tokens=3))
    assert settlement.headers() == [(b"x-credits-remaining", b"0.000987")]


async def test_several_answers_cost_a_call_each(ledger):
    settlement = await reserved(ledger)
    settlement.delivered, settlement.answers = True, 4
    await settlement.answered()
    assert ledger.settled == [(40, "answered")]


async def test_nothing_delivered_costs_nothing(ledger):
    settlement = await reserved(ledger)
    settlement.see([END])
    await settlement.answered()
    assert ledger.settled == [(0, "the answer was empty")]


async def test_a_stream_without_an_end_costs_its_tokens(ledger):
    settlement = await reserved(ledger)
    settlement.see([{"usageMetadata": END["usageMetadata"]}])
    settlement.delivered = True
    await settlement.streamed()
    assert ledger.settled[0][0] == 3
    assert ledger.logged[0].error


async def test_an_error_costs_the_tokens_before_it_and_is_logged(ledger):
    settlement = await reserved(ledger)
    settlement.see([END])
    settlement.delivered = True
    await settlement.fail(UpstreamOverloaded("busy"))
    assert ledger.settled == [(3, f"failed: {UpstreamOverloaded.code}")]
    assert ledger.logged[0].status == 503


@pytest.mark.parametrize(("started", "charge"), [(True, 10), (False, 0)])
async def test_a_client_that_leaves_has_had_its_call_from_the_first_byte_on(
    ledger, started, charge
):
    settlement = await reserved(ledger)
    settlement.started = started
    settlement.give_up(asyncio.CancelledError())
    assert ledger.settled == [(charge, "the client left")]
    assert ledger.logged[0].error_code == "client_gone"


async def test_a_client_that_leaves_while_a_failure_is_booked_is_logged(ledger):
    settlement = await reserved(ledger)
    ledger.slow = True
    failing = asyncio.ensure_future(settlement.fail(UpstreamOverloaded("busy")))
    await asyncio.sleep(0)
    failing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await failing
    assert [trace.status for trace in ledger.logged] == [503]
    assert ledger.settled == [(0, f"failed: {UpstreamOverloaded.code}")]


async def test_what_a_client_that_left_is_shown_is_what_was_left_to_charge(ledger):
    """More than was reserved: the ledger takes what there is."""
    settlement = await reserved(ledger)
    ledger.most = 60
    settlement.see([{**END, "usageMetadata": {"candidatesTokenCount": 100}}])
    settlement.started = True
    settlement.give_up(asyncio.CancelledError())
    await asyncio.sleep(0)
    assert ledger.settled == [(110, "the client left")]
    assert [trace.cost_micros for trace in ledger.logged] == [60]


async def test_a_bug_of_ours_costs_nothing_of_the_call(ledger, caplog):
    settlement = await reserved(ledger)
    settlement.started = settlement.delivered = True
    settlement.give_up(KeyError("x"))
    assert ledger.settled == [(0, "failed: internal_error")]
    assert "req_1" in caplog.text


async def test_counting_tokens_reserves_nothing(ledger):
    settlement = await reserved(ledger, Action.COUNT_TOKENS)
    assert settlement.headers() == []
    settlement.delivered = True
    await settlement.answered()
    assert ledger.settled == []
    assert len(ledger.logged) == 1


async def test_embeddings_are_counted_by_what_went_in(ledger):
    body = {"content": {"parts": [{"text": "word " * 20}]}}
    settlement = await reserved(ledger, Action.EMBED, body)
    assert settlement.usage() == Usage()
    settlement.delivered = True
    assert settlement.usage().input_tokens > 0


@pytest.mark.parametrize(("delivered", "answers"), [(True, 1), (False, 0)])
async def test_the_log_tells_how_many_answers_were_delivered(ledger, delivered, answers):
    """What past calls would cost at other prices is reckoned from it."""
    settlement = await reserved(ledger)
    settlement.delivered = delivered
    settlement.see([END])
    await settlement.answered()
    assert ledger.logged[0].answers == answers
