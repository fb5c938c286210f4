"""One queue as one row: which columns fit a width, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from queuetick.watch import styles
from queuetick.watch.health import Status, Trouble
from queuetick.watch.state import TREND_CYCLES, Board, Row
from queuetick.watch.text import REVERSED, SORTED, age, clean, count, duration, level
from queuetick.watch.view import Severity, Sort, Thresholds, View, status

NARROW = 64
WIDE = 100
WIDER = 120
WIDEST = 140
_NUMBER = {
    Severity.QUIET: styles.DIM,
    Severity.NORMAL: styles.BOLD,
    Severity.WARN: styles.WARN,
    Severity.CRIT: styles.CRIT,
}
_BAR = {
    Severity.QUIET: styles.DIM,
    Severity.NORMAL: styles.TREND,
    Severity.WARN: styles.WARN,
    Severity.CRIT: styles.CRIT,
}
_MARK = {
    Severity.QUIET: ("   ", styles.PLAIN),
    Severity.NORMAL: ("   ", styles.PLAIN),
    Severity.WARN: ("!  ", styles.WARN),
    Severity.CRIT: ("!! ", styles.CRIT),
}

Cell = Callable[[Row, Thresholds, float], tuple[str, Style]]


@dataclass(frozen=True)
class Column:
    """A right-aligned number."""

    head: str
    width: int
    cell: Cell
    sort: Sort | None = None


@dataclass(frozen=True)
class Layout:
    """Columns from left to right: mark, name, division, numbers, trend, media. Widths in cells."""

    name: int
    division: int
    numbers: tuple[Column, ...]
    trend: int
    media: int

    @property
    def tail(self) -> int:
        """Trend and media together: where a row in trouble has its reason."""
        return self.trend + (1 + self.media if self.media else 0)


def _waiting(row: Row, thresholds: Thresholds, _: float) -> tuple[str, Style]:
    latest = row.latest
    return count(latest.waiting if latest else None), _NUMBER[thresholds.waiting(row)]


def _longest(row: Row, thresholds: Thresholds, _: float) -> tuple[str, Style]:
    latest = row.latest
    return duration(latest.longest_wait_seconds if latest else None), _NUMBER[thresholds.longest(row)]


def _available(row: Row, thresholds: Thresholds, _: float) -> tuple[str, Style]:
    latest = row.latest
    severity = thresholds.available(row)
    style = styles.PLAIN if severity is Severity.NORMAL else _NUMBER[severity]
    return count(latest.agents_available if latest else None), style


def _on_queue(row: Row, _: Thresholds, __: float) -> tuple[str, Style]:
    return count(row.latest.agents_on_queue if row.latest else None), styles.PLAIN


def _interacting(row: Row, _: Thresholds, __: float) -> tuple[str, Style]:
    return count(row.latest.interacting if row.latest else None), styles.PLAIN


def _alerting(row: Row, _: Thresholds, __: float) -> tuple[str, Style]:
    return count(row.latest.alerting if row.latest else None), styles.PLAIN


def _seen(row: Row, _: Thresholds, now: float) -> tuple[str, Style]:
    return (age(now - row.at) if row.snapshot else count(None)), styles.DIM


_SHORT = (
    Column("WAIT", 6, _waiting, Sort.WAITING),
    Column("LONGEST", 8, _longest, Sort.LONGEST),
    Column("AVAIL", 6, _available, Sort.AVAILABLE),
)
_LONG = (
    Column("WAITING", 8, _waiting, Sort.WAITING),
    Column("LONGEST", 8, _longest, Sort.LONGEST),
    Column("AVAILABLE", 10, _available, Sort.AVAILABLE),
    Column("ON QUEUE", 8, _on_queue),
)
_LONGER = (*_LONG, Column("INTERACTING", 11, _interacting))
_LONGEST = (*_LONGER, Column("ALERTING", 8, _alerting), Column("SEEN", 8, _seen))


def layout(width: int, longest_name: int | None = None) -> Layout:
    """The columns that `width` holds. The rows have no say in it, so nothing shifts between redraws.

    With `longest_name` (a table that is printed once) the name column has exactly that width.
    """
    numbers: tuple[Column, ...]
    if width < NARROW:
        numbers, division, trend = _SHORT, 0, 8
    elif width < WIDE:
        numbers, division, trend = _SHORT, 0, TREND_CYCLES
    elif width < WIDER:
        numbers, division, trend = _LONG, 0, TREND_CYCLES
    elif width < WIDEST:
        numbers, division, trend = _LONGER, 0, TREND_CYCLES
    else:
        numbers, division, trend = _LONGEST, 16, TREND_CYCLES
    fixed = (
        3
        + sum(1 + column.width for column in numbers)
        + (1 + division if division else 0)
        + 2
        + trend
        + (width >= NARROW)
    )
    free = max(0, width - fixed)
    if width < NARROW:
        return Layout(longest_name or max(4, free), division, numbers, trend, 0)
    name = longest_name or min(44, free * 5 // 8)
    return Layout(name, division, numbers, trend, max(11, min(44, free - name)))


def head(columns: Layout, view: View) -> styles.Line:
    """The row of column names. The one that sorts has an arrow, upwards when the order is turned round."""
    line = [Segment("   ", styles.PLAIN)]

    def put(text: str, width: int, *, right: bool = False, sort: Sort | None = None) -> None:
        sorted_by = sort is view.sort
        if sorted_by:
            text += REVERSED if view.reverse else SORTED
        style = styles.HEAD_SORTED if sorted_by else styles.HEAD
        line.append(Segment(styles.fit(text, width, right=right), style))

    put("QUEUE", columns.name, sort=Sort.NAME)
    if columns.division:
        line.append(Segment(" ", styles.PLAIN))
        put("DIVISION", columns.division)
    for column in columns.numbers:
        line.append(Segment(" ", styles.PLAIN))
        put(column.head, column.width, right=True, sort=column.sort)
    line.append(Segment("  ", styles.PLAIN))
    put("TREND" if columns.trend < TREND_CYCLES else f"LAST {TREND_CYCLES} CYCLES", columns.trend)
    if columns.media:
        line.append(Segment(" ", styles.PLAIN))
        put("WAITING BY MEDIA" if columns.media >= 16 else "BY MEDIA", columns.media)
    return line


def row_lines(
    rows: Iterable[Row], columns: Layout, board: Board, thresholds: Thresholds, *, now: float, as_of: float
) -> list[styles.Line]:
    """One line a row. Ages are counted from `now`, staleness from `as_of`."""
    return [_row_line(row, columns, board, thresholds, now=now, as_of=as_of) for row in rows]


def _row_line(
    row: Row, columns: Layout, board: Board, thresholds: Thresholds, *, now: float, as_of: float
) -> styles.Line:
    trouble = status(row, board, as_of)
    severity = thresholds.row(row)
    mark, mark_style = _MARK[severity] if trouble is None else ("?  ", styles.UNSURE)
    quiet = trouble is None and severity is Severity.QUIET
    name_style = styles.UNSURE if trouble else _name_style(severity)
    line = [Segment(mark, mark_style), Segment(styles.fit(row.name, columns.name), name_style)]
    if columns.division:
        line.append(Segment(" " + styles.fit(row.division, columns.division), styles.DIM))
    for column in columns.numbers:
        text, style = column.cell(row, thresholds, now)
        if trouble is not None or (quiet and style is styles.PLAIN):
            style = styles.DIM
        line.append(Segment(" " + styles.fit(text, column.width, right=True), style))
    line.append(Segment("  ", styles.PLAIN))
    if trouble is not None:
        line.append(Segment(styles.fit(in_words(trouble, now), columns.tail), styles.UNSURE))
        return line
    line += trend(row, board.ordinal, columns.trend, thresholds)
    if columns.media:
        line.append(Segment(" " + styles.fit(media_split(row, columns.media), columns.media), styles.PLAIN))
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


def trend(row: Row, newest: int, cycles: int, thresholds: Thresholds) -> styles.Line:
    """Waiting contacts over the last cycles, the newest at the right, a gap where a cycle has no snapshot.

    A row's scale ends at its highest value, but never below the warning threshold: a queue that goes from
    0 to 1 must not look like one that goes from 0 to 40.
    """
    values = dict(row.trend)
    top = max([thresholds.waiting_warn, *(value for value in values.values() if value is not None)])
    line: styles.Line = []
    run, run_style = "", styles.PLAIN
    for ordinal in range(newest - cycles + 1, newest + 1):
        value = values.get(ordinal)
        style = _BAR[thresholds.grade_waiting(value)]
        if style is not run_style:
            if run:
                line.append(Segment(run, run_style))
            run, run_style = "", style
        run += level(value, top)
    line.append(Segment(run, run_style))
    return line


def media_split(row: Row, width: int) -> str:
    """The waiting contacts by media type, the most first: `voice 4 email 3`, shortened until it fits."""
    latest = row.latest
    if latest is None or latest.media is None:
        return count(None)
    split = sorted(
        ((media.waiting, clean(name)) for name, media in latest.media.items() if media.waiting),
        key=lambda part: (-part[0], part[1]),
    )
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
