from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from quotas.periods import clock_text, day_of, ends_at, first_day, starts_at


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def ordinal(text):
    return date.fromisoformat(text).toordinal()


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-11-20T23:59:59", "", "2026-11-20"),
        ("2026-11-20T16:00:00", "Asia/Shanghai", "2026-11-21"),
        ("2026-11-20T15:59:59", "Asia/Shanghai", "2026-11-20"),
        # Offsets of three quarters and of half an hour, and the two ends of the earth.
        ("2026-11-20T18:14:59", "Asia/Kathmandu", "2026-11-20"),
        ("2026-11-20T18:15:00", "Asia/Kathmandu", "2026-11-21"),
        ("2026-11-20T18:30:00", "Asia/Kolkata", "2026-11-21"),
        ("2026-11-20T10:30:00", "Pacific/Kiritimati", "2026-11-21"),
        ("2026-11-20T10:30:00", "Etc/GMT+12", "2026-11-19"),
    ],
)
def test_a_day_begins_at_midnight_of_its_zone(moment, zone, day):
    assert day_of(at(moment), zone) == ordinal(day)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", ""])
def test_every_quarter_of_an_hour_of_a_year_is_in_the_day_that_the_calendar_says(zone):
    begins = int(at("2026-01-01T00:00:00"))
    for moment in range(begins, begins + 366 * 86400, 900):
        for second in (moment, moment + 899):
            local = datetime.fromtimestamp(second, ZoneInfo(zone) if zone else UTC)
            assert day_of(second, zone) == local.toordinal()


def test_the_days_on_which_clocks_are_put_have_23_and_25_hours():
    berlin = "Europe/Berlin"
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        number = ordinal(day)
        assert ends_at("day", number, berlin) - starts_at("day", number, berlin) == hours * 3600


def test_a_midnight_that_does_not_exist_is_not_waited_for():
    """In Beirut the clock goes from 23:59:59 to 01:00:00 in spring."""
    day = ordinal("2026-03-29")
    begins = starts_at("day", day, "Asia/Beirut")
    assert day_of(begins, "Asia/Beirut") == day
    assert day_of(begins - 1, "Asia/Beirut") == day - 1


@pytest.mark.parametrize(
    ("period", "day", "first", "after"),
    [
        ("day", "2026-11-20", "2026-11-20", "2026-11-21"),
        # Sunday ends a week, Monday begins one.
        ("week", "2026-11-22", "2026-11-16", "2026-11-23"),
        ("week", "2026-11-23", "2026-11-23", "2026-11-30"),
        ("week", "2027-01-01", "2026-12-28", "2027-01-04"),
        ("month", "2026-11-30", "2026-11-01", "2026-12-01"),
        ("month", "2026-12-31", "2026-12-01", "2027-01-01"),
        ("month", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("month", "2026-01-31", "2026-01-01", "2026-02-01"),
    ],
)
def test_weeks_begin_on_monday_and_months_on_their_first(period, day, first, after):
    number = ordinal(day)
    assert first_day(period, number) == ordinal(first)
    for zone in ("", "Asia/Shanghai"):
        assert starts_at(period, number, zone) == at(f"{first}T00:00:00", zone or "UTC")
        assert ends_at(period, number, zone) == at(f"{after}T00:00:00", zone or "UTC")


def test_every_day_of_ten_years_lies_in_its_periods():
    for number in range(ordinal("2024-01-01"), ordinal("2034-01-01")):
        day = date.fromordinal(number)
        assert date.fromordinal(first_day("week", number)).weekday() == 0
        assert 0 <= number - first_day("week", number) < 7
        assert date.fromordinal(first_day("month", number)) == day.replace(day=1)


def test_a_message_names_the_zone():
    assert (
        clock_text(at("2026-11-20T16:00:00"), "Asia/Shanghai") == "2026-11-21 00:00 Asia/Shanghai"
    )
    assert clock_text(at("2026-11-20T16:00:00"), "") == "2026-11-20 16:00 UTC"
