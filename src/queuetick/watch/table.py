"""One queue as one row: which columns fit a width, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from queuetick.events.thresholds import Severity
from queuetick.watch import styles
from queuetick.watch.changes import media_waiting
from queuetick.watch.header import Scene
from queuetick.watch.health import Status, Trouble
from queuetick.watch.history import GAP, HISTORY
from queuetick.watch.sentences import percent
from queuetick.watch.sort import Sort
from queuetick.watch.state import Board, Row
from queuetick.watch.text import REVERSED, SORTED, age, clean, count, duration, level, limit
from queuetick.watch.view import Group, View, latest, level_of, status, today

NARROW = 64
WIDE = 100
WIDER = 120
WIDEST = 140
FULL = 170
_NUMBER = {Severity.QUIET: styles.DIM, Severity.NORMAL: styles.BOLD, **styles.SEVERE}
_TREND_TOP = 5
"""A scale does not end below this: a queue that goes from 0 to 1 must not look like one that goes from 0 to 40."""

Cell = Callable[[Row, float], tuple[str, Style]]


@dataclass(frozen=True)
class Column:
    """A right-aligned number."""

    head: str
    width: int
    cell: Cell
    sort: Sort


@dataclass(frozen=True)
class Layout:
    """Columns from left to right: mark, name, org, division, numbers, trend, media. Widths in cells."""

    name: int
    org: int
    division: int
    numbers: tuple[Column, ...]
    trend: int
    media: int

    @property
    def tail(self) -> int:
        """Trend and media together: where a row in trouble has its reason."""
        return self.trend + (1 + self.media if self.media else 0)

    @property
    def spans(self) -> list[tuple[int, int, Sort]]:
        """(first cell, cell after the last, what it sorts by) of each column that can sort."""
        at = 3
        found = [(0, at, Sort.SEVERITY)]
        columns = [(self.name, Sort.NAME), (self.org, Sort.ORG), (self.division, Sort.DIVISION)]
        for width, sort in [*columns, *((column.width, column.sort) for column in self.numbers)]:
            if width:
                found.append((at, at + width + 1, sort))
                at += width + 1
        return found


def _waiting(row: Row, _: float) -> tuple[str, Style]:
    waiting = latest("waiting")(row)
    return count(waiting), _NUMBER[row.grade.waiting if waiting else Severity.QUIET]


def _longest(row: Row, _: float) -> tuple[str, Style]:
    if row.latest is None or row.latest.longest_wait_seconds is None:
        return count(None), styles.DIM
    return duration(row.latest.longest_wait_seconds), _NUMBER[row.grade.longest_wait]


def _target(row: Row, _: float) -> tuple[str, Style]:
    """The limit of the wait that is graded, with its medium where another one waits longer; of a queue where nobody
    waits its lowest target.
    """
    if row.latest is None:
        return count(None), styles.DIM
    media, grade = row.latest.media or {}, row.grade
    if grade.limit is not None:
        said = limit(grade.limit)
        if grade.wait is not None and grade.wait != row.latest.longest_wait_seconds:
            names = [name for name, counts in media.items() if counts.longest_wait_seconds == grade.wait]
            said += "".join(f" {clean(name)[:2]}" for name in names[:1])
        return said, styles.PLAIN
    targets = [
        one.wait_target_seconds for one in media.values() if isinstance(one.wait_target_seconds, int | float)
    ]
    # Where somebody waits in a medium without a target, those of other media say nothing of that wait.
    return (limit(min(targets)) if targets and not row.latest.waiting else count(None)), styles.DIM


def _available(row: Row, _: float) -> tuple[str, Style]:
    """Nobody free is being busy, no trouble by itself."""
    number = latest("agents_available")(row)
    return count(number), styles.PLAIN if number else styles.DIM


def _on_queue(row: Row, _: float) -> tuple[str, Style]:
    number = latest("agents_on_queue")(row)
    return count(number), styles.WARN if number == 0 and row.latest and row.latest.waiting else styles.PLAIN


def _plain(value: Callable[[Row], int | None]) -> Cell:
    """A number that is shown as it is."""
    return lambda row, _: (count(value(row)), styles.PLAIN)


def _seen(row: Row, now: float) -> tuple[str, Style]:
    return (age(now - row.at) if row.snapshot else count(None)), styles.DIM


def _level(row: Row, _: float) -> tuple[str, Style]:
    ratio = level_of(row)
    target = row.stats.service_level.target if row.stats and row.stats.service_level else None
    under = ratio is not None and target is not None and ratio < target
    return percent(ratio), styles.WARN if under else styles.PLAIN


_SHORT = (
    Column("WAIT", 6, _waiting, Sort.WAITING),
    Column("LONGEST", 8, _longest, Sort.LONGEST),
    Column("AVAIL", 6, _available, Sort.AVAILABLE),
)
_LONG = (
    Column("WAITING", 8, _waiting, Sort.WAITING),
    Column("LONGEST", 8, _longest, Sort.LONGEST),
    Column("TARGET", 8, _target, Sort.TARGET),
    Column("AVAILABLE", 10, _available, Sort.AVAILABLE),
    Column("ON QUEUE", 9, _on_queue, Sort.ON_QUEUE),
)
_LONGER = (*_LONG, Column("INTERACTING", 12, _plain(latest("interacting")), Sort.INTERACTING))
_SEEN = (
    Column("ALERTING", 9, _plain(latest("alerting")), Sort.ALERTING),
    Column("SEEN", 8, _seen, Sort.SEEN),
)
_STATS = (
    Column("OFFERED", 8, _plain(today("offered")), Sort.OFFERED),
    Column("ABANDONED", 10, _plain(today("abandoned")), Sort.ABANDONED),
    Column("SVC LEVEL", 10, _level, Sort.LEVEL),
)


def layout(width: int, board: Board, longest_name: int | None = None) -> Layout:
    """The columns that `width` holds. The rows have no say in it, so nothing shifts between redraws.

    With `longest_name` (a table that is printed once) the name column has exactly that width.
    """
    numbers: tuple[Column, ...] = _SHORT if width < WIDE else _LONG if width < WIDER else _LONGER
    if width >= WIDEST:
        numbers += _SEEN
    if board.has_stats and width >= WIDEST:
        numbers = (*_LONG, *_STATS) if width < FULL else (*numbers, *_STATS)
    org = 10 if len(board.instances) > 1 and width >= NARROW else 0
    division = 16 if width >= WIDEST else 0
    fixed = (
        3 + sum(1 + column.width for column in numbers) + sum(1 + one for one in (org, division) if one) + 2
    )
    free = max(0, width - fixed)
    if width < NARROW:
        trend = min(8, free // 2)
        return Layout(longest_name or max(4, free - trend), org, division, numbers, trend, 0)
    media = max(11, min(34, free * 3 // 10))
    name = longest_name or max(8, min(36, free * 3 // 8))
    return Layout(name, org, division, numbers, max(4, min(HISTORY, free - media - 1 - name)), media)


def head(columns: Layout, view: View) -> styles.Line:
    """The row of column names. The one that sorts has an arrow, upwards when the order is reversed."""
    arrow = REVERSED if view.reverse else SORTED
    line = [Segment(arrow if view.sort is Sort.SEVERITY else " ", styles.BOLD), Segment(" ", styles.PLAIN)]

    def put(text: str, width: int, sort: Sort | None = None, *, right: bool = False) -> None:
        if width:
            sorted_by = sort is view.sort
            style = styles.HEAD_SORTED if sorted_by else styles.HEAD
            line.append(Segment(" ", styles.PLAIN))
            line.append(Segment(styles.fit(text + arrow if sorted_by else text, width, right=right), style))

    put("QUEUE", columns.name, Sort.NAME)
    put("ORG", columns.org, Sort.ORG)
    put("DIVISION", columns.division, Sort.DIVISION)
    for column in columns.numbers:
        put(column.head, column.width, column.sort, right=True)
    line.append(Segment(" ", styles.PLAIN))
    trend = f"LAST {columns.trend} CYCLES"
    put(trend if len(trend) <= columns.trend else "TREND", columns.trend)
    put("WAITING BY MEDIA" if columns.media >= 16 else "BY MEDIA", columns.media)
    return line


def row_lines(items: Iterable[Row | Group], columns: Layout, scene: Scene) -> list[styles.Line]:
    """One line for each row or heading. Ages are counted from `now`, staleness from `as_of`."""
    return [
        _group_line(item) if isinstance(item, Group) else _row_line(item, columns, scene) for item in items
    ]


def _group_line(group: Group) -> styles.Line:
    sums = group.totals
    line = [
        Segment(f"── {group.name}  ", styles.BOLD),
        Segment(f"{sums.queues:,} queues  {sums.waiting_said} waiting", styles.PLAIN),
    ]
    if sums.waiting:
        line.append(Segment(f"  longest {duration(sums.longest)}", styles.PLAIN))
    if sums.critical:
        line.append(Segment(f"  {sums.critical:,} !!", styles.CRIT))
    if sums.warnings:
        line.append(Segment(f"  {sums.warnings:,} !", styles.WARN))
    for trouble, number in sums.troubles.items():
        line.append(Segment(f"  {number:,} {trouble.value.lower()}", styles.UNSURE))
    if sums.unsaid:
        line.append(Segment(f"  {sums.unsaid:,} not known", styles.UNSURE))
    return line


def _row_line(row: Row, columns: Layout, scene: Scene) -> styles.Line:
    trouble = status(row, scene.board, scene.as_of)
    severity = row.severity
    mark = styles.MARKS.get(severity, "") if trouble is None else "?"
    mark_style = styles.SEVERE.get(severity, styles.PLAIN) if trouble is None else styles.UNSURE
    quiet = trouble is None and severity is Severity.QUIET
    name_style = styles.UNSURE if trouble else _name_style(severity)
    line = [Segment(f"{mark:<3}", mark_style), Segment(styles.fit(row.name, columns.name), name_style)]
    if columns.org:
        line.append(Segment(" " + styles.fit(clean(row.org), columns.org), styles.DIM))
    if columns.division:
        line.append(Segment(" " + styles.fit(row.division, columns.division), styles.DIM))
    for column in columns.numbers:
        text, style = column.cell(row, scene.now)
        if trouble is not None or (quiet and style is styles.PLAIN):
            style = styles.DIM
        line.append(Segment(" " + styles.fit(text, column.width, right=True), style))
    line.append(Segment("  ", styles.PLAIN))
    if trouble is not None:
        line.append(Segment(styles.fit(in_words(trouble, scene.now), columns.tail), styles.UNSURE))
    else:
        line += trend(row, scene.board, columns.trend)
        if columns.media:
            split = styles.fit(media_split(row, columns.media), columns.media)
            line.append(Segment(f" {split}", styles.PLAIN))
    if row.key == scene.view.cursor and not scene.printed:
        return [Segment(text, (style or styles.PLAIN) + styles.CURSOR) for text, style, _ in line]
    return line


def _name_style(severity: Severity) -> Style:
    if severity is Severity.CRIT:
        return styles.CRIT
    return styles.DIM if severity is Severity.QUIET else styles.PLAIN


def in_words(trouble: Status, now: float) -> str:
    """`STALE 0:03:12 API lost: connection refused`."""
    since = (
        "" if trouble.trouble is Trouble.STALE and trouble.since < 0 else f" {duration(now - trouble.since)}"
    )
    return f"{trouble.trouble.value}{since} {trouble.reason}".rstrip()


def waits(row: Row, board: Board, cycles: int) -> list[int]:
    """Waiting contacts of the last cycles. Where only changes are written, a cycle without a line changed nothing."""
    instance = board.instances[row.org]
    values = row.history.window(instance.ordinal, cycles)
    if instance.health.changed_only:
        before = GAP
        for place, value in enumerate(values):
            if value == GAP:
                values[place] = before
            before = values[place]
    return values


def trend(row: Row, board: Board, cycles: int) -> styles.Line:
    """Waiting contacts over the last cycles, the newest at the right, a gap where a cycle has no snapshot."""
    values = waits(row, board, cycles)
    if not values:
        return []
    top = max([_TREND_TOP, *values])
    if top == _TREND_TOP and max(values) <= 0:
        return [Segment("".join(level(None if value < 0 else value, top) for value in values), styles.FAINT)]
    loud = styles.TREND if row.severity < Severity.WARN else _NUMBER[row.severity]
    return [
        Segment(
            "".join(level(None if value < 0 else value, top) for value in run),
            loud if waiting else styles.FAINT,
        )
        for waiting, run in groupby(values, key=lambda value: value > 0)
    ]


def media_split(row: Row, width: int) -> str:
    """The waiting contacts by media type, the most first: `voice 4 email 3`, shortened until it fits."""
    if row.latest is None or row.latest.media is None:
        return count(None)
    split = media_waiting(row.latest)
    if not split:
        return ""
    for letters in (32, 5):
        text = " ".join(f"{name[:letters]} {count(waiting)}" for waiting, name in split)
        if cell_len(text) <= width:
            return text
    # Two letters tell voice, email, chat, callback and message apart.
    parts = [f"{name[:2]}{count(waiting)}" for waiting, name in split]
    text = " ".join(parts)
    while cell_len(text) > width and len(parts) > 1:
        parts.pop()
        text = " ".join(parts) + "+"
    return text
