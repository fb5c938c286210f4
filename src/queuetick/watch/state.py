"""What is known from the lines so far: the newest snapshot of every queue, and how the daemon fares.

Pure: no clock, no terminal. Times are seconds since 1970, as the lines say them.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from queuetick.events import (
    BatchFailed,
    CycleReport,
    DaemonStarted,
    Fact,
    QueueInvalid,
    QueueMissing,
    QueueRecovered,
    QueueSnapshot,
    QueuesRefreshed,
)
from queuetick.watch.health import Health, Status, Trouble
from queuetick.watch.lines import Reject, decode, said
from queuetick.watch.text import clean, words

TREND_CYCLES = 20
# Seconds. Until two intervals were seen nothing is called stale before this: one may last a minute.
STALE_UNLEARNED = 180.0
STALE_INTERVALS = 3
STALE_FLOOR = 10.0


class Row:
    """One queue."""

    __slots__ = (
        "_named",
        "_placed",
        "at",
        "division",
        "name",
        "ordinal",
        "queue_id",
        "search",
        "snapshot",
        "status",
        "trend",
    )

    def __init__(self, queue_id: str) -> None:
        self.queue_id = queue_id
        self.name = clean(queue_id)
        self.division = ""
        self._named: str | None = None
        self._placed: str | None = None
        self.search = self.name.casefold()
        self.snapshot: QueueSnapshot | None = None
        self.at = float("-inf")
        self.ordinal: int | None = None
        self.status: Status | None = None
        self.trend: deque[tuple[int, int | None]] = deque(maxlen=TREND_CYCLES)

    def rename(self, name: str | None, division: str | None) -> None:
        """A name that is not said keeps the one known before: both are absent until discovery has run."""
        if (name is None or name == self._named) and (division is None or division == self._placed):
            return
        if name is not None:
            self._named = name
            self.name = clean(name) or clean(self.queue_id)
        if division is not None:
            self._placed = division
            self.division = clean(division)
        self.search = f"{self.name} {self.division} {self.queue_id}".casefold()

    @property
    def latest(self) -> QueueSnapshot | None:
        """The numbers worth showing. Those from before a queue was missing or invalid are not."""
        if self.status is not None and self.status.trouble in {Trouble.MISSING, Trouble.INVALID}:
            return None
        return self.snapshot


@dataclass
class Board:
    """Feed it lines; read `rows` and `health`."""

    rows: dict[str, Row] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    newest_at: float = float("-inf")
    """When the newest line was written."""
    ordinal: int = 0
    """The newest cycle's place in the stream; goes on rising when a restarted daemon counts from 1 again."""
    lines_read: int = 0
    rejects: Counter[Reject] = field(default_factory=Counter)
    snapshots_lost: int = 0
    """Counted by `cycle.completed`, but never read: journald's rate limit, or a reader that fell behind."""
    _cycle: int | None = None
    _seen: int = 0
    _completed_ordinal: int = -2
    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=3))

    def feed(self, batch: Iterable[bytes]) -> None:
        """Take lines, in the order they came."""
        for raw in batch:
            self.lines_read += 1
            line = decode(raw)
            if isinstance(line, Reject):
                self.rejects[line] += 1
            elif isinstance(line.fact, QueueSnapshot):
                self._snapshot(line.fact, line.at)
            else:
                self._event(line.fact, line.at)

    def copy(self) -> Board:
        """A board that stands still while this one goes on: what a paused screen shows."""
        frozen = copy.copy(self)
        frozen.health = copy.copy(self.health)
        frozen.rejects = self.rejects.copy()
        frozen.rows = {}
        for queue_id, row in self.rows.items():
            frozen.rows[queue_id] = twin = copy.copy(row)
            twin.trend = row.trend.copy()
        return frozen

    @property
    def skipped(self) -> int:
        """Lines that are not queuetick's, or not whole."""
        return sum(number for reject, number in self.rejects.items() if reject is not Reject.OTHER)

    @property
    def stale_after(self) -> float:
        """Seconds without a snapshot after which a row is stale."""
        interval = self.health.stretched or self.health.interval
        if interval is None:
            if len(self._gaps) < 2:
                return STALE_UNLEARNED
            interval = max(self._gaps)
        return max(STALE_INTERVALS * interval, STALE_FLOOR)

    def _snapshot(self, line: QueueSnapshot, at: float) -> None:
        ordinal = self._ordinal_of(line.cycle, at)
        row = self.rows.get(line.queue_id)
        if row is None:
            row = self.rows[line.queue_id] = Row(line.queue_id)
        elif at < row.at:
            return
        if ordinal != row.ordinal:
            self._seen += ordinal == self.ordinal
            row.trend.append((ordinal, line.waiting))
            row.ordinal = ordinal
        else:
            row.trend[-1] = (ordinal, line.waiting)
        row.rename(said(line.queue_name), said(line.division))
        row.snapshot = line
        row.at = at
        row.status = None

    def _ordinal_of(self, cycle: int, at: float) -> int:
        """The cycle's place in the stream, and the step forward if it is a new one."""
        newest = self._cycle
        # A daemon's cycle numbers only rise, so a lower one that is newer comes from a daemon started since.
        if newest is None or (cycle < newest and at >= self.newest_at):
            self.ordinal += 1
        elif cycle > newest:
            self.ordinal += cycle - newest
        else:
            self.newest_at = max(self.newest_at, at)
            return self.ordinal - (newest - cycle)
        self._cycle, self._seen = cycle, 0
        self.newest_at = max(self.newest_at, at)
        return self.ordinal

    def _event(self, line: Fact, at: float) -> None:
        match line:
            case CycleReport():
                self._completed(line, at)
            case DaemonStarted():
                self._started(line)
            case BatchFailed():
                reason = words(line.status, line.code, line.reason)
                for queue_id in line.queue_ids or ():
                    self._trouble(queue_id, Status(Trouble.FAILED, at, reason))
            case QueueMissing():
                reason = words(line.reason) or "not in the answer"
                self._trouble(
                    line.queue_id,
                    Status(Trouble.MISSING, at, reason),
                    said(line.queue_name),
                    said(line.division),
                )
            case QueueInvalid():
                reason = words(line.code, line.reason) or "the API refuses this id"
                self._trouble(
                    line.queue_id,
                    Status(Trouble.INVALID, at, reason),
                    said(line.queue_name),
                    said(line.division),
                )
            case QueueRecovered():
                row = self.rows.get(line.queue_id)
                if row is not None and at >= row.at:
                    row.status = None
            case QueuesRefreshed():
                for queue_id in line.removed_ids or ():
                    self.rows.pop(queue_id, None)
            case _:
                self.health.take(line, at)
        self.newest_at = max(self.newest_at, at)

    def _completed(self, line: CycleReport, at: float) -> None:
        ordinal = self._ordinal_of(line.cycle, at)
        health = self.health
        if ordinal == self._completed_ordinal + 1:
            self._gaps.append(at - health.cycle_at)
            if line.snapshots is not None and ordinal == self.ordinal:
                self.snapshots_lost += max(0, line.snapshots - self._seen)
        self._completed_ordinal = ordinal
        health.completed(line, at)
        if ordinal == self.ordinal and line.snapshots == self._seen and not (line.failed or line.deferred):
            self._forget_unpolled()

    def _forget_unpolled(self) -> None:
        """Drop the queues that are no longer asked for.

        Every snapshot of the cycle is here and none was put off, so a queue that neither came nor is known
        to be missing or invalid was taken out of the configuration. It must not stay stale for ever.
        """
        if self._seen == len(self.rows):
            return
        kept = {Trouble.MISSING, Trouble.INVALID}
        gone = [
            queue_id
            for queue_id, row in self.rows.items()
            if row.ordinal != self.ordinal and (row.status is None or row.status.trouble not in kept)
        ]
        for queue_id in gone:
            del self.rows[queue_id]

    def _started(self, line: DaemonStarted) -> None:
        """A new daemon says again what is wrong; what the last one said is over."""
        self.health = Health.of(line)
        self._cycle = None
        self._completed_ordinal = -2
        self._gaps.clear()
        for queue_id in [queue_id for queue_id, row in self.rows.items() if row.snapshot is None]:
            del self.rows[queue_id]
        for row in self.rows.values():
            row.status = None

    def _trouble(
        self, queue_id: str, status: Status, name: str | None = None, division: str | None = None
    ) -> None:
        row = self.rows.get(queue_id)
        if row is None:
            row = self.rows[queue_id] = Row(queue_id)
        elif status.since < row.at:
            return
        if row.status is not None and row.status.trouble is status.trouble:
            status = status._replace(since=row.status.since)
        row.rename(name, division)
        row.status = status
