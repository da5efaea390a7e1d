from __future__ import annotations

from io import BytesIO

import pytest
from rest_framework.exceptions import ParseError

from gateway.lib.parsers import JSON, MOST_LEVELS


def nested(levels):
    return (
        b'{"a":' * (levels // 2)
        + b"[" * (levels - levels // 2)
        + b"]" * (levels - levels // 2)
        + b"}" * (levels // 2)
    )


@pytest.mark.parametrize("body", [b"{}", b"[]", b"1", b'{"a": [{"b": [1, 2]}]}'])
def test_what_programs_send_is_read(body):
    JSON().parse(BytesIO(body))


def test_a_body_may_be_nested_but_not_without_an_end():
    JSON().parse(BytesIO(nested(MOST_LEVELS)))
    for levels in (MOST_LEVELS + 1, 900, 100_000):
        with pytest.raises(ParseError, match="nested deeper"):
            JSON().parse(BytesIO(nested(levels)))
