import pytest

from apiproxy.dialects.thinking import (
    default_config,
    from_budget,
    from_effort,
    from_native,
    most_tokens,
)
from apiproxy.wire.types import Thinking
from gateway.lib.errors import InvalidRequest

PRO = Thinking(control="budget", min_budget=128, max_budget=32768)
LITE = Thinking(control="budget", min_budget=512, max_budget=24576, can_disable=True)
LEVELS = Thinking(control="level", levels=("high", "low", "minimal", "medium"))
TWO = Thinking(control="level", levels=("low", "high"))
NONE = Thinking()


def test_a_model_that_does_not_think_gets_nothing():
    assert default_config(NONE) is None
    assert from_effort(NONE, "high", "e") is None
    assert from_budget(NONE, 5) is None
    assert from_native(NONE, {"thinkingBudget": 5}, "t") is None


def test_without_a_wish_thoughts_are_shown():
    assert default_config(PRO) == default_config(TWO) == {"includeThoughts": True}


@pytest.mark.parametrize(
    ("thinking", "effort", "level"),
    [
        (LEVELS, "minimal", "minimal"),
        (LEVELS, "xhigh", "high"),
        (TWO, "minimal", "low"),
        (TWO, "medium", "high"),
        (TWO, "max", "high"),
    ],
)
def test_the_nearest_level_is_taken_from_above(thinking, effort, level):
    assert from_effort(thinking, effort, "e") == {"includeThoughts": True, "thinkingLevel": level}


@pytest.mark.parametrize(
    ("thinking", "budget", "expected"),
    [
        (PRO, 1, {"includeThoughts": True, "thinkingBudget": 128}),
        (PRO, 0, {"includeThoughts": False, "thinkingBudget": 128}),
        (PRO, 10**6, {"includeThoughts": True, "thinkingBudget": 32768}),
        (PRO, -1, {"includeThoughts": True, "thinkingBudget": -1}),
        (LITE, 0, {"includeThoughts": False, "thinkingBudget": 0}),
        (LITE, 5, {"includeThoughts": True, "thinkingBudget": 512}),
        (LEVELS, 0, {"includeThoughts": False, "thinkingLevel": "minimal"}),
        (LEVELS, -1, {"includeThoughts": True}),
        (LEVELS, 512, {"includeThoughts": True, "thinkingLevel": "minimal"}),
        (LEVELS, 1024, {"includeThoughts": True, "thinkingLevel": "low"}),
        (LEVELS, 8000, {"includeThoughts": True, "thinkingLevel": "medium"}),
        (LEVELS, 30000, {"includeThoughts": True, "thinkingLevel": "high"}),
        (TWO, 100, {"includeThoughts": True, "thinkingLevel": "low"}),
    ],
)
def test_a_budget_is_clamped_or_becomes_a_level(thinking, budget, expected):
    assert from_budget(thinking, budget) == expected


def test_a_native_config_in_either_spelling():
    assert from_native(PRO, {"thinking_budget": 500, "include_thoughts": False}, "t") == {
        "includeThoughts": False,
        "thinkingBudget": 500,
    }
    assert from_native(LEVELS, {"thinkingLevel": "LOW"}, "t") == {
        "includeThoughts": True,
        "thinkingLevel": "low",
    }
    assert from_native(LEVELS, {"includeThoughts": False}, "t") == {"includeThoughts": False}
    # Summaries cannot be had of thinking that is switched off.
    assert from_native(LITE, {"thinkingBudget": 0, "includeThoughts": True}, "t") == {
        "includeThoughts": False,
        "thinkingBudget": 0,
    }


def test_a_budget_and_a_level_together_are_refused():
    with pytest.raises(InvalidRequest) as caught:
        from_native(PRO, {"thinkingBudget": 1, "thinking_level": "low"}, "t")
    assert caught.value.param == "t"


@pytest.mark.parametrize(
    ("thinking", "config", "most"),
    [
        (NONE, None, 0),
        (PRO, {"thinkingBudget": 2048}, 2048),
        (LITE, {"thinkingBudget": 0}, 0),
        (PRO, {"thinkingBudget": -1}, 24_576),
        (PRO, None, 24_576),
        (LEVELS, {"thinkingLevel": "low"}, 1024),
        (LEVELS, {"includeThoughts": True}, 24_576),
    ],
)
def test_how_much_a_model_may_think(thinking, config, most):
    assert most_tokens(thinking, config) == most
