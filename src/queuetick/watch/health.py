"""How the daemon fares, as its own lines say. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from queuetick.events import (
    ApiLost,
    ApiRecovered,
    CycleCrashed,
    CycleReport,
    CycleSkipped,
    DaemonStarted,
    DaemonStopped,
    Fact,
    IntervalRestored,
    IntervalStretched,
    RateLimitPaused,
    RateLimitResumed,
    RequestsPerMinute,
)
from queuetick.watch.text import words


class Trouble(enum.Enum):
    """Why a row has no fresh numbers, the worst first."""

    INVALID = "INVALID"
    MISSING = "MISSING"
    FAILED = "FAILED"
    STALE = "STALE"


class Status(NamedTuple):
    """A row's trouble, since when, and the reason in the line's own words."""

    trouble: Trouble
    since: float
    reason: str


@dataclass
class Health:
    """The daemon's last cycle and its standing troubles. Times are seconds since 1970, spans seconds."""

    cycle: CycleReport | None = None
    cycle_at: float = 0.0
    interval: float | None = None
    """As configured; None if the start of the daemon was not read."""
    needed: RequestsPerMinute | None = None
    """Requests a minute, needed and allowed, as computed when the daemon started."""
    lost: Status | None = None
    stopped: Status | None = None
    skipped: str = ""
    crashed: str = ""
    paused_until: float | None = None
    paused_source: str = ""
    stretched: float | None = None

    @classmethod
    def of(cls, line: DaemonStarted) -> Health:
        """What a new daemon says of itself. The last one's troubles are not its own."""
        health = cls()
        poll = line.config.get("poll") if isinstance(line.config, Mapping) else None
        interval = poll.get("interval") if isinstance(poll, Mapping) else None
        if isinstance(interval, int | float) and 0 < interval < 86_400:
            health.interval = float(interval)
        health.needed = line.requests_per_minute
        return health

    def completed(self, line: CycleReport, at: float) -> None:
        """A cycle came to its end, so what happened to the one before is over."""
        self.cycle, self.cycle_at = line, at
        self.skipped = self.crashed = ""

    def take(self, line: Fact, at: float) -> None:
        """Any line about the daemon as a whole; the others change nothing."""
        match line:
            case CycleSkipped():
                self.skipped = words(
                    _cycle(line.cycle, ":"), line.reason, line.until and f"until {line.until}"
                )
            case CycleCrashed():
                self.crashed = words(_cycle(line.cycle), line.error)
            case ApiLost():
                self.lost = Status(Trouble.FAILED, at, words(line.reason))
            case ApiRecovered():
                self.lost = None
            case RateLimitPaused():
                self.paused_until = at + (line.retry_after_seconds or 0.0)
                self.paused_source = words(line.source)
            case RateLimitResumed():
                self.paused_until = None
            case IntervalStretched():
                self.stretched = line.to
            case IntervalRestored():
                self.stretched = None
            case DaemonStopped():
                self.stopped = Status(Trouble.STALE, at, words(line.reason))


def _cycle(number: int | None, end: str = "") -> str:
    """A tolerantly read line may lack the number."""
    return "" if number is None else f"cycle {number}{end}"
