"""Instants as the lines write them, and the clocks that the daemon runs on."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct, field


def utc(epoch: float) -> str:
    """RFC 3339 in UTC with milliseconds, such as 2026-11-24T04:00:15.412Z."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# Counts on while the machine is suspended, and cannot be set: a pause of an hour is over after an hour's sleep.
monotonic: Callable[[], float] = _boottime if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
"""Seconds from an arbitrary start; never goes back."""


class Stopped(Exception):
    """A wait or a request ended because the daemon is stopping."""


class Clock(Struct, frozen=True):
    """Time as everything takes it, so that a test can run an hour in a moment."""

    wait: Callable[[float], bool] = field(default_factory=lambda: threading.Event().wait)
    """Waits so many seconds; returns True, at once, when the daemon is stopping. By default nothing stops."""
    monotonic: Callable[[], float] = monotonic
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""


SAME_MOMENT = 1e-4
"""Seconds; a clock this little before a place on the grid is at it: floats and datetimes round."""


def grid_tick(now: float, interval: float) -> float:
    """The last place on the grid at or before `now`: multiples of `interval` since the epoch."""
    return math.floor((now + SAME_MOMENT) / interval) * interval


def next_tick(now: float, interval: float) -> float:
    """The first place on the grid after `now`."""
    return (math.floor((now + SAME_MOMENT) / interval) + 1) * interval


def full_jitter(n: int, base: float, cap: float, uniform: Callable[[float, float], float]) -> float:
    """Seconds to wait before try `n` + 1 (from 0): uniform in 0..min(cap, base * 2**n)."""
    return uniform(0.0, min(cap, base * 2.0 ** min(n, 64)))
