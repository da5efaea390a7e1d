import math

from apiproxy.providers import sandbox, sandbox_embed
from apiproxy.wire import codec
from apiproxy.wire.types import Action
from tests.apiproxy.providers.helpers import CREDENTIAL, ENDPOINTS, answer, drive, make_call


def request(text, **more):
    return {"content": {"parts": [{"text": text}]}, **more}


def vector(text, **more):
    return sandbox_embed.embed(request(text, **more))["embedding"]["values"]


def likeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def play(model, body):
    call = make_call(body, model=model, action=Action.EMBED)
    _, outgoing = drive(sandbox.exchange(call, CREDENTIAL, ENDPOINTS))
    played = sandbox.respond(outgoing)
    return played.status, b"".join(frame for _, frame in played.frames)


def test_vectors_have_unit_length_at_any_size():
    for size in (1, 2, 768, 3072):
        assert len(vector("a red fox", outputDimensionality=size)) == size
        assert math.isclose(math.hypot(*vector("a red fox", outputDimensionality=size)), 1)
    assert len(vector("a red fox")) == 3072
    assert math.isclose(math.hypot(*vector("")), 1)


def test_texts_that_share_words_lie_close_together():
    fox = vector("A red fox")
    assert fox == vector("a red, fox")
    assert likeness(fox, vector("the red fox")) > 0.6 > likeness(fox, vector("blue whales sing"))


def test_a_batch_comes_back_in_order():
    batch = {"requests": [request("a"), request("b", outputDimensionality=2)]}
    first, second = sandbox_embed.embed(batch)["embeddings"]
    assert first["values"] == vector("a")
    assert second["values"] == vector("b", outputDimensionality=2)


def test_only_the_model_that_embeds_embeds():
    status, body = play("sandbox-embed", request("a"))
    assert (status, list(codec.loads(body))) == (200, ["embedding"])
    for model in ("sandbox-echo", "sandbox-error-rate"):
        status, body = play(model, request("a"))
        assert sandbox.classify(answer(status, body)).kind == "model_missing"
