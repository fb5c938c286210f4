"""Numbers of cycles: each tick has one, and ticks that were missed share one."""

from __future__ import annotations

import threading
from typing import NamedTuple

from queuetick.clock import Clock

CLOCK_JUMP = 1.0
"""Seconds; a wall clock that moved more than this against the monotonic one was set."""


class Tick(NamedTuple):
    """A tick that was accounted for: its place on the grid, and what both clocks showed then."""

    scheduled: float
    now: float
    monotonic: float


class Numbers:
    """Gives each tick its number, from any thread."""

    def __init__(self, clock: Clock) -> None:
        self.last = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._tick: Tick | None = None

    def next(self, scheduled: float, interval: float, *, seen: Tick | None = None) -> tuple[int, int]:
        """The number of the tick at `scheduled` (epoch seconds), and how many ticks before it were missed.

        Missed ticks take the number before. `seen` is remembered in place of this tick.
        """
        with self._lock:
            missed = self._missed_before(scheduled, interval, seen)
            self.last += 2 if missed else 1
            return self.last, missed

    def see(self, scheduled: float) -> None:
        """Take in a tick that needs no number."""
        with self._lock:
            self._tick = Tick(scheduled, self._clock.now(), self._clock.monotonic())

    def start_anew(self) -> None:
        """Miss no tick before the next one: it is on another grid."""
        self._tick = None

    def _missed_before(self, scheduled: float, interval: float, seen: Tick | None) -> int:
        """How many ticks passed unseen since the last one. A clock that was set is no time that has passed."""
        tick = seen or Tick(scheduled, self._clock.now(), self._clock.monotonic())
        last, self._tick = self._tick, tick
        if last is None:
            return 0
        passed = tick.monotonic - last.monotonic
        if abs((tick.now - last.now) - passed) <= CLOCK_JUMP:
            passed = scheduled - last.scheduled
        return max(0, round(passed / interval) - 1)
