"""CSV that no spreadsheet runs, and that is sent while it is read."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import RequestFactory

from gateway.lib.tables import csv_response, harmless


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "  =1", "|x", "%x"])
def test_what_a_spreadsheet_would_run_is_shown(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "1-2", "", "gemini", -5, 0, 1.5, True])
def test_anything_else_stays(value):
    assert harmless(value) == value


def test_nothing_is_nothing():
    assert harmless(None) == ""


def body(rows, request=None):
    request = request or RequestFactory().get("/")
    return csv_response(request, "x.csv", ["a", "b"], rows)


def test_cells_come_out_as_they_went_in():
    rows = [['x,"y"', "two\nlines"], ["ü 中", "\ud800"]]
    text = b"".join(body(rows).streaming_content).decode()
    told = list(csv.reader(io.StringIO(text)))
    assert told == [["a", "b"], rows[0], ["ü 中", "?"]]


def test_rows_are_read_when_the_client_takes_them():
    taken = []

    def rows():
        for number in range(5000):
            taken.append(number)
            yield [number, number]

    pieces = iter(body(rows()).streaming_content)
    assert taken == []
    next(pieces)
    assert len(taken) == 500


async def test_under_asgi_too():
    taken = []

    def rows():
        for number in range(5000):
            taken.append(number)
            yield [number, number]

    request = ASGIRequest(
        {"type": "http", "method": "GET", "path": "/", "headers": []}, io.BytesIO()
    )
    pieces = aiter(body(rows(), request).streaming_content)
    await anext(pieces)
    assert len(taken) == 500
    assert len([piece async for piece in pieces]) == 10
