"""Instants are RFC 3339 in UTC, and the grid has each of its places once, whatever floats and datetimes round."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from queuetick.clock import SAME_MOMENT, Clock, grid_tick, monotonic, next_tick, utc

EPOCHS = st.floats(0, 4e9)
INTERVALS = st.sampled_from([0.1, 0.3, 1.0, 15, 15.0, 3600]) | st.floats(0.1, 3600)


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert "2026-11-24T04:00:15.412Z" == utc(1795492815.4129)
    assert "1970-01-01T00:00:00.000Z" == utc(0)


@given(epoch=EPOCHS)
def test_an_instant_reads_back_to_the_millisecond(epoch) -> None:
    assert utc(epoch).endswith("Z")
    assert 24 == len(utc(epoch))
    assert 0 <= epoch - datetime.fromisoformat(utc(epoch)).timestamp() + 1e-6 < 0.001002


@given(epochs=st.tuples(EPOCHS, EPOCHS))
def test_instants_sort_as_text(epochs) -> None:
    early, late = sorted(epochs)
    assert utc(early) <= utc(late)


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        (100.0, 90, 105),
        (105.0, 105, 120),
        (104.99, 90, 105),
        (104.99995, 105, 120),
        (105.2, 105, 120),
        (0, 0, 15),
    ],
)
def test_the_grid_is_aligned_to_the_wall_clock(now, last, following) -> None:
    assert (last, following) == (grid_tick(now, 15), next_tick(now, 15))


@given(now=EPOCHS, interval=INTERVALS)
def test_the_next_place_is_the_one_after_the_last_and_now_is_between(now, interval) -> None:
    last, following = grid_tick(now, interval), next_tick(now, interval)
    assert following - last == pytest.approx(interval, abs=1e-5)
    assert last <= now + SAME_MOMENT + 1e-6
    assert following > now - 1e-6


@given(now=EPOCHS, interval=INTERVALS)
@example(now=1795492815.4, interval=0.1)
def test_from_a_place_on_the_grid_the_next_is_a_whole_interval_away(now, interval) -> None:
    """Else a tick would fire twice; APScheduler keeps its places as datetimes, to the microsecond."""
    place = datetime.fromtimestamp(next_tick(now, interval), UTC).timestamp()
    assert next_tick(place, interval) - place == pytest.approx(interval, abs=1e-5)
    assert place == pytest.approx(grid_tick(place, interval), abs=1e-5)


def test_the_monotonic_clock_never_goes_back_and_is_the_default() -> None:
    clock = Clock(wait=lambda _: False)
    assert clock.monotonic is monotonic
    assert monotonic() <= clock.monotonic()
    assert clock.now() > 1.7e9
