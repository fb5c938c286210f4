"""How one daemon fares, as its own lines say. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from queuetick import events
from queuetick.watch.text import words

_RANK = {"ok": 0, "partial": 1}
HEARTBEAT = 60.0


class Trouble(enum.Enum):
    """Why a row has no fresh numbers, the worst first."""

    INVALID = "INVALID"
    MISSING = "MISSING"
    FAILED = "FAILED"
    STALE = "STALE"


class Status(NamedTuple):
    """A row's trouble, since when, and the reason as the line gives it."""

    trouble: Trouble
    since: float
    reason: str


@dataclass
class Health:
    """The daemon's last cycle and its standing troubles. Times are seconds since 1970, spans seconds."""

    cycle: events.CycleReport | None = None
    cycle_at: float = 0.0
    interval: float | None = None
    """As configured; None if the start of the daemon was not read."""
    needed: events.RequestsPerMinute | None = None
    """Requests a minute, needed and allowed, as computed when the daemon started."""
    changed_only: bool = False
    """A queue's snapshot is written on change only (output.snapshots)."""
    heartbeat: float = HEARTBEAT
    """Seconds after which an unchanged queue is written all the same."""
    lost: Status | None = None
    stopped: Status | None = None
    none_selected: str | None = None
    """Why nothing is polled."""
    rejected: str = ""
    """What is wrong with a configuration that was to be reloaded."""
    stats_failed: str = ""
    skipped: str = ""
    crashed: str = ""
    paused_until: float | None = None
    paused_source: str = ""
    stretched: float | None = None

    @classmethod
    def of(cls, line: events.DaemonStarted) -> Health:
        """What a new daemon says of itself. The last one's troubles are not its own."""
        health = cls()
        health.interval = _seconds(line.config, "poll", "interval")
        health.needed = line.requests_per_minute
        output = _section(line.config, "output")
        health.changed_only = output.get("snapshots") == "changed"
        health.heartbeat = _seconds(line.config, "output", "heartbeat") or HEARTBEAT
        return health

    def completed(self, line: events.CycleReport, at: float, *, late: bool) -> None:
        """A cycle came to its end, so what happened to the one before is over; `late`: a newer line was read before."""
        before = self.cycle
        double = before is not None and line.scheduled_at and before.scheduled_at == line.scheduled_at
        if late and not double:
            return
        if double and before and _RANK.get(line.outcome, 2) > _RANK.get(before.outcome, 2):
            # Of two daemons that poll the same queues one was answered: that is what the rows show.
            return
        self.cycle, self.cycle_at = line, at
        self.skipped = self.crashed = ""
        self.changed_only = self.changed_only or bool(line.unchanged)
        if line.queues:
            self.none_selected = None
        # A report after these lines comes from a second daemon of the same queues, which lives and is answered.
        if self.stopped and at > self.stopped.since:
            self.stopped = None
        if self.lost and at > self.lost.since and line.snapshots:
            self.lost = None

    def take(self, line: events.Fact, at: float) -> None:  # noqa: PLR0912  # one case for each event
        """Any line about the daemon as a whole; the others change nothing."""
        match line:
            case events.CycleSkipped():
                self.skipped = words(
                    _cycle(line.cycle, ":"), line.reason, line.until and f"until {line.until}"
                )
            case events.CycleCrashed():
                self.crashed = words(_cycle(line.cycle), line.error)
            case events.ApiLost():
                self.lost = Status(Trouble.FAILED, at, words(line.reason))
            case events.ApiRecovered():
                self.lost = None
            case events.RateLimitPaused():
                self.paused_until = at + (line.retry_after_seconds or 0.0)
                self.paused_source = words(line.source)
            case events.RateLimitResumed():
                self.paused_until = None
            case events.IntervalStretched():
                self.stretched = line.to if line.to and 0.05 <= line.to <= 86_400 else None
            case events.IntervalRestored():
                self.stretched = None
            case events.QueuesNoneSelected():
                self.none_selected = words(line.reason)
            case events.QueuesRefreshed():
                self.none_selected = None if line.total else self.none_selected
            case events.ConfigRejected():
                problems = [words(one.key, one.problem) for one in line.problems or ()]
                self.rejected = "; ".join(problems) or "invalid"
            case events.ConfigReloaded():
                self.rejected = ""
            case events.StatsFailed():
                self.stats_failed = words(line.status, line.code, line.reason)
            case events.StatsRecovered():
                self.stats_failed = ""
            case events.DaemonStopped():
                self.stopped = Status(Trouble.STALE, at, words(line.reason))


def _cycle(number: int | None, end: str = "") -> str:
    """A tolerantly read line may lack the number."""
    return "" if number is None else f"cycle {number}{end}"


def _section(config: object, name: str) -> Mapping[str, object]:
    found = config.get(name) if isinstance(config, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _seconds(config: object, section: str, name: str) -> float | None:
    value = _section(config, section).get(name)
    return float(value) if isinstance(value, int | float) and 0 < value <= 86_400 else None
