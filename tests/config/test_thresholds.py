"""The hours of a threshold: days, a span of the day and a zone, each optional."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.events.thresholds import DAYS, parse_hours, time_zone


@pytest.mark.parametrize(
    ("text", "days", "start", "end", "zone"),
    [
        ("Mon-Fri 08:00-18:00 Europe/Berlin", {0, 1, 2, 3, 4}, 480, 1080, "Europe/Berlin"),
        ("08:00 - 18:00", set(range(7)), 480, 1080, "UTC"),
        ("sat-mon", {5, 6, 0}, 0, 1440, "UTC"),
        ("Mon,Wed-Thu 22:00-6:00 UTC", {0, 2, 3}, 1320, 360, "UTC"),
        ("Sun-Sun 0:00-24:00", {6}, 0, 1440, "UTC"),
        ("Europe/Berlin", set(range(7)), 0, 1440, "Europe/Berlin"),
        ("CET", set(range(7)), 0, 1440, "CET"),
    ],
)
def test_hours_are_days_a_span_and_a_zone(text, days, start, end, zone) -> None:
    hours = parse_hours(text)
    assert (days, start, end, zone) == (set(hours.days), hours.start, hours.end, hours.zone.key)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("Mo-Fr 08:00-18:00", "'mo' is not a day of Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ("Mon- 08:00-18:00", "'08:00-18:00' is not a day"),
        ("8-18", "'8-18' is not HH:MM-HH:MM"),
        ("08:00", "'08:00' is not HH:MM-HH:MM"),
        ("24:00-25:00", "'24:00-25:00' is not a time of day"),
        ("08:60-09:00", "'08:60-09:00' is not a time of day"),
        ("08:00-24:01", "'08:00-24:01' is not a time of day"),
        ("08:00-08:00", "'08:00-08:00' begins and ends at the same minute"),
        ("Mon 08:00-18:00 Berlin", "'Berlin' is not a known time zone; did you mean Europe/Berlin?"),
        ("Mon 08:00-18:00 europe/berlin", "did you mean Europe/Berlin?"),
        ("Mon 08:00-18:00 UTC daily", "'daily' is unexpected"),
    ],
)
def test_hours_that_are_none_say_why(text, said) -> None:
    with pytest.raises(ValueError, match=r"^.") as caught:
        parse_hours(text)
    assert said in str(caught.value)


@given(
    text=st.text(max_size=30)
    | st.lists(st.sampled_from([*DAYS, "-", ",", " ", "8:00", "UTC", "/"])).map("".join)
)
def test_any_text_is_hours_or_a_value_error(text) -> None:
    with contextlib.suppress(ValueError):
        hours = parse_hours(text)
        assert hours.days <= set(range(7))
        assert 0 <= hours.start < 1440
        assert 0 <= hours.end <= 1440


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\0b", "x" * 5000, "Europe", "", "\udcff", "."]
)
def test_a_zone_that_is_none_is_a_value_error(name) -> None:
    with pytest.raises(ValueError, match="is not a known time zone"):
        time_zone(name)
