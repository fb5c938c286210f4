"""One organisation in the stream: its cycles' places, its health, and how old a snapshot may be. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from queuetick.events import CycleReport, DaemonStarted, Fact, QueueStats
from queuetick.watch.health import Health
from queuetick.watch.history import HISTORY
from queuetick.watch.lines import is_older
from queuetick.watch.text import instant

# Seconds. Until two intervals were seen nothing is called stale before this: one may last a minute.
STALE_UNLEARNED = 180.0
STALE_INTERVALS = 3
STALE_FLOOR = 10.0
_COLUMNS = 64
"""Ticks whose column is remembered, for lines that come late or twice."""


@dataclass
class Instance:
    """One daemon, or several that poll the same queues: lines with one `org`."""

    org: str = ""
    health: Health = field(default_factory=Health)
    newest_at: float = float("-inf")
    """When the newest line was written, at the latest when it was read."""
    ordinal: int = 0
    """The newest cycle's place in the stream; goes on rising when a restarted daemon counts from 1 again."""
    seen: int = 0
    """Queues with a snapshot in the newest cycle."""
    snapshots_lost: int = 0
    """Counted by `cycle.completed`, but never read: journald's rate limit, or a reader that fell behind."""
    _now: float = float("inf")
    _said_at: dict[tuple[str, str], float] = field(default_factory=dict)
    _cycle: int | None = None
    _completed: int = -2
    _columns: dict[str, int] = field(default_factory=dict)
    _tick: float | None = None
    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def interval(self) -> float | None:
        """Seconds between cycles: as configured or stretched, else as seen; None until then."""
        known = self.health.stretched or self.health.interval
        return known or (max(self._gaps) if len(self._gaps) > 1 else None)

    @property
    def stale_after(self) -> float:
        """Seconds without a snapshot after which a row is stale."""
        interval = self.interval
        if interval is None:
            return STALE_UNLEARNED
        limit = max(STALE_INTERVALS * interval, STALE_FLOOR)
        if self.health.changed_only:
            limit = max(limit, self.health.heartbeat + 2 * interval)
        return limit

    @property
    def silent_after(self) -> float:
        """Seconds without any line after which the stream is called silent."""
        interval = self.interval
        return STALE_UNLEARNED if interval is None else max(STALE_INTERVALS * interval, STALE_FLOOR)

    def heard(self, at: float, now: float) -> None:
        """Take note of a line of the time `at`, read at `now`."""
        self._now = now
        self.newest_at = min(max(self.newest_at, at), now)

    def is_late(self, fact: Fact, at: float) -> bool:
        """Whether a newer line on the same subject, such as the API or one queue, was read before this one."""
        tag = str(fact.__struct_config__.tag)
        subject = tag if isinstance(fact, QueueStats) else tag.partition(".")[0]
        key = (subject, getattr(fact, "queue_id", ""))
        if is_older(at, self._said_at.get(key, at), self._now):
            return True
        self._said_at[key] = at
        return False

    def place(self, scheduled_at: str | None, cycle: int, at: float) -> int:
        """The ordinal of a cycle, and the step forward if it is a new one.

        `scheduled_at` decides where the line has it: two daemons that poll the same grid count their cycles apart.
        """
        if scheduled_at:
            ordinal = self._columns.get(scheduled_at)
            if ordinal is not None:
                return ordinal
            tick = instant(scheduled_at)
            if tick is not None:
                return self._new_column(scheduled_at, tick, cycle)
        return self._by_cycle(cycle, at)

    def _new_column(self, scheduled_at: str, tick: float, cycle: int) -> int:
        before, self._cycle = self._tick, cycle
        away = 1 if before is None else self._steps(tick - before)
        if before is not None and is_older(tick, before, self._now):
            ordinal = self.ordinal - away
        else:
            self.ordinal += away
            self._tick, self.seen = tick, 0
            ordinal = self.ordinal
        if len(self._columns) >= _COLUMNS:
            del self._columns[next(iter(self._columns))]
        self._columns[scheduled_at] = ordinal
        return ordinal

    def _steps(self, seconds: float) -> int:
        interval = self.interval
        return 1 if interval is None else min(HISTORY, max(1, round(abs(seconds) / interval)))

    def _by_cycle(self, cycle: int, at: float) -> int:
        newest = self._cycle
        # A daemon's cycle numbers only rise, so a lower one that is newer comes from a daemon started since.
        if newest is None or (cycle < newest and at >= self.newest_at):
            self.ordinal += 1
        elif cycle > newest:
            self.ordinal += cycle - newest
        else:
            return self.ordinal - (newest - cycle)
        self._cycle, self.seen = cycle, 0
        return self.ordinal

    def completed(self, report: CycleReport, at: float, *, late: bool) -> bool:
        """Take a report; `late`: after a newer one.

        Returns whether every queue that is still polled has a snapshot of that cycle.
        """
        ordinal = self.place(report.scheduled_at, report.cycle, at)
        snapshots = report.snapshots
        if ordinal == self._completed + 1:
            if at > self.health.cycle_at:
                self._gaps.append(at - self.health.cycle_at)
            if snapshots is not None and ordinal == self.ordinal:
                self.snapshots_lost += max(0, snapshots - self.seen)
        self._completed = max(self._completed, ordinal)
        self.health.completed(report, at, late=late)
        whole = not (report.failed or report.deferred or report.unchanged)
        return ordinal == self.ordinal and snapshots == self.seen and whole

    def reloaded(self, changed: Iterable[str]) -> None:
        """Forget what a reload changed: its line names the keys, not their values. Cycles tell the interval again."""
        if "poll.interval" in changed:
            self.health.interval = None
            self._gaps.clear()
        if "output.snapshots" in changed:
            self.health.changed_only = False

    def started(self, line: DaemonStarted) -> None:
        """A new daemon says again what is wrong; what the last one said is over."""
        self.health = Health.of(line)
        self._cycle = None
        self._completed = -2
        self._gaps.clear()
