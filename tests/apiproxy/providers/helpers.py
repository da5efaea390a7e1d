"""Calls, credentials and a driver for generators without I/O."""

from apiproxy.wire.types import Action, Answer, Call, Credential, Endpoints, Head, Model

NOW = 1_700_000_000.0  # 14 November 2023, 14:13 in California
MIDNIGHT = 1_700_035_200.0
MODEL = "gemini-2.5-pro"

ENDPOINTS = Endpoints(
    gemini_api="https://gemini.example",
    code_assist="https://assist.example",
    resource_manager="https://projects.example",
    service_usage="https://services.example",
)
CREDENTIAL = Credential(id=7, provider="any", token="the-token", project="the-project")


def make_call(body=None, *, model=MODEL, stream=False, action=Action.GENERATE, dialect="gemini"):
    return Call(
        head=Head(request_id="req-1", received_at=NOW),
        dialect=dialect,
        model=Model(id=model, providers=()),
        requested_model=model,
        action=action,
        stream=stream,
        body={"contents": [user("Hi")]} if body is None else body,
    )


def user(text):
    return {"role": "user", "parts": [{"text": text}]}


def answer(status, body, *, model=MODEL):
    return Answer(status=status, headers={}, body=body, received_at=NOW, model=model)


def drive(generator, answers=()):
    """What the generator yields, and what it returns, when it is sent the answers."""
    yielded = []
    sent = iter(answers)
    try:
        yielded.append(next(generator))
        while True:
            yielded.append(generator.send(next(sent)))
    except StopIteration as stop:
        return yielded, stop.value
