"""A whole screen from a board: header, notices, table or detail, events, footer."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.segment import Segment

from queuetick.watch import detail, styles, table
from queuetick.watch.header import Scene, health_line, notices
from queuetick.watch.health import Trouble
from queuetick.watch.sort import Sort
from queuetick.watch.state import Row
from queuetick.watch.text import GAP, UNKNOWN, clean
from queuetick.watch.view import Group, Pane, Totals, View, grouped, matching, ordered, totals

MAX_NOTICES = 3
LOW = 8
"""Lines below which no line is kept free."""
_HELP = (
    ("s", "worst first: critical, over target, not known, waiting"),
    ("w l a n", "sort by waiting, longest wait, available, name"),
    ("< >", "sort by the next column; or click on its name"),
    ("r", "reverse the order"),
    ("d", "group by division, with subtotals"),
    ("/", "filter: emea -test division:EMEA org:apac name:VIP*"),
    ("p", "only queues with a mark"),
    ("↑ ↓ PgUp PgDn g G", "move the cursor (also k j, wheel); it follows its queue"),
    ("Enter", "the queue in full; Esc or Enter goes back"),
    ("e", "events: each change that matters"),
    ("Esc", "close the pane, else take the cursor away, else the filter"),
    ("space", "freeze the screen; lines are still read"),
    ("q", "quit"),
    ("", ""),
    ("!! !", "over a critical limit; over its target or a warning limit"),
    ("?", "no fresh numbers; the dim ones are the last known"),
    (UNKNOWN, "not known"),
    (GAP, "a cycle without a snapshot"),
)


@dataclass
class Screen:
    """Makes frames. Keeps the order of the rows as long as nothing that decides it has changed."""

    _key: tuple[object, ...] = ()
    _matching: list[Row] = field(default_factory=list)
    _items: list[Row | Group] = field(default_factory=list)
    _whole: bool = False
    """Whether `_items` has every row, or only the first ones."""
    _totals: Totals = field(default_factory=Totals)
    _columns: table.Layout | None = None
    _head_at: int = -1
    """The line of the column names; -1 where there is no table."""

    def frame(self, scene: Scene, width: int, height: int) -> list[styles.Line]:
        """Exactly `height` lines of exactly `width` cells. Moves the cursor and the offset to where rows are."""
        view = scene.view
        found = notices(scene)
        told: list[styles.Line] = [[Segment(f" {one.words} ", one.style)] for one in found[:MAX_NOTICES]]
        if len(found) > MAX_NOTICES:
            told[-1].append(Segment(f" +{len(found) - MAX_NOTICES} more", styles.BOLD))
        # One line is kept free for them, so that the first notice does not push the table down.
        told = told or [[]] * (height >= LOW)
        room = max(0, height - 4 - len(told))
        events = self._events(scene, room // 3) if view.pane is Pane.EVENTS else []
        room -= len(events)
        self._sort(scene, room)
        self._place(view, room)
        matched = len(self._matching)
        lines = [health_line(scene, width), totals_line(scene, self._totals, matched, width), *told]
        self._head_at = -1
        if view.pane is Pane.HELP:
            lines += _help()
        elif view.pane is Pane.DETAIL and view.cursor in scene.board.rows:
            lines += detail.lines(scene.board.rows[view.cursor], scene, width, room + 1)
        else:
            self._head_at = len(lines)
            body = self._table(scene, width, room)
            lines += [*body, *([[]] * (room + 1 - len(body))), *events]
        lines = lines[: max(1, height - 1)]
        lines += [[]] * (height - 1 - len(lines))
        if height > 1:
            lines.append(footer(scene, matched, len(self._items), room, width))
        return [styles.exactly(line, width) for line in lines]

    def columns(self) -> tuple[Sort, ...]:
        """What the table that is shown can be sorted by, from left to right."""
        return tuple(sort for _, _, sort in self._columns.spans) if self._columns else ()

    def open(self, view: View) -> None:
        """Show the queue that the cursor is on, or the first one, in full."""
        if view.cursor is None:
            first = next((item for item in self._items[view.offset :] if isinstance(item, Row)), None)
            view.cursor = first.key if first else None
        if view.cursor is not None:
            view.pane = Pane.DETAIL

    def click(self, view: View, column: int, line: int) -> None:
        """Sort by the column whose head was clicked, turn its order round, or put the cursor on a row."""
        if self._head_at < 0 or self._columns is None:
            return
        if line == self._head_at:
            sort = next((one for start, end, one in self._columns.spans if start <= column < end), None)
            if sort is not None:
                view.reverse = not view.reverse if sort is view.sort else False
                view.sort, view.cursor, view.offset = sort, None, 0
            return
        place = view.offset + line - self._head_at - 1
        if line > self._head_at and place < len(self._items) and isinstance(item := self._items[place], Row):
            view.cursor = item.key

    def _events(self, scene: Scene, room: int) -> list[styles.Line]:
        entries = list(scene.board.events)[-max(0, room - 1) :] if room > 1 else []
        head = "EVENTS" if entries else "no events yet"
        return [[Segment(f"   {head}", styles.HEAD)], *(detail.entry_line(entry, scene) for entry in entries)]

    def _table(self, scene: Scene, width: int, room: int) -> list[styles.Line]:
        columns = self._columns = table.layout(width, scene.board)
        lines = [table.head(columns, scene.view)]
        if not self._items:
            return [*lines, [Segment(f"  {_why_empty(scene)}", styles.DIM)]]
        shown = self._items[scene.view.offset : scene.view.offset + room]
        return lines + table.row_lines(shown, columns, scene)

    def _sort(self, scene: Scene, room: int) -> None:
        view, board = scene.view, scene.board
        whole = view.cursor is not None or bool(view.move) or view.offset > 0 or view.grouped
        key = (id(board), board.lines_read, view.order)
        if key != self._key or scene.as_of > self._totals.next_stale:
            self._key = key
            self._matching = matching(board, view, scene.as_of)
            self._totals = totals(board.rows.values(), board, scene.as_of)
        elif (whole <= self._whole) and len(self._items) >= min(room, len(self._matching)):
            return
        self._whole = whole
        if view.grouped:
            self._items = grouped(self._matching, board, view, scene.as_of)
        else:
            self._items = [*ordered(self._matching, board, view, scene.as_of, None if whole else room)]

    def _place(self, view: View, room: int) -> None:
        """Take the cursor where it was told to go, and bring its row into sight."""
        items, move, view.move = self._items, view.move, 0
        places = (
            [place for place, item in enumerate(items) if isinstance(item, Row)]
            if move or view.cursor
            else []
        )
        at = next((n for n, place in enumerate(places) if _key_of(items[place]) == view.cursor), None)
        if view.cursor is not None and at is None:
            view.cursor = None
            view.pane = Pane.NONE if view.pane is Pane.DETAIL else view.pane
        if move and places:
            at = max(0, min(len(places) - 1, (-1 if at is None else at) + move))
            view.cursor = _key_of(items[places[at]])
        if view.cursor is not None and at is not None:
            place = places[at]
            # The heading of the first row's group is shown with it.
            above = place - 1 if place and isinstance(items[place - 1], Group) else place
            view.offset = max(min(view.offset, above), place - room + 1)
        last = len(items) if self._whole else len(self._matching)
        view.offset = max(0, min(view.offset, last - room))


def _key_of(item: Row | Group) -> tuple[str, str] | None:
    return item.key if isinstance(item, Row) else None


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
        Segment(f"{sums.waiting_said} waiting", styles.BOLD),
        Segment(f" in {_queues(sums.queues_waiting)}", styles.PLAIN),
    ]
    if sums.critical:
        left.append(Segment(f"  {sums.critical:,} critical (!!)", styles.CRIT))
    if sums.warnings:
        left.append(Segment(f"  {sums.warnings:,} over target (!)", styles.WARN))
    left += [
        Segment(f"  {number:,} {trouble.value.lower()}", styles.UNSURE)
        for trouble in Trouble
        if (number := sums.troubles[trouble])
    ]
    if sums.unsaid:
        left.append(Segment(f"  {sums.unsaid:,} not known", styles.UNSURE))
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


_KEYS = {
    Pane.NONE: "q quit  Enter detail  e events  / filter  <> sort  d group  ? help",
    Pane.EVENTS: "q quit  Enter detail  e table only  / filter  <> sort  d group  ? help",
    Pane.DETAIL: "Esc back  ↑↓ other queue  q quit",
    Pane.HELP: "any key goes back",
}


def footer(scene: Scene, matched: int, items: int, room: int, width: int) -> styles.Line:
    """The keys, and where in the list and in the input this is."""
    view, board = scene.view, scene.board
    if view.typing:
        return [
            Segment("filter: ", styles.BOLD),
            Segment(f"{clean(view.words)}▏", styles.PLAIN),
            Segment(f"  {matched:,} of {len(board.rows):,}  Enter keeps, Esc clears", styles.DIM),
        ]
    left = [Segment(_KEYS[view.pane], styles.DIM)]
    every = items if view.grouped else matched
    last = min(every, view.offset + room)
    place = f"{view.offset + 1:,}-{last:,} of {every:,}" if every > room and room else _queues(matched)
    odd = f", {board.skipped:,} skipped" if board.skipped else ""
    for right in (f"{place}  {board.lines_read:,} lines{odd}", f"{place}{odd}", place):
        line = styles.spread(left, [Segment(right, styles.DIM)], width)
        if line is not left:
            return line
    return left
