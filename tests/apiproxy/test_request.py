from __future__ import annotations

import pytest

from apiproxy.request import Request, new_request_id, parse_query


def request(headers=None, query=None):
    return Request(
        id="req_1",
        method="POST",
        path="/",
        headers=headers or {},
        query=query or {},
        received_at=0.0,
        started=0.0,
        read_body=None,
    )


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({}, {}, ""),
        ({b"authorization": b"Bearer a"}, {}, "a"),
        ({b"authorization": b"bearer  a "}, {}, "a"),
        ({b"authorization": b"Basic a"}, {}, ""),
        ({b"authorization": b"Bearer a", b"x-api-key": b"b"}, {}, "b"),
        ({b"x-api-key": b"b", b"x-goog-api-key": b"c"}, {}, "c"),
        ({b"x-goog-api-key": b"c"}, {"key": "d"}, "d"),
        ({b"x-goog-api-key": b"c"}, {"key": ""}, "c"),
        ({b"x-anthropic-auth-token": b"e"}, {}, "e"),
        ({b"anthropic-auth-token": b"e"}, {}, "e"),
        ({b"access_token": b"e"}, {}, "e"),
        ({b"access_token": b"e", b"authorization": b"Bearer a"}, {}, "a"),
    ],
)
def test_the_first_key_presented_counts(headers, query, key):
    assert request(headers, query).api_key() == key


def test_queries_are_read_decoded():
    assert parse_query(b"key=a%2Fb&alt=sse&empty=") == {"key": "a/b", "alt": "sse", "empty": ""}
    assert parse_query(b"") == {}


def test_ids_are_unique_short_and_in_the_order_of_their_making():
    ids = [new_request_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert all(len(i) == 32 and i.startswith("req_") for i in ids)
    assert [i[:16] for i in ids] == sorted(i[:16] for i in ids)


def test_no_id_holds_a_number_that_a_client_could_take_for_a_status():
    """litellm calls every error a 403 in whose text these digits stand."""
    assert not [one for one in (new_request_id() for _ in range(200)) if any(map(str.isdigit, one))]
