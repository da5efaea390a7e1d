"""Rules of the site on their way: from the database into every process, and what they make of real answers."""

from __future__ import annotations

import time

import pytest
from asgiref.sync import sync_to_async

from apiproxy.models import UpstreamError, VerdictRule
from credentials.models import Credential, ModelState, StateChange
from credentials.services import store
from tests.apiproxy.conftest import API_KEYS
from tests.apiproxy.test_repairs import TOOL


@sync_to_async
def add(**fields):
    return VerdictRule.objects.create(**fields).pk


async def standing(edge):
    await edge.settled()

    @sync_to_async
    def read():
        return {
            row.label: (row.state, row.state_reason, row.state_until.timestamp() - time.time())
            if row.state_until
            else (row.state, row.state_reason)
            for row in Credential.objects.all()
        }

    return await read()


async def test_a_rule_reaches_the_process_and_says_so_in_the_history(edge, fake, lent, key):
    number = await add(action="disable", status=429, text="*quota*", note="never again")
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    assert (await edge.chat(key.text)).status == 200
    assert (await edge.chat(key.text)).status == 200
    found = await standing(edge)
    assert found["AIzaAA"] == ("needs_attention", f"rule {number}: rate_limited")
    assert found["AIzaBB"] == ("active", "")
    change = await StateChange.objects.aget()
    assert change.reason == f"rule {number}: rate_limited"
    row = await UpstreamError.objects.aget()
    assert (row.judged, row.fault, row.reason) == ("cool_down", "disable", "rate_limited")


async def test_a_rule_that_is_switched_off_or_deleted_is_forgotten(edge, fake, lent, key):
    number = await add(action="disable", status=429, text="*")
    await sync_to_async(lambda: VerdictRule.objects.get(pk=number).delete())()
    await add(action="disable", status=429, text="*", enabled=False)
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    for _ in range(2):
        await edge.chat(key.text)
    assert {state[0] for state in (await standing(edge)).values()} == {"active"}


async def test_a_rest_of_the_sites_own_length_for_every_model(edge, fake, lent, key):
    await add(action="rest", status=429, text="quota", rest_s=14_400, whole=True)
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    for _ in range(2):
        await edge.chat(key.text)
    state, reason, rest_s = (await standing(edge))["AIzaAA"]
    assert (state, reason.partition(": ")[2]) == ("cooling", "rate_limited")
    assert 14_300 < rest_s <= 14_401
    assert not await ModelState.objects.aexists()


async def test_next_remembers_nothing(edge, fake, lent, key):
    await add(action="next", status=429)
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    for _ in range(4):
        answer = await edge.chat(key.text)
        assert answer.status == 200
    assert {state[0] for state in (await standing(edge)).values()} == {"active"}
    assert not await ModelState.objects.aexists()
    log = await edge.log(answer)
    assert {attempt["reason"] for attempt in log.attempts} >= {""}


async def test_return_hands_the_error_over_at_once(edge, fake, lent, key):
    await add(action="return", status=429)
    fake.script("error", error="quota_minute")
    answer = await edge.chat(key.text)
    assert answer.status == 429
    assert len((await edge.log(answer)).attempts) == 1


async def test_what_is_handed_over_is_not_mended_first(edge, fake, lent, key):
    await add(action="return", status=400)
    fake.takes_json_schema = False
    answer = await edge.chat(key.text, tools=[TOOL])
    assert (answer.status, len(fake.calls())) == (400, 1)


async def test_no_rule_costs_a_credential_for_a_clients_mistake(edge, fake, lent, key):
    for action in ("disable", "rest"):
        await add(action=action, status=400)
        await add(action=action)
    fake.script("error", error="bad_request", times=1)
    assert (await edge.chat(key.text)).status == 400
    assert {state[0] for state in (await standing(edge)).values()} == {"active"}


class TestLogin:
    @pytest.fixture
    def account(self, fake, database):
        fake.add_account(
            access_token="ya29.old",
            refresh_token="1//refresh",
            client_id="client",
            client_secret="secret",
            project="a-project",
            email="bob@example.com",
        )
        return store(
            provider="code_assist",
            secret={
                "client_id": "client",
                "client_secret": "secret",
                "refresh_token": "1//refresh",
                "access_token": "ya29.old",
                "expires_at": 4_000_000_000,
            },
            project="a-project",
            label="login",
        )

    async def test_a_refused_token_is_renewed_before_a_rule_is_asked(
        self, edge, fake, account, key
    ):
        await add(action="rest", status=401, provider="code_assist", rest_s=1800, whole=True)
        fake.script("error", error="ca_bad_token", times=1)
        assert (await edge.chat(key.text)).status == 200
        assert (await standing(edge))["login"] == ("active", "")

    async def test_a_fresh_token_that_is_refused_too_rests_as_the_rule_says(
        self, edge, fake, account, key
    ):
        number = await add(
            action="rest", status=401, provider="code_assist", rest_s=1800, whole=True
        )
        fake.script("error", error="ca_bad_token")
        await edge.chat(key.text)
        state, reason, rest_s = (await standing(edge))["login"]
        assert (state, reason) == ("cooling", f"rule {number}: token_refused")
        assert 1700 < rest_s <= 1801
