import itertools

from apiproxy import signatures
from apiproxy.signature_store import SignatureStore


def called(call_id=None, **part):
    return {"functionCall": {"name": "f", **({"id": call_id} if call_id else {})}, **part}


def body(*parts, role="model"):
    return {"contents": [{"role": role, "parts": list(parts)}]}


def restored(*parts, known=None, strict=True):
    made = body(*parts)
    signatures.restore(made, (known or {}).get, strict=strict)
    return [part.get("thoughtSignature") for part in made["contents"][0]["parts"]]


def test_known_signatures_come_back():
    assert restored({"text": "a"}, called("x"), called("y"), known={"x": "sx", "y": "sy"}) == [
        None,
        "sx",
        "sy",
    ]


def test_the_first_call_of_a_step_gets_the_stand_in():
    assert restored({"text": "a"}, called("x"), called("y")) == [None, signatures.STAND_IN, None]
    assert restored(called(), called()) == [signatures.STAND_IN, None]


def test_a_lenient_model_gets_none():
    assert restored(called("x"), strict=False) == [None]
    assert restored(called("x"), known={"x": "sx"}, strict=False) == ["sx"]


def test_the_clients_own_signature_stays():
    assert restored(called("x", thoughtSignature="own"), called("y"), known={"x": "sx"}) == [
        "own",
        None,
    ]


def test_both_spellings_are_read():
    part = {"function_call": {"id": "x"}, "thought_signature": "own"}
    assert restored(part, {"function_call": {"id": "y"}}, known={"y": "sy"}) == [None, "sy"]


def test_only_model_turns_are_touched():
    made = body(called("x"), role="user")
    signatures.restore(made, {}.get, strict=True)
    assert made == body(called("x"), role="user")


def test_a_body_of_another_shape_is_left_alone():
    for made in ({}, {"contents": 5}, {"contents": [5, {"role": "model", "parts": [5]}]}):
        signatures.restore(made, {}.get, strict=True)


def reply(*parts):
    return {"candidates": [{"content": {"parts": list(parts)}}]}


def test_every_call_gets_an_id_and_signatures_are_returned():
    numbers = itertools.count(1)
    answer = reply(
        {"text": "a", "thoughtSignature": "text"},
        called(thoughtSignature="s1"),
        called("given", thoughtSignature="s2"),
        called(),
    )
    found = signatures.harvest(answer, lambda: f"new{next(numbers)}")
    assert found == [("new1", "s1"), ("given", "s2")]
    parts = answer["candidates"][0]["content"]["parts"]
    assert [part["functionCall"]["id"] for part in parts[1:]] == ["new1", "given", "new2"]


def test_a_reply_without_calls_is_left_alone():
    for answer in ({}, {"candidates": None}, reply({"text": "a"}), reply({"functionCall": None})):
        assert signatures.harvest(answer, lambda: "x") == []


def test_an_id_that_clients_would_refuse_is_replaced():
    answer = reply(called("x" * 65, thoughtSignature="s"), called("y" * 64))
    assert signatures.harvest(answer, lambda: "new") == [("new", "s")]
    parts = answer["candidates"][0]["content"]["parts"]
    assert [part["functionCall"]["id"] for part in parts] == ["new", "y" * 64]


def test_calls_without_signatures_are_listed_by_step():
    made = {
        "contents": [
            *body(called("a", thoughtSignature="s"), called("b"))["contents"],
            *body(called("c"), called())["contents"],
            *body({"text": "no call"}, role="user")["contents"],
        ]
    }
    found = signatures.unsigned(made)
    assert [(call.call_id, call.first) for call in found] == [
        ("b", False),
        ("c", True),
        ("", False),
    ]


async def test_without_redis_the_stand_in_serves(edge, fake, lent, key):
    edge.runtime.signatures = SignatureStore(
        lifetime_s=60, redis_url="redis://127.0.0.1:1/0", clock=lambda: 0.0
    )
    edge.runtime.signatures.start()
    made = {"id": "c1", "type": "function", "function": {"name": "get_weather"}}
    answer = await edge.chat(
        key.text,
        "gemini-3-flash-preview",
        messages=[
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": None, "tool_calls": [made]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        tools=[{"type": "function", "function": {"name": "get_weather"}}],
    )
    assert answer.status == 200, answer.body
    sent = fake.calls()[-1].body["contents"][1]["parts"][0]
    assert sent["thoughtSignature"] == signatures.STAND_IN
