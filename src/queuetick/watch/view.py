"""What the reader asked to see, and which rows that is. Pure."""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from queuetick.watch.health import Status, Trouble
from queuetick.watch.state import Board, Row

Key = tuple[float | str, ...]


class Sort(enum.Enum):
    """What "worst" means."""

    WAITING = "waiting"
    LONGEST = "longest"
    AVAILABLE = "available"
    NAME = "name"


class Severity(enum.IntEnum):
    """How loud a number is."""

    QUIET = 0
    NORMAL = 1
    WARN = 2
    CRIT = 3


@dataclass(frozen=True)
class Thresholds:
    """From where on a number is coloured. Contacts, and seconds."""

    waiting_warn: float = 5
    waiting_crit: float = 20
    longest_warn: float = 60.0
    longest_crit: float = 300.0

    def grade_waiting(self, waiting: int | None) -> Severity:
        return _grade(waiting, self.waiting_warn, self.waiting_crit)

    def waiting(self, row: Row) -> Severity:
        return self.grade_waiting(row.latest.waiting if row.latest else None)

    def longest(self, row: Row) -> Severity:
        return _grade(
            row.latest.longest_wait_seconds if row.latest else None, self.longest_warn, self.longest_crit
        )

    def available(self, row: Row) -> Severity:
        """Nobody idle while contacts wait is a warning; nobody on the queue at all is worse."""
        latest = row.latest
        if latest is None or not latest.waiting or latest.agents_available != 0:
            return Severity.NORMAL
        return Severity.CRIT if latest.agents_on_queue == 0 else Severity.WARN

    def row(self, row: Row) -> Severity:
        if row.latest is None or not row.latest.waiting:
            return max(Severity.QUIET, self.longest(row))
        return max(self.waiting(row), self.longest(row), self.available(row))


def _grade(value: float | None, warn: float, crit: float) -> Severity:
    if not value:
        return Severity.QUIET
    return Severity.CRIT if value >= crit else Severity.WARN if value >= warn else Severity.NORMAL


@dataclass
class View:
    """The reader's settings. `words` all have to occur in the name, the division or the id."""

    sort: Sort = Sort.WAITING
    reverse: bool = False
    words: str = ""
    problems: bool = False
    offset: int = 0
    typing: bool = False
    help: bool = False

    @property
    def order(self) -> tuple[object, ...]:
        """All that decides which rows come in which order."""
        return (self.sort, self.reverse, self.words, self.problems)


@dataclass(frozen=True)
class Totals:
    """Sums over every queue of the board, filtered out or not."""

    waiting: int = 0
    queues_waiting: int = 0
    nobody_free: int = 0
    loud: int = 0
    troubles: Counter[Trouble] = field(default_factory=Counter)
    next_stale: float = float("-inf")
    """When the first of the rows that are still fresh will be stale, if no line comes."""


def status(row: Row, board: Board, now: float) -> Status | None:
    """The row's trouble at `now`, staleness included. The reason is the daemon's own where it gave one."""
    if row.status is not None:
        return row.status
    if now - row.at <= board.stale_after:
        return None
    return Status(Trouble.STALE, row.at, _why_stale(board))


def _why_stale(board: Board) -> str:
    health = board.health
    if health.stopped:
        return f"daemon stopped {health.stopped.reason}".strip()
    if health.lost:
        return f"API lost {health.lost.reason}".strip()
    if health.paused_until is not None:
        return "rate limit pause"
    if health.crashed:
        return "cycle crashed"
    if health.skipped:
        return "cycle skipped"
    return "no snapshot"


def totals(board: Board, thresholds: Thresholds, now: float) -> Totals:
    waiting = queues_waiting = nobody_free = loud = 0
    troubles: Counter[Trouble] = Counter()
    stale_before = now - board.stale_after
    oldest_fresh = float("inf")
    for row in board.rows.values():
        if row.status is not None:
            troubles[row.status.trouble] += 1
        elif row.at < stale_before:
            troubles[Trouble.STALE] += 1
        elif row.at < oldest_fresh:
            oldest_fresh = row.at
        # Most queues have nobody waiting; this runs over 5,000 of them at every redraw.
        if row.snapshot is None or not row.snapshot.waiting or row.latest is None:
            continue
        waiting += row.snapshot.waiting
        queues_waiting += 1
        nobody_free += row.snapshot.agents_available == 0
        loud += thresholds.row(row) >= Severity.CRIT
    return Totals(waiting, queues_waiting, nobody_free, loud, troubles, oldest_fresh + board.stale_after)


def matching(board: Board, view: View, thresholds: Thresholds, now: float) -> list[Row]:
    words = view.words.casefold().split()
    rows: Iterable[Row] = board.rows.values()
    if words:
        rows = (row for row in rows if all(word in row.search for word in words))
    if view.problems:
        stale_before = now - board.stale_after
        rows = (
            row
            for row in rows
            if row.status is not None or row.at < stale_before or thresholds.row(row) >= Severity.WARN
        )
    return list(rows)


def worst_first(rows: list[Row], board: Board, view: View, now: float, limit: int) -> list[Row]:
    """The first `limit` rows in the view's order, which is total: the same rows look the same."""
    take = heapq.nlargest if view.reverse else heapq.nsmallest
    key, stale_before = _KEYS[view.sort], now - board.stale_after
    return take(limit, rows, key=lambda row: key(row, stale_before))


def _by_waiting(row: Row, stale_before: float) -> Key:
    # Not knowing is worse than knowing that nobody waits: unknown rows come after the last that has somebody
    # waiting and before the first that has nobody.
    latest = row.latest
    if latest is None:
        return (0, 0, 0.0, row.search, row.queue_id)
    known = row.status is None and latest.waiting is not None and row.at >= stale_before
    return (-(latest.waiting or 0), known, -(latest.longest_wait_seconds or 0.0), row.search, row.queue_id)


def _by_longest(row: Row, stale_before: float) -> Key:
    latest = row.latest
    if latest is None:
        return (0.0, 0, 0, row.search, row.queue_id)
    known = row.status is None and row.at >= stale_before
    return (-(latest.longest_wait_seconds or 0.0), -(latest.waiting or 0), known, row.search, row.queue_id)


def _by_available(row: Row, _: float) -> Key:
    latest = row.latest
    if latest is None or latest.agents_available is None:
        return (float("inf"), 0, row.search, row.queue_id)
    return (latest.agents_available, -(latest.waiting or 0), row.search, row.queue_id)


def _by_name(row: Row, _: float) -> Key:
    return (row.search, row.queue_id)


_KEYS: dict[Sort, Callable[[Row, float], Key]] = {
    Sort.WAITING: _by_waiting,
    Sort.LONGEST: _by_longest,
    Sort.AVAILABLE: _by_available,
    Sort.NAME: _by_name,
}
