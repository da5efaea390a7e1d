from credentials.backoff import pause_s


def pauses(luck, upto):
    return [pause_s(n, first_s=60, longest_s=3600, luck=luck) for n in range(1, upto)]


def test_doubles_with_every_failure_until_the_longest():
    assert pauses(0, 9) == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_luck_only_shortens():
    assert pauses(1, 4) == [45, 90, 180]


def test_very_many_failures_are_no_overflow():
    assert pause_s(10**6, first_s=60, longest_s=3600, luck=0) == 3600
    assert pause_s(0, first_s=60, longest_s=3600, luck=0) == 60
