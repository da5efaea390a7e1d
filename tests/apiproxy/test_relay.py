"""Pick, send, judge, try the next: against the strict fake."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async

from apiproxy.rules import Rulebook
from credentials.models import Credential, ModelState
from credentials.services import store
from tests.apiproxy.conftest import API_KEYS

MODEL = "gemini-2.5-flash"


async def states(edge):
    await edge.settled()

    def read():
        whole = {c.label: c.state for c in Credential.objects.all()}
        models = {
            (s.credential.label, s.model): s.state
            for s in ModelState.objects.select_related("credential")
        }
        return whole, models

    return await sync_to_async(read)()


async def test_the_firsts_429_is_never_seen(edge, fake, lent, key):
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    for _ in range(4):
        assert (await edge.chat(key.text)).status == 200
    assert len(fake.calls(credential=API_KEYS[0])) == 1
    whole, models = await states(edge)
    assert set(whole.values()) == {"active"}
    assert models == {("AIzaAA", MODEL): "cooling"}


async def test_every_attempt_is_in_the_log(edge, fake, lent, key):
    fake.script("error", error="quota_day", credential=API_KEYS[0])
    answers = [await edge.chat(key.text) for _ in range(2)]
    logs = [await edge.log(answer) for answer in answers]
    tried = next(log.attempts for log in logs if len(log.attempts) == 2)
    assert [(a["status"], a["outcome"], a["reason"]) for a in tried] == [
        (429, "quota", "daily_quota"),
        (200, "ok", ""),
    ]


async def test_when_every_credential_is_out_the_client_learns_when_to_come_back(
    edge, fake, lent, key
):
    fake.script("error", error="quota_minute", retry_s=30)
    answer = await edge.chat(key.text)
    assert answer.status == 429
    assert answer.json["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(answer.headers["retry-after"]) <= 31
    again = await edge.chat(key.text)
    assert again.status == 503
    assert 1 <= int(again.headers["retry-after"]) <= 31
    assert (await edge.receipt(answer)).state == "refunded"


async def test_an_empty_pool_is_503(edge, key):
    answer = await edge.chat(key.text)
    assert answer.status == 503
    assert answer.json["error"]["code"] == "no_credential_available"


@pytest.mark.parametrize("row", ["server", "overload", "deadline"])
async def test_a_failing_upstream_is_asked_again_and_blames_nobody(edge, fake, lent, key, row):
    fake.script("error", error=row, times=2)
    assert (await edge.chat(key.text)).status == 200
    assert await states(edge) == ({"AIzaAA": "active", "AIzaBB": "active"}, {})


async def test_it_is_not_asked_forever(edge, fake, lent, key):
    fake.script("error", error="server")
    answer = await edge.chat(key.text)
    assert answer.status == 502
    assert len(fake.calls()) == 3


async def test_a_clients_mistake_is_told_once_and_costs_nobody(edge, fake, lent, key):
    fake.script("error", error="bad_request")
    answer = await edge.chat(key.text)
    assert answer.status == 400
    assert len(fake.calls()) == 1
    assert await states(edge) == ({"AIzaAA": "active", "AIzaBB": "active"}, {})
    assert (await edge.receipt(answer)).state == "refunded"


async def test_a_dead_key_is_out_and_the_next_answers(edge, fake, lent, key):
    fake.remove_api_key(API_KEYS[0])
    for _ in range(3):
        assert (await edge.chat(key.text)).status == 200
    whole, _ = await states(edge)
    assert whole == {"AIzaAA": "expired", "AIzaBB": "active"}
    assert len(fake.calls(credential=API_KEYS[0])) == 1


@pytest.mark.parametrize("scenario", ["error_first", "error_first_bare"])
async def test_an_error_inside_a_stream_before_its_content_goes_to_the_next(
    edge, fake, lent, key, scenario
):
    fake.script(scenario, times=1)
    answer = await edge.chat(key.text, stream=True)
    assert answer.status == 200
    assert b'"error"' not in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("scenario", ["error_middle", "error_middle_bare", "reset_mid_stream"])
async def test_a_stream_that_breaks_says_so_and_costs_no_call(edge, fake, lent, key, scenario):
    fake.script(scenario)
    answer = await edge.chat(key.text, stream=True)
    assert b'"content":"' in answer.body
    assert b'data: {"error":' in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert len(fake.calls()) == 1
    assert (await edge.receipt(answer)).state == "refunded"
    assert (await edge.log(answer)).status >= 500


async def test_content_that_came_with_the_error_is_delivered_first(edge, fake, lent, key):
    fake.script("error_middle", interval_s=0)
    answer = await edge.chat(key.text, stream=True)
    assert answer.body.index(b'"content":"') < answer.body.index(b'"error"')


async def test_a_stream_that_ends_unfinished_is_cut_short_not_complete(edge, fake, lent, key):
    fake.script("no_finish")
    answer = await edge.chat(key.text, stream=True)
    assert b'"finish_reason":"length"' in answer.body
    assert (await edge.receipt(answer)).state == "refunded"
    assert "without finishing" in (await edge.log(answer)).error


async def test_an_answer_with_nothing_in_it_is_tried_again_then_said(edge, fake, lent, key):
    fake.script("empty_stream")
    answer = await edge.chat(key.text, stream=True)
    assert answer.status == 502
    assert answer.json["error"]["code"] == "empty_answer"
    assert len(fake.calls()) == 3


async def test_an_answer_without_content_costs_nothing(edge, fake, lent, key):
    fake.script("max_tokens_empty")
    answer = await edge.chat(key.text)
    assert answer.json["choices"][0]["finish_reason"] == "length"
    receipt = await edge.receipt(answer)
    assert (receipt.state, receipt.reason) == ("refunded", "the answer was empty")


async def test_names_that_clients_make_up_leave_no_trace(edge, fake, lent, key):
    answer = await edge.chat(key.text, model="gemini-77-made-up")
    assert answer.status == 404
    assert (await states(edge))[1] == {}
    assert (await edge.chat(key.text)).status == 200


async def test_a_listed_model_that_an_account_lacks_is_remembered(edge, fake, lent, key):
    fake.script("error", error="model_missing", credential=API_KEYS[0])
    for _ in range(3):
        assert (await edge.chat(key.text)).status == 200
    assert (await states(edge))[1] == {("AIzaAA", MODEL): "missing"}


async def test_auto_ban_takes_out_what_the_operator_listed(edge, fake, lent, key):
    edge.runtime.relay._book = Rulebook((), {429, 400})
    fake.script("error", error="quota_minute", credential=API_KEYS[0])
    for _ in range(2):
        await edge.chat(key.text)
    fake.script("error", error="bad_request", credential=API_KEYS[1], times=1)
    assert (await edge.chat(key.text)).status == 400
    whole, _ = await states(edge)
    assert whole == {"AIzaAA": "needs_attention", "AIzaBB": "active"}


class TestCodeAssist:
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
            label="bob",
        ).pk

    async def test_the_project_is_found_and_kept(self, edge, fake, account, key):
        assert (await edge.chat(key.text)).status == 200
        assert (await edge.chat(key.text)).status == 200
        assert len(fake.calls("load")) == 1
        assert len(fake.calls("service")) == 2
        credential = await sync_to_async(Credential.objects.get)()
        assert credential.project_id == "a-project"

    async def test_services_that_cannot_be_looked_at_keep_nobody_from_serving(
        self, edge, fake, account, key
    ):
        fake.script("reset_before_headers", on="service")
        assert (await edge.chat(key.text)).status == 200

    async def test_a_refused_token_is_refreshed_once_and_the_call_repeated(
        self, edge, fake, account, key
    ):
        fake.expire("ya29.old")
        answer = await edge.chat(key.text)
        assert answer.status == 200
        assert len(fake.calls("token")) == 1
        assert (await edge.chat(key.text)).status == 200
        assert len(fake.calls("token")) == 1

    async def test_a_withdrawn_grant_is_told_and_the_client_gets_no_401(
        self, edge, fake, account, key
    ):
        fake.revoke("1//refresh")
        answer = await edge.chat(key.text)
        assert answer.status == 503
        credential = await sync_to_async(Credential.objects.get)()
        assert (credential.state, credential.state_reason) == ("expired", "invalid_grant")

    async def test_a_login_service_that_fails_for_now_costs_nobody(self, edge, fake, account, key):
        fake.expire("ya29.old")
        fake.script("oauth_html", on="token")
        assert (await edge.chat(key.text)).status == 502
        credential = await sync_to_async(Credential.objects.get)()
        assert credential.state == "active"

    async def test_an_account_google_retired_says_so(self, edge, fake, account, key):
        fake.directory.accounts["bob@example.com"].state = "unsupported_client"
        assert (await edge.chat(key.text)).status == 503
        await edge.settled()
        credential = await sync_to_async(Credential.objects.get)()
        assert (credential.state, credential.state_reason) == (
            "needs_attention",
            "retired_by_google",
        )
