"""Stored responses: continued, referred to, read and deleted, by the key that made them and by no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from cryptography.fernet import Fernet
from django.db import OperationalError
from django.utils import timezone

from accounts.services import issue_key
from apiproxy.kept import KeptResponses, delete_expired
from apiproxy.models import StoredResponse
from apiproxy.tasks import delete_expired_responses
from apiproxy.wire.types import Kept
from gateway.lib.errors import InvalidRequest, PreviousResponseNotFound
from quotas.models import Price

RESPONSES = "/v1/responses"
ENCRYPTED = ["reasoning.encrypted_content"]


@pytest.fixture
def ask(edge, lent, key):
    async def ask(text="hello", *, of=None, **fields):
        body = {"model": "gemini-2.5-flash", "input": text, **fields}
        return await edge.post(RESPONSES, body, key=of or key.text)

    return ask


@pytest.fixture
def other(database):
    return issue_key(quota_micros=100_000_000, description="Bob")[1]


def said(fake):
    """What the upstream was told last: (role, text) of every part."""
    contents = fake.calls()[-1].body["contents"]
    return [(content["role"], part["text"]) for content in contents for part in content["parts"]]


stored_rows = sync_to_async(StoredResponse.objects.count)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_is_continued(ask, fake, stream):
    fake.script("text", text="I am fine.")
    first = await ask("How are you?", stream=stream)
    response_id = first.json["id"] if not stream else f"resp_{request_of(first)}"
    second = await ask("And now?", previous_response_id=response_id, instructions="Be brief.")
    assert said(fake) == [("user", "How are you?"), ("model", "I am fine."), ("user", "And now?")]
    assert second.json["previous_response_id"] == response_id
    third = await ask("Still?", previous_response_id=second.json["id"])
    assert len(said(fake)) == 5
    assert "systemInstruction" not in fake.calls()[-1].body
    assert third.json["status"] == "completed"


def request_of(exchange):
    return exchange.headers["x-request-id"].removeprefix("req_")


async def test_what_is_stored_is_encrypted(ask, fake):
    fake.script("text", text="a rare sentence")
    await ask("another rare sentence")
    row = await sync_to_async(StoredResponse.objects.get)()
    assert b"rare" not in bytes(row.sealed)
    assert row.expires_at > timezone.now() + timedelta(hours=23)


async def test_store_false_stores_nothing(ask):
    answer = await ask(store=False)
    assert answer.json["store"] is False
    assert await stored_rows() == 0
    again = await ask(previous_response_id=answer.json["id"])
    assert again.status == 400
    assert again.json["error"]["code"] == "previous_response_not_found"
    assert again.json["error"]["param"] == "previous_response_id"


async def test_another_key_finds_nothing(ask, edge, key, other):
    response_id = (await ask()).json["id"]
    path = f"{RESPONSES}/{response_id}"
    assert (await ask(of=other, previous_response_id=response_id)).status == 400
    assert (await edge.exchange("DELETE", path, key=other, body=b"").run()).status == 404
    for rest in ("", "/input_items"):
        assert (await edge.get(path + rest, key=other)).status == 404
        assert (await edge.get(path + rest, key=key.text)).status == 200


async def test_items_are_referred_to(ask, fake):
    first = (await ask("How are you?")).json
    listed = {"type": "item_reference", "id": first["output"][-1]["id"]}
    await ask([{"role": "user", "content": "Hi"}, listed, {"role": "user", "content": "Go on"}])
    assert [role for role, _ in said(fake)] == ["user", "model", "user"]
    unknown = {"type": "item_reference", "id": "msg_0abc_7"}
    answer = await ask([{"role": "user", "content": "Hi"}, unknown])
    assert answer.status == 404
    assert answer.json["error"]["param"] == "input[1].id"


async def test_a_reference_to_an_input_item_holds_too(ask, edge, key, fake):
    first = (await ask("How are you?")).json
    listed = (await edge.get(f"{RESPONSES}/{first['id']}/input_items", key=key.text)).json
    [item] = listed["data"]
    assert item["content"] == [{"type": "input_text", "text": "How are you?"}]
    await ask([{"type": "item_reference", "id": item["id"]}])
    assert said(fake) == [("user", "How are you?")]


async def test_it_is_read_and_deleted(ask, edge, key):
    fields = {"metadata": {"a": "b"}, "include": ENCRYPTED}
    answer = (await ask(**fields)).json
    path = f"{RESPONSES}/{answer['id']}"
    assert (await edge.get(path, key=key.text, query="include=" + ENCRYPTED[0])).json == answer
    plain = (await edge.get(path, key=key.text)).json
    assert not [item for item in plain["output"] if "encrypted_content" in item]
    deleted = await edge.exchange("DELETE", path, key=key.text, body=b"").run()
    assert deleted.json == {"id": answer["id"], "object": "response", "deleted": True}
    assert (await edge.get(path, key=key.text)).status == 404


async def test_input_items_are_paged(ask, edge, key):
    items = [{"role": "user", "content": f"text {n}"} for n in range(3)]
    path = f"{RESPONSES}/{(await ask(items)).json['id']}/input_items"

    async def page(query):
        return (await edge.get(path, key=key.text, query=query)).json

    newest = await page("limit=2")
    assert [item["content"][0]["text"] for item in newest["data"]] == ["text 2", "text 1"]
    assert newest["has_more"] is True
    rest = await page(f"limit=2&after={newest['last_id']}")
    assert [item["content"][0]["text"] for item in rest["data"]] == ["text 0"]
    assert (rest["has_more"], rest["first_id"]) == (False, rest["data"][0]["id"])
    ascending = await page("order=asc")
    assert ascending["data"][0]["content"][0]["text"] == "text 0"
    for wrong, param in (
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=x", "after"),
    ):
        assert (await page(wrong))["error"]["param"] == param


async def test_only_background_responses_can_be_cancelled(ask, edge, key):
    response_id = (await ask()).json["id"]
    answer = await edge.post(f"{RESPONSES}/{response_id}/cancel", {}, key=key.text)
    assert answer.status == 400
    assert "background" in answer.json["error"]["message"]
    streamed = await edge.get(f"{RESPONSES}/{response_id}", key=key.text, query="stream=true")
    assert (streamed.status, streamed.json["error"]["param"]) == (400, "stream")


@pytest.mark.parametrize("response_id", ["resp_0", "x", "resp_%00", "resp_" + "a" * 300])
async def test_what_is_not_there_is_not_found(edge, key, response_id):
    for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        path = f"{RESPONSES}/{response_id}{rest}"
        answer = await edge.exchange(method, path, key=key.text, body=b"").run()
        assert answer.status == 404
        assert answer.json["error"]["type"] == "invalid_request_error"


async def test_a_key_is_needed_and_the_method_counts(edge, key):
    assert (await edge.get(f"{RESPONSES}/resp_0")).status == 401
    assert (await edge.post(f"{RESPONSES}/resp_0", {}, key=key.text)).status == 405


async def test_an_expired_response_is_gone_and_swept(ask, edge, key):
    response_id = (await ask()).json["id"]
    await sync_to_async(StoredResponse.objects.update)(expires_at=timezone.now())
    assert (await edge.get(f"{RESPONSES}/{response_id}", key=key.text)).status == 404
    assert await sync_to_async(delete_expired_responses)() == 1
    assert await stored_rows() == 0


def test_the_sweep_is_in_the_schedule(settings):
    tasks = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    assert delete_expired_responses.name in tasks


async def test_one_under_a_lost_key_counts_as_gone(ask, edge, key, settings):
    response_id = (await ask()).json["id"]
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert (await edge.get(f"{RESPONSES}/{response_id}", key=key.text)).status == 404


async def test_a_failed_save_costs_nobody_his_answer(ask, edge, monkeypatch, caplog):
    def fail(*arguments):
        raise OperationalError("disk full")

    monkeypatch.setattr(edge.runtime.kept, "_save", fail)
    answer = await ask()
    assert answer.status == 200
    assert (await edge.log(answer)).dropped == ["store: the response could not be stored"]
    assert "could not be stored" in caplog.text


async def test_a_database_that_is_away_is_said_so(ask, edge, key, monkeypatch):
    response_id = (await ask()).json["id"]

    def fail(*arguments, **options):
        raise OperationalError("the connection is lost")

    monkeypatch.setattr("apiproxy.kept._load", fail)
    continued = await ask(previous_response_id=response_id)
    read = await edge.get(f"{RESPONSES}/{response_id}", key=key.text)
    assert [answer.status for answer in (continued, read)] == [503, 503]
    assert {answer.headers["retry-after"] for answer in (continued, read)} == {"5"}
    assert "try again" in continued.json["error"]["message"]


def test_the_sweep_does_not_hold_the_database_for_long(db, django_assert_num_queries):
    past = timezone.now() - timedelta(minutes=1)
    StoredResponse.objects.bulk_create(
        StoredResponse(response_id=f"resp_{n}", key_id=1, sealed=b"x", expires_at=past)
        for n in range(150)
    )
    with django_assert_num_queries(5):
        assert delete_expired() == 150


async def test_nothing_is_stored_of_what_failed(ask, fake):
    fake.script("reset_mid_stream")
    answer = await ask(stream=True)
    assert b"response.failed" in answer.body
    assert await stored_rows() == 0


async def test_what_is_continued_counts_for_the_reservation(ask, edge):
    price = {"pattern": "gemini-2.5-flash", "input_micros_per_million": 1_000_000}
    await sync_to_async(Price.objects.create)(**price)
    first = await ask("x" * 4000)
    again = await ask("y", previous_response_id=first.json["id"])
    await edge.settled()
    receipts = [await edge.receipt(answer) for answer in (first, again)]
    assert receipts[1].reserved_micros > receipts[0].reserved_micros


class TestWithoutStore:
    kept = KeptResponses(retention_s=0, max_bytes=1000)

    async def test_answers_say_so(self, ask, edge, monkeypatch):
        monkeypatch.setattr(edge.runtime, "kept", self.kept)
        answer = await ask()
        assert (answer.status, answer.json["store"]) == (200, False)
        assert await stored_rows() == 0
        refused = await ask(store=True)
        assert (refused.status, refused.json["error"]["param"]) == (400, "store")

    async def test_nothing_can_be_built_on(self):
        assert (await self.kept.recall(1, {"input": "hi"})).stores is False
        for body, param in (
            ({"previous_response_id": "resp_1"}, "previous_response_id"),
            ({"input": [{"type": "item_reference", "id": "msg_1_0"}]}, "input[0].id"),
        ):
            with pytest.raises(InvalidRequest, match="stores no responses") as raised:
                await self.kept.recall(1, body)
            assert raised.value.param == param


async def test_a_history_has_a_size(transactional_db):
    kept = KeptResponses(retention_s=60, max_bytes=1000)
    for name, size in (("resp_1", 10), ("resp_2", 2000)):
        text = "x" * size
        response = b'{"id":"%b","output":[]}' % name.encode()
        assert await kept.save(7, Kept(name, [{"role": "user", "content": text}], response))
    small = await kept.recall(7, {"previous_response_id": "resp_1"})
    assert small.history == [{"role": "user", "content": "x" * 10}]
    assert small.size_bytes > 10
    with pytest.raises(InvalidRequest, match="larger than 1,000 bytes") as raised:
        await kept.recall(7, {"previous_response_id": "resp_2"})
    assert raised.value.param == "previous_response_id"
    with pytest.raises(PreviousResponseNotFound):
        await kept.recall(8, {"previous_response_id": "resp_1"})


async def test_what_is_only_referred_to_weighs_what_it_is(transactional_db):
    """Some clients send the whole conversation each time, pictures and all, and refer to every answer of it."""
    kept = KeptResponses(retention_s=60, max_bytes=1000)
    asked = [{"role": "user", "content": "x" * 800}]
    for number in range(3):
        item = b'{"id":"msg_%d_0","type":"message","content":[]}' % number
        response = b'{"id":"resp_%d","output":[%b]}' % (number, item)
        assert await kept.save(7, Kept(f"resp_{number}", asked, response))
    given = [{"type": "item_reference", "id": f"msg_{number}_0"} for number in range(3)]
    recalled = await kept.recall(7, {"input": given})
    assert recalled.items.keys() == {"msg_0_0", "msg_1_0", "msg_2_0"}
    assert recalled.size_bytes < 400
    with pytest.raises(InvalidRequest, match="larger than 1,000 bytes"):
        await kept.recall(
            7, {"input": [{"type": "item_reference", "id": f"msg_{n}_i0"} for n in range(3)]}
        )
