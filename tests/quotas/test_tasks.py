from __future__ import annotations

import io
import json
import logging

import pytest
from django.core.management import CommandError, call_command

from quotas import ledger, services, tasks
from quotas.ledger import Reserve
from quotas.models import Balance

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def abandoned():
    balance = services.open_balance(total_micros=100)
    ledger.book([Reserve("r1", balance.pk, 40)], [], holder_id="dead")
    return balance


def run(command):
    out = io.StringIO()
    call_command(command, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_sweep_is_a_task_and_a_command(abandoned, caplog):
    assert tasks.sweep() == 1
    assert "refunded 1" in caplog.text
    assert run("sweep_holds") == {"refunded": 0}
    abandoned.refresh_from_db()
    assert abandoned.remaining_micros == 100


def test_the_proof_is_a_task_and_a_command(abandoned, caplog):
    caplog.set_level(logging.INFO)
    assert tasks.prove() == 0
    assert "1 balances, 0 discrepancies" in caplog.text
    assert run("prove_ledger") == {"ok": True, "balances": 1, "discrepancies": []}


def test_a_proof_that_fails_says_where_and_ends_badly(abandoned):
    Balance.objects.update(used_micros=1, remaining_micros=59)
    assert tasks.prove() == 2
    out = io.StringIO()
    with pytest.raises(CommandError, match="does not add up"):
        call_command("prove_ledger", stdout=out)
    assert "used is 1 micros, the ledger says 0" in out.getvalue()
