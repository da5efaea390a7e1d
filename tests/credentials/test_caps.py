"""When caps are wider than others: what nobody but a contributor may make them."""

import pytest

from credentials.caps import NO_CAPS, Caps, Hours, widens


def hours(start, end, zone="UTC"):
    return Caps(hours=Hours(start, end, zone))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (NO_CAPS, Caps(5, (("a*", 3),), Hours(8, 12), ("a*",), 20)),
        (Caps(calls_a_day=100), Caps(calls_a_day=100)),
        (Caps(calls_a_day=100), Caps(calls_a_day=0)),
        (Caps(model_calls_a_day=(("a*", 9),)), Caps(model_calls_a_day=(("a*", 8), ("b", 70)))),
        (Caps(models=("gemini-2.5-*",)), Caps(models=("gemini-2.5-pro", "gemini-2.5-flash*"))),
        (Caps(models=("*pro*", "*flash*")), Caps(models=("*flash*",))),
        (Caps(models=("gemini-?",)), Caps(models=("gemini-3", "gemini-?"))),
        (Caps(stop_below_percent=20), Caps(stop_below_percent=35)),
        (hours(8, 18), hours(8, 18)),
        (hours(8, 18), hours(9, 17)),
        (hours(22, 6), hours(23, 2)),
        (hours(22, 6), hours(1, 6)),
        (hours(3, 3), NO_CAPS),
        (hours(3, 3), hours(5, 5, "Asia/Tokyo")),
    ],
)
def test_what_is_as_tight_or_tighter(before, after):
    assert widens(before, after) == ""


@pytest.mark.parametrize(
    ("before", "after", "cap"),
    [
        (Caps(calls_a_day=100), Caps(calls_a_day=101), "calls_a_day"),
        (Caps(calls_a_day=0), NO_CAPS, "calls_a_day"),
        (
            Caps(model_calls_a_day=(("a*", 9),)),
            Caps(model_calls_a_day=(("a*", 10),)),
            "model_calls_a_day",
        ),
        (
            Caps(model_calls_a_day=(("a*", 9),)),
            Caps(model_calls_a_day=(("a-1", 9),)),
            "model_calls_a_day",
        ),
        (Caps(models=("gemini-2.5-*",)), NO_CAPS, "models"),
        (Caps(models=("gemini-2.5-*",)), Caps(models=("gemini-*",)), "models"),
        (Caps(models=("gemini-2.5-*",)), Caps(models=("gemini-2.5-pro", "gemma")), "models"),
        (Caps(models=("gemini-?",)), Caps(models=("gemini-*",)), "models"),
        (Caps(models=("*[[]*",)), Caps(models=("[ab]",)), "models"),
        (Caps(stop_below_percent=20), NO_CAPS, "stop_below_percent"),
        (hours(8, 18), NO_CAPS, "hours"),
        (hours(8, 18), hours(7, 17), "hours"),
        (hours(8, 18), hours(18, 8), "hours"),
        (hours(8, 18), hours(4, 4), "hours"),
        (hours(22, 6), hours(23, 7), "hours"),
        (hours(8, 18), hours(8, 18, "Europe/Berlin"), "hours"),
    ],
)
def test_what_is_wider(before, after, cap):
    assert widens(before, after) == cap
