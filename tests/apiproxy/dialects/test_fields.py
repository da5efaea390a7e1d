import pytest

from apiproxy.dialects import fields
from gateway.lib.errors import InvalidRequest


def nested(depth):
    value = 1
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


@pytest.mark.parametrize(("depth", "deeper"), [(0, False), (4, False), (5, False), (6, True)])
def test_depth_counts_containers(depth, deeper):
    assert fields.deeper_than(nested(depth), 5) is deeper


def test_depth_itself_cannot_hurt():
    assert fields.deeper_than(nested(50_000), 100)


def test_a_missing_field_is_called_required():
    with pytest.raises(InvalidRequest, match=r"messages is required and must be a list"):
        fields.as_list(None, "messages")


def test_whole_numbers_may_be_written_with_a_point():
    assert fields.as_integer(5.0, "n", 1, 8) == 5
    for value in (5.5, True, "5", float("inf"), 9):
        with pytest.raises(InvalidRequest):
            fields.as_integer(value, "n", 1, 8)


def test_fields_without_meaning_are_told_shortly_and_only_with_a_value():
    given = {"known": 1, "empty": None, "x" * 200: 1, "other": 0}
    assert fields.not_understood(given, {"known"}, "in.") == ["in.other", "in." + "x" * 64]
    assert len(fields.not_understood({str(number): 1 for number in range(99)}, set())) == 20
