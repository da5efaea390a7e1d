import pytest

from apiproxy.templatetags.durations import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 minute"), (90, "90 s"), (1800, "30 minutes")]
    + [(3600, "1 hour"), (14_400, "4 hours"), (86_400, "1 day"), (5400, "90 minutes")],
)
def test_a_span_in_its_largest_whole_unit(seconds, words):
    assert duration(seconds) == words
