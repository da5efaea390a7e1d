import re

from hypothesis import given
from hypothesis import strategies as st

from apiproxy.dialects.function_names import FunctionNames

ACCEPTED = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, max_size=30))
def test_names_are_acceptable_unique_and_can_be_undone(declared):
    names = FunctionNames(declared)
    upstream = [names.upstream(name) for name in declared]
    assert len(set(upstream)) == len(declared)
    assert all(ACCEPTED.fullmatch(name) for name in upstream)
    assert [names.changed.get(name, name) for name in upstream] == declared


def test_a_good_name_keeps_its_own_even_when_it_comes_later():
    names = FunctionNames(["a b", "a_b"])
    assert names.upstream("a b") == "a_b_2"
    assert names.upstream("a_b") == "a_b"
    assert names.changed == {"a_b_2": "a b"}


def test_a_name_from_history_only_may_not_take_a_changed_one():
    names = FunctionNames(["a b"])
    assert names.upstream("a b") == "a_b"
    assert names.upstream("a_b") == "a_b_2"


def test_shapes_of_changed_names():
    names = FunctionNames()
    assert names.upstream("1st") == "_1st"
    assert names.upstream("天气") == "function"
    assert names.upstream("x" * 70) == "x" * 64
    assert names.upstream("x" * 71) == "x" * 62 + "_2"
    assert names.upstream("mcp.tool:get-it") == "mcp.tool:get-it"
