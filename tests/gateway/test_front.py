"""Who a visitor of the pages is taken for, which limits by address count, and how much may be sent."""

from __future__ import annotations

import pytest

from gateway.front import BehindProxies, Bounded


async def seen(trusted, peer, *forwarded):
    """(address, scheme) as the pages get them."""
    found = {}

    async def pages(scope, receive, send):
        found.update(scope)

    headers = [(b"x-forwarded-for", value) for value in forwarded]
    headers.append((b"x-forwarded-proto", b"https"))
    scope = {"type": "http", "client": (peer, 40000), "scheme": "http", "headers": headers}
    await BehindProxies(pages, trusted_hosts=trusted)(scope, None, None)
    return found["client"][0], found["scheme"]


async def test_a_stranger_is_not_believed():
    assert await seen("10.0.0.1", "203.0.113.7", b"198.51.100.9") == ("203.0.113.7", "http")


async def test_a_proxy_that_is_trusted_tells_who_came():
    assert await seen("10.0.0.1", "10.0.0.1", b"198.51.100.9") == ("198.51.100.9", "https")


@pytest.mark.parametrize("trusted", ["10.0.0.1", "*"])
@pytest.mark.parametrize(
    "forwarded",
    [[b"1.2.3.4, 198.51.100.9"], [b"1.2.3.4", b"198.51.100.9"]],
    ids=["one header", "two headers"],
)
async def test_what_a_visitor_says_of_themselves_does_not_count(trusted, forwarded):
    """Nobody gets another allowance of tries by another invented address."""
    assert await seen(trusted, "10.0.0.1", *forwarded) == ("198.51.100.9", "https")


async def test_each_proxy_on_the_way_may_add_a_line():
    trusted = ["10.0.0.1", "10.0.0.2"]
    assert await seen(trusted, "10.0.0.1", b"198.51.100.9", b"10.0.0.2") == (
        "198.51.100.9",
        "https",
    )


# ------------------------------------------------------------------ how much may be sent

MOST = 1000


async def sent(*pieces, declared=None):
    """(status, bytes that the pages read) of a request with such a body."""
    read, answer = [], []
    told = iter(pieces)
    left = len(pieces)

    async def receive():
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": next(told), "more_body": left > 0}

    async def pages(scope, receive, send):
        while (message := await receive())["type"] == "http.request":
            read.append(len(message["body"]))
            if not message["more_body"]:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                return

    async def send(message):
        answer.append(message)

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    await Bounded(pages, MOST)({"type": "http", "headers": headers}, receive, send)
    assert sum(message["type"] == "http.response.start" for message in answer) == 1
    return answer[0]["status"], sum(read)


async def test_what_is_small_enough_comes_through():
    assert await sent(b"x" * 600, b"x" * 400) == (200, MOST)
    assert await sent(b"x" * MOST, declared=MOST) == (200, MOST)
    assert await sent(b"") == (200, 0)


async def test_a_body_that_says_that_it_is_too_large_is_not_read():
    assert await sent(b"x" * 5000, declared=5000) == (413, 0)


async def test_a_body_without_an_end_is_ended():
    assert await sent(*[b"x" * 300] * 50) == (413, 900)


async def test_a_connection_that_breaks_stays_broken():
    async def receive():
        return {"type": "http.disconnect"}

    async def pages(scope, receive, send):
        assert (await receive())["type"] == "http.disconnect"

    async def send(message):
        raise AssertionError(message)

    await Bounded(pages, MOST)({"type": "http", "headers": []}, receive, send)
