"""A whole screen from a board: header, notices, table, footer. Pure; the same scene gives the same lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.segment import Segment

from queuetick.watch import styles, table
from queuetick.watch.header import Scene, health_line, notices
from queuetick.watch.health import Trouble
from queuetick.watch.state import Row
from queuetick.watch.text import GAP, UNKNOWN, clean
from queuetick.watch.view import Totals, View, matching, totals, worst_first

MAX_NOTICES = 3
_HELP = (
    ("w", "worst first by waiting contacts"),
    ("l", "worst first by the longest wait"),
    ("a", "fewest available agents first"),
    ("n", "by name"),
    ("r", "turn the order round"),
    ("/", "filter by name, division or id; Esc clears it"),
    ("p", "only queues with a problem"),
    ("space", "hold the screen still; lines are still read"),
    ("↑ ↓ PgUp PgDn g G", "scroll (also k j)"),
    ("q", "quit"),
    ("", ""),
    ("!! !", "above a threshold, or nobody to take a contact"),
    ("?", "no fresh numbers; the dim ones are the last known"),
    (UNKNOWN, "the API did not say"),
    (GAP, "a cycle without a snapshot"),
)


@dataclass
class Screen:
    """Makes frames. Keeps the order of the rows as long as nothing that decides it has changed."""

    _key: tuple[object, ...] = ()
    _window: tuple[int, int] | None = None
    _matching: list[Row] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _totals: Totals = field(default_factory=Totals)

    def frame(self, scene: Scene, width: int, height: int) -> list[styles.Line]:
        """Exactly `height` lines of exactly `width` cells. Brings the offset back to where rows are."""
        view = scene.view
        told: list[styles.Line] = [
            [Segment(f" {text} ", style)] for text, style in notices(scene)[:MAX_NOTICES]
        ]
        # One line is kept free for them, so that the first notice does not push the table down.
        told = told or [[]]
        room = max(0, height - 4 - len(told))
        self._sort(scene, room)
        matched = len(self._matching)
        lines = [health_line(scene, width), totals_line(scene, self._totals, matched, width), *told]
        lines += _help() if view.help else self._table(scene, width)
        lines = lines[: max(1, height - 1)]
        lines += [[]] * (height - 1 - len(lines))
        if height > 1:
            lines.append(footer(scene, matched, room, width))
        return [styles.exactly(line, width) for line in lines]

    def _table(self, scene: Scene, width: int) -> list[styles.Line]:
        columns = table.layout(width)
        lines = [table.head(columns, scene.view)]
        if not self._rows:
            return [*lines, [Segment(f"  {_why_empty(scene)}", styles.DIM)]]
        return lines + table.row_lines(
            self._rows, columns, scene.board, scene.thresholds, now=scene.now, as_of=scene.as_of
        )

    def _sort(self, scene: Scene, room: int) -> None:
        view, board = scene.view, scene.board
        key = (id(board), board.lines_read, view.order)
        if key != self._key or scene.as_of > self._totals.next_stale:
            self._key, self._window = key, None
            self._matching = matching(board, view, scene.thresholds, scene.as_of)
            self._totals = totals(board, scene.thresholds, scene.as_of)
        view.offset = max(0, min(view.offset, len(self._matching) - room))
        if self._window != (view.offset, room):
            self._window = (view.offset, room)
            self._rows = worst_first(self._matching, board, view, scene.as_of, view.offset + room)[
                view.offset :
            ]


def _help() -> list[styles.Line]:
    return [[Segment(f"  {keys:<20}", styles.BOLD), Segment(words, styles.PLAIN)] for keys, words in _HELP]


def _why_empty(scene: Scene) -> str:
    if not scene.board.rows:
        return "no queue.snapshot line yet"
    return "no queue has a problem" if not scene.view.words else "no queue matches the filter"


def totals_line(scene: Scene, sums: Totals, matched: int, width: int) -> styles.Line:
    """How many wait, how many queues are in trouble, and what the reader chose to see."""
    queues = len(scene.board.rows)
    left = [
        Segment(f"{sums.waiting:,} waiting", styles.BOLD),
        Segment(f" in {_queues(sums.queues_waiting)}", styles.PLAIN),
    ]
    if sums.loud:
        left.append(Segment(f"  {sums.loud:,} over threshold", styles.CRIT))
    if sums.nobody_free:
        left.append(Segment(f"  {sums.nobody_free:,} with nobody free", styles.WARN))
    left += [
        Segment(f"  {number:,} {trouble.value.lower()}", styles.UNSURE)
        for trouble in Trouble
        if (number := sums.troubles[trouble])
    ]
    chosen = _chosen(scene.view, matched, queues)
    line = styles.spread(left, chosen, width)
    if line is not left:
        return line
    # That rows are left out must be seen, whatever has to give way for it.
    return [*styles.exactly(left, max(0, width - styles.width_of(chosen))), *chosen]


def _chosen(view: View, matched: int, queues: int) -> styles.Line:
    chosen = [Segment(" problems only", styles.BOLD)] if view.problems else []
    if view.words and not view.typing:
        chosen.append(Segment(f" /{clean(view.words)}", styles.BOLD))
    if view.words or view.problems:
        chosen.append(Segment(f" {matched:,} of {queues:,}", styles.DIM))
    return chosen


def _queues(number: int) -> str:
    return f"{number:,} queue{'' if number == 1 else 's'}"


def footer(scene: Scene, matched: int, room: int, width: int) -> styles.Line:
    """The keys, and where in the list and in the input this is."""
    view, board = scene.view, scene.board
    if view.typing:
        return [
            Segment("filter: ", styles.BOLD),
            Segment(f"{clean(view.words)}▏", styles.PLAIN),
            Segment(f"  {matched:,} of {len(board.rows):,}  Enter keeps, Esc clears", styles.DIM),
        ]
    words = (
        "any key goes back"
        if view.help
        else "q quit  w l a n sort  / filter  p problems  space pause  ? help"
    )
    left = [Segment(words, styles.DIM)]
    last = min(matched, view.offset + room)
    place = f"{view.offset + 1:,}-{last:,} of {matched:,}" if matched > room and room else _queues(matched)
    odd = f", {board.skipped:,} skipped" if board.skipped else ""
    for right in (f"{place}  {board.lines_read:,} lines{odd}", f"{place}{odd}", place):
        line = styles.spread(left, [Segment(right, styles.DIM)], width)
        if line is not left:
            return line
    return left
