"""Which waits and which numbers of contacts need attention: own targets, thresholds, opening hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.events import MediaCounts, QueueSnapshot
from queuetick.events.examples import EXAMPLES
from queuetick.events.thresholds import Severity, Threshold, Thresholds, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = datetime(2026, 11, 24, 10, 0, tzinfo=BERLIN)
EXAMPLE = next(fact for fact in EXAMPLES if isinstance(fact, QueueSnapshot))
Q, N, W, C = Severity.QUIET, Severity.NORMAL, Severity.WARN, Severity.CRIT


def counts(waiting: int, wait: float | None = None, target: float | None = None) -> MediaCounts:
    return MediaCounts(
        waiting=waiting,
        interacting=0,
        alerting=0,
        longest_wait_seconds=msgspec.UNSET if wait is None else wait,
        wait_target_seconds=msgspec.UNSET if target is None else target,
    )


def queue(media: dict[str, MediaCounts] | None = None, **fields: Any) -> QueueSnapshot:
    """A queue whose sums agree with its media."""
    parts = (media or {}).values()
    waits = [part.longest_wait_seconds for part in parts if part.longest_wait_seconds is not msgspec.UNSET]
    over = [
        part.longest_wait_seconds > part.wait_target_seconds
        for part in parts
        if msgspec.UNSET not in (part.longest_wait_seconds, part.wait_target_seconds)
    ]
    sums = {
        "waiting": sum(part.waiting or 0 for part in parts),
        "longest_wait_seconds": max(waits, default=None),
        "over_target": any(over) if over else None,
    }
    return msgspec.structs.replace(EXAMPLE, **({"media": media} | sums | fields))


def graded(snapshot: QueueSnapshot, *thresholds: Threshold, at: datetime = TUESDAY) -> Severity:
    return Thresholds(thresholds).assess(snapshot, at.timestamp()).severity


def test_without_thresholds_the_own_target_decides() -> None:
    """Over it is a warning; three times over it, or nobody on the queue, is critical."""
    cases = {(0, None): Q, (1, None): N, (1, 19.0): N, (1, 20.0): N, (1, 20.1): W, (1, 60.0): W, (1, 60.1): C}
    assert {case: graded(queue({"voice": counts(*case, target=20.0)})) for case in cases} == cases
    assert graded(queue({"voice": counts(1, 21.0, 20.0)}, agents_on_queue=0)) is C
    assert graded(queue({"voice": counts(1, 3.0, 20.0)}, agents_on_queue=0)) is N


def test_one_email_at_night_is_nothing() -> None:
    """Its own target is a day, and nobody has to be on the queue for it."""
    night = queue({"email": counts(1, 7200.0, 86_400.0)}, agents_on_queue=0, agents_available=0)
    assert graded(night) is N
    assert graded(queue({"email": counts(1, 90_000.0, 86_400.0)}, agents_on_queue=0)) is W


def test_where_only_the_verdict_is_known_it_counts() -> None:
    """`[output] media = "none"`, or media left out of a long line."""
    assert graded(queue(None, waiting=3, over_target=True)) is W
    assert graded(queue(None, waiting=3, over_target=None)) is N
    assert graded(queue({"voice": counts(2)}, waiting=3, over_target=True, media_omitted=1)) is W


def test_the_first_threshold_that_selects_a_medium_counts() -> None:
    """By name, division and medium, each folded as everywhere."""
    table = (
        Threshold(names=("vip*",), longest_wait=(10.0, 30.0)),
        Threshold(divisions=("HOME",), media=("voice",), waiting=5.0),
        Threshold(media=("email",), longest_wait=4 * 3600.0),
    )
    vip = queue({"voice": counts(1, 12.0, 600.0)}, queue_name="VIP DACH", division="Retail")
    assert graded(vip, *table) is W
    home = queue({"voice": counts(5, 500.0, 20.0)}, queue_name="Support", division="Home")
    assert graded(home, *table) is C
    assert graded(queue({"voice": counts(4, 500.0, 20.0)}, division="Home"), *table) is N
    assert graded(queue({"email": counts(1, 14_400.0, 60.0)}, division="Home"), *table) is C
    assert graded(queue({"chat": counts(1, 21.0, 20.0)}, division="Home"), *table) is W


def test_a_threshold_for_all_media_counts_their_sum() -> None:
    """Four calls and three mails are seven contacts."""
    seven = queue({"voice": counts(4), "email": counts(3)})
    assert graded(seven, Threshold(waiting=(7.0, 8.0))) is W
    assert graded(seven, Threshold(media=("voice",), waiting=7.0)) is N
    assert graded(queue(None, waiting=7), Threshold(waiting=7.0)) is C


def test_a_queue_is_closed_outside_the_hours_of_its_thresholds() -> None:
    """Not even its own target counts then; a second threshold may say what holds at night."""
    day = Threshold(names=("*",), longest_wait=60.0, hours="Mon-Fri 08:00-18:00 Europe/Berlin")
    late = queue({"voice": counts(9, 4000.0, 20.0)})
    assert graded(late, day) is C
    assert graded(late, day, at=TUESDAY.replace(hour=18)) is N
    assert graded(late, day, at=TUESDAY + timedelta(days=4)) is N
    assert graded(late, day, Threshold(longest_wait=(600.0, 9000.0)), at=TUESDAY.replace(hour=3)) is W


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Mon-Fri 08:00-18:00 Europe/Berlin", ["Tue 08:00", "Fri 17:59"], ["Tue 07:59", "Tue 18:00", "Sat 12:00"]),
        ("08:00-18:00 Europe/Berlin", ["Sun 08:00"], ["Sun 07:59"]),
        ("Mon,Wed 09:00-10:00 Europe/Berlin", ["Wed 09:30"], ["Tue 09:30"]),
        ("Sat 22:00-02:00 Europe/Berlin", ["Sat 23:00", "Sun 01:59"], ["Sun 02:00", "Sat 01:00"]),
        ("Fri-Mon 00:00-24:00 Europe/Berlin", ["Fri 00:00", "Sun 23:59", "Mon 12:00"], ["Tue 00:00", "Thu 23:59"]),
        ("Tue 09:00-10:00", ["Tue 10:30"], ["Tue 09:30"]),
        ("Tue 09:00-10:00 UTC", ["Tue 10:30"], ["Tue 09:30"]),
    ],
)  # fmt: skip
def test_hours_hold_on_their_days_in_their_zone(text: str, inside: list[str], outside: list[str]) -> None:
    """Over midnight the span belongs to the day on which it begins; without a zone it is UTC."""
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    def at(when: str) -> float:
        day, _, clock = when.partition(" ")
        hour, minute = map(int, clock.split(":"))
        return (
            datetime(2026, 11, 23, hour, minute, tzinfo=BERLIN) + timedelta(days=days.index(day))
        ).timestamp()

    hours = parse_hours(text)
    assert [when for when in inside if not hours.include(at(when))] == []
    assert [when for when in outside if hours.include(at(when))] == []


@given(st.integers(0, 50), st.floats(0, 1e5), st.floats(0, 1e5), st.integers(1, 40), st.integers(1, 40))
def test_more_waiting_and_longer_waits_are_never_less_severe(
    waiting: int, wait: float, more: float, warn: int, further: int
) -> None:
    table = Threshold(waiting=(warn, warn + further), longest_wait=(warn * 10, (warn + further) * 10))
    less = queue({"voice": counts(waiting, wait, 20.0)})
    worse = queue({"voice": counts(waiting + 1, wait + more, 20.0)})
    assert graded(less, table) <= graded(worse, table)
    assert graded(less) <= graded(worse)


def test_the_limit_that_was_crossed_is_told() -> None:
    """For `(target 20s)`."""
    told = Thresholds().assess(
        queue({"voice": counts(1, 83.2, 20.0), "email": counts(1, 99.0, 86_400.0)}), 0.0
    )
    assert (told.severity, told.limit, told.is_target) == (C, 20.0, True)
