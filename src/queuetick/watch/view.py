"""What the reader asked to see, and which rows that is, in which order. Pure."""

from __future__ import annotations

import enum
import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from queuetick.events.thresholds import Severity
from queuetick.watch.changes import Key
from queuetick.watch.filters import parse
from queuetick.watch.health import Status, Trouble
from queuetick.watch.instance import Instance
from queuetick.watch.sort import Sort
from queuetick.watch.state import Board, Row
from queuetick.watch.text import UNKNOWN

SortKey = tuple[float | str, ...]


class Pane(enum.Enum):
    """What is shown beside the table or in its place."""

    NONE = enum.auto()
    EVENTS = enum.auto()
    DETAIL = enum.auto()
    HELP = enum.auto()


@dataclass
class View:
    """The reader's settings. `words` is a filter (see filters)."""

    sort: Sort = Sort.SEVERITY
    reverse: bool = False
    words: str = ""
    problems: bool = False
    grouped: bool = False
    """Rows by division, each with its subtotals."""
    pane: Pane = Pane.NONE
    typing: bool = False
    offset: int = 0
    cursor: Key | None = None
    """The queue that the cursor is on; None: there is no cursor, and the first rows are shown."""
    move: int = 0
    """Rows that the cursor is to go down; the screen knows where that is."""

    @property
    def order(self) -> tuple[object, ...]:
        """All that decides which rows come in which order."""
        return (self.sort, self.reverse, self.words, self.problems, self.grouped)


@dataclass
class Totals:
    """Sums over some rows."""

    queues: int = 0
    known: int = 0
    """Queues with a number of waiting contacts, be it the last one known."""
    unsaid: int = 0
    """Queues whose snapshot does not say how many wait."""
    waiting: int = 0
    queues_waiting: int = 0
    warnings: int = 0
    critical: int = 0
    longest: float = 0.0
    troubles: Counter[Trouble] = field(default_factory=Counter)
    next_stale: float = float("inf")
    """When the first of the rows that are still fresh will be stale, if no line comes."""

    @property
    def waiting_said(self) -> str:
        """The waiting contacts; a dash where no queue has a number."""
        return f"{self.waiting:,}" if self.known or not self.queues else UNKNOWN


@dataclass(frozen=True)
class Group:
    """The heading of a division's rows."""

    name: str
    totals: Totals


def status(row: Row, board: Board, now: float) -> Status | None:
    """The row's trouble at `now`, staleness included. The reason is the daemon's own where it gave one."""
    if row.status is not None:
        return row.status
    instance = board.instances[row.org]
    if now - row.at <= instance.stale_after:
        return None
    return Status(Trouble.STALE, row.at, _why_stale(instance))


def _why_stale(instance: Instance) -> str:
    health = instance.health
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


def stale_before(board: Board, now: float) -> dict[str, float]:
    """By org: rows whose last snapshot is older than this are stale."""
    return {org: now - instance.stale_after for org, instance in board.instances.items()}


def totals(rows: Iterable[Row], board: Board, now: float) -> Totals:
    """Sums over `rows`."""
    sums = Totals()
    limits = stale_before(board, now)
    for row in rows:
        sums.queues += 1
        limit = limits[row.key[0]]
        if row.status is not None:
            sums.troubles[row.status.trouble] += 1
        elif row.at < limit:
            sums.troubles[Trouble.STALE] += 1
        elif row.at + (now - limit) < sums.next_stale:
            sums.next_stale = row.at + (now - limit)
        if (latest := row.latest) is None:
            continue
        if latest.waiting is None:
            sums.unsaid += 1
            continue
        sums.known += 1
        # Most queues have nobody waiting; this runs over 5,000 of them at every redraw.
        if not latest.waiting:
            continue
        sums.waiting += latest.waiting
        sums.queues_waiting += 1
        sums.warnings += row.grade.severity == Severity.WARN
        sums.critical += row.grade.severity == Severity.CRIT
        sums.longest = max(sums.longest, latest.longest_wait_seconds or 0.0)
    return sums


def matching(board: Board, view: View, now: float) -> list[Row]:
    """The rows that the filter lets through."""
    rows: Iterable[Row] = board.rows.values()
    if words := parse(view.words):
        rows = (row for row in rows if all(word.holds(row) for word in words))
    if view.problems:
        limits = stale_before(board, now)
        rows = (
            row
            for row in rows
            if row.status is not None or row.at < limits[row.org] or row.severity >= Severity.WARN
        )
    return list(rows)


def ordered(rows: list[Row], board: Board, view: View, now: float, limit: int | None = None) -> list[Row]:
    """The rows in the view's order, which is total: the same rows look the same. `limit`: only the first so many."""
    value, limits = _VALUES[view.sort], stale_before(board, now)

    def key(row: Row) -> SortKey:
        return (*value(row, limits[row.key[0]]), row.search, *row.key)

    if limit is None or limit * 4 > len(rows):
        return sorted(rows, key=key, reverse=view.reverse)[:limit]
    return (heapq.nlargest if view.reverse else heapq.nsmallest)(limit, rows, key=key)


def grouped(rows: list[Row], board: Board, view: View, now: float) -> list[Row | Group]:
    """The rows of each division below its heading; divisions in the order of their first rows."""
    divisions: dict[str, list[Row]] = {}
    for row in ordered(rows, board, view, now):
        divisions.setdefault(row.division, []).append(row)
    items: list[Row | Group] = []
    for name, members in divisions.items():
        items += [Group(name or "no division", totals(members, board, now)), *members]
    return items


def _by_severity(row: Row, limit: float) -> SortKey:
    """Critical, warning, not known, waiting, nobody waiting; within that the longest wait."""
    latest = row.latest
    if latest is None:
        return (-2, 0, 0.0, 0)
    severity = row.grade.severity
    fresh = row.status is None and row.at >= limit and latest.waiting is not None
    rank = -2 if not fresh else -severity - 1 if severity >= Severity.WARN else -severity
    if not latest.waiting:
        return (rank, 0, 0.0, 0)
    return (rank, -severity, -(latest.longest_wait_seconds or 0.0), -latest.waiting)


def _by_waiting(row: Row, limit: float) -> SortKey:
    # Not knowing is worse than knowing that nobody waits: unknown rows come after the last that has somebody
    # waiting and before the first that has nobody.
    latest = row.latest
    if latest is None:
        return (0, 0, 0.0)
    known = row.status is None and latest.waiting is not None and row.at >= limit
    return (-(latest.waiting or 0), known, -(latest.longest_wait_seconds or 0.0))


def _by_longest(row: Row, limit: float) -> SortKey:
    latest = row.latest
    if latest is None:
        return (0.0, 0, 0)
    known = row.status is None and row.at >= limit
    return (-(latest.longest_wait_seconds or 0.0), -(latest.waiting or 0), known)


def _fewest(value: Callable[[Row], float | None]) -> Callable[[Row, float], SortKey]:
    """The smallest first, unknown last; then the most waiting."""

    def key(row: Row, _: float) -> SortKey:
        if row.latest is None:
            return (float("inf"), 0)
        number = value(row)
        return (float("inf") if number is None else number, -(row.latest.waiting or 0))

    return key


def _most(value: Callable[[Row], float | None]) -> Callable[[Row, float], SortKey]:
    """The largest first, unknown last."""
    return lambda row, _: (float("inf") if (number := value(row)) is None else -number,)


def latest(name: str) -> Callable[[Row], int | None]:
    """Reads a number of the newest snapshot worth showing; None where it is not known."""
    return lambda row: getattr(row.latest, name, None)


def today(name: str) -> Callable[[Row], int | None]:
    """Reads a number of today's statistics."""
    return lambda row: getattr(row.stats, name, None)


def level_of(row: Row) -> float | None:
    """Today's service level, 0 to 1; None where it is not known."""
    return row.stats.service_level.ratio if row.stats and row.stats.service_level else None


_VALUES: dict[Sort, Callable[[Row, float], SortKey]] = {
    Sort.SEVERITY: _by_severity,
    Sort.WAITING: _by_waiting,
    Sort.LONGEST: _by_longest,
    Sort.NAME: lambda _, __: (),
    Sort.ORG: lambda row, _: (row.org,),
    Sort.DIVISION: lambda row, _: (row.division.casefold(),),
    Sort.TARGET: _fewest(lambda row: row.grade.limit),
    Sort.AVAILABLE: _fewest(latest("agents_available")),
    Sort.ON_QUEUE: _fewest(latest("agents_on_queue")),
    Sort.INTERACTING: _most(latest("interacting")),
    Sort.ALERTING: _most(latest("alerting")),
    Sort.OFFERED: _most(today("offered")),
    Sort.ABANDONED: _most(today("abandoned")),
    Sort.LEVEL: _fewest(level_of),
    Sort.SEEN: lambda row, _: (row.at,),
}
