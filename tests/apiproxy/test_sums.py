"""Rows of the log -> sums of the site and of everybody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apiproxy import sums
from apiproxy.sums import COLUMNS, ERRORS, NAMES, aggregate


def row(**fields):
    known = {
        "key_id": 1,
        "owner_id": 2,
        "group_id": 3,
        "credential_id": 4,
        "dialect": "gemini",
        "model": "m",
        "status": 200,
        "input_tokens": 10,
        "cached_tokens": 4,
        "output_tokens": 5,
        "thinking_tokens": 1,
        "cost_micros": 7,
        "duration_ms": 1000,
        "first_byte_ms": 100,
    }
    assert set(fields) <= set(known)
    return tuple({**known, **fields}[name] for name in COLUMNS)


def counted(one):
    return {name: value for name, value in zip(NAMES, one, strict=False) if value}


def test_a_call_counts_once_on_each_axis_and_once_for_its_model():
    cells = aggregate([row()])
    assert sorted(cells) == sorted(
        (axis, subject, model)
        for axis, subject in (
            ("site", ""),
            ("key", "1"),
            ("user", "2"),
            ("group", "3"),
            ("credential", "4"),
            ("dialect", "gemini"),
        )
        for model in ("", "m")
    )
    for one in cells.values():
        assert counted(one) == {
            "requests": 1,
            "successes": 1,
            "input_tokens": 10,
            "cached_tokens": 4,
            "output_tokens": 5,
            "thinking_tokens": 1,
            "cost_micros": 7,
        }
        assert [sum(one[-2].values()), sum(one[-1].values())] == [1, 1]


def test_cells_do_not_share_what_they_add_to():
    cells = aggregate([row(), row(key_id=9)])
    cells["site", "", ""][-2]["1"] = 99
    assert "1" not in cells["key", "1", ""][-2]
    assert counted(cells["key", "9", ""])["requests"] == 1
    assert counted(cells["user", "2", "m"])["requests"] == 2


def test_a_stranger_counts_for_the_site_alone():
    stranger = row(key_id=None, owner_id=None, group_id=None, credential_id=None, model="")
    assert sorted(aggregate([stranger])) == [("dialect", "gemini", ""), ("site", "", "")]


def test_every_failure_has_its_class():
    told = {
        400: "client_errors",
        404: "client_errors",
        413: "client_errors",
        422: "client_errors",
        401: "auth_errors",
        403: "auth_errors",
        429: "limit_errors",
        499: "left",
        500: "internal_errors",
        502: "upstream_errors",
        504: "upstream_errors",
        503: "unavailable",
        529: "internal_errors",
    }
    for status, name in told.items():
        one = aggregate([row(status=status, first_byte_ms=None)])["site", "", ""]
        assert counted(one)[name] == 1, status
        assert one[-1] == {}
    assert aggregate([row(status=200)])["site", "", ""][1] == 1


calls = st.lists(
    st.builds(
        row,
        key_id=st.none() | st.integers(1, 3),
        owner_id=st.none() | st.integers(1, 2),
        group_id=st.none() | st.integers(1, 2),
        credential_id=st.none() | st.integers(1, 3),
        dialect=st.sampled_from(["gemini", "anthropic"]),
        model=st.sampled_from(["", "a", "b"]),
        status=st.sampled_from([200, 400, 401, 429, 499, 500, 502, 503]),
        cost_micros=st.integers(0, 10**12),
        duration_ms=st.integers(0, 10**6),
        first_byte_ms=st.none() | st.integers(0, 10**6),
    ),
    max_size=40,
)


@given(calls, st.integers(0, 40))
def test_added_up_in_two_parts_is_added_up_at_once(rows, cut):
    whole = aggregate(rows)
    parts = {}
    for part in (rows[:cut], rows[cut:]):
        for cell, one in aggregate(part).items():
            sums.add(parts, cell, one)
    assert parts == whole


@given(calls)
def test_nothing_is_lost_and_nothing_counted_twice(rows):
    cells = aggregate(rows)
    if not rows:
        assert cells == {}
        return
    site = cells["site", "", ""]
    assert site[0] == len(rows) == site[1] + sum(site[NAMES.index(name)] for name in ERRORS)
    assert site[13] == sum(one[COLUMNS.index("cost_micros")] for one in rows)
    for axis, column in (("key", 0), ("dialect", 4)):
        of_axis = [one for (a, _, model), one in cells.items() if a == axis and not model]
        assert sum(one[0] for one in of_axis) == sum(one[column] is not None for one in rows)
