"""Instants as the lines write them, and the clocks that the daemon runs on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


def utc(epoch: float) -> str:
    """RFC 3339 in UTC with milliseconds, such as 2026-11-24T04:00:15.412Z."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# Counts on while the machine is suspended, and cannot be set: a pause of an hour is over after an hour's sleep.
monotonic: Callable[[], float] = _boottime if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
"""Seconds from an arbitrary start; never goes back."""
