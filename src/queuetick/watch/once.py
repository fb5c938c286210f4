"""One table of the newest snapshot of every queue, printed and done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from queuetick.watch import styles, table
from queuetick.watch.follow import Source
from queuetick.watch.header import Scene, health_line, notices
from queuetick.watch.screen import totals_line
from queuetick.watch.state import Board
from queuetick.watch.terminal import Wait
from queuetick.watch.view import grouped, matching, ordered, totals

# A pipe has no width: wide enough for every column.
UNBOUNDED = 200


def read_all(source: Source, board: Board, wait: Wait, clock: Callable[[], float] = time.time) -> None:
    """Read a pipe to its end, or a file to where it ends now. Ctrl-C means that what came so far will do."""
    try:
        while not source.ended:
            if source.descriptor is not None:
                wait([source.descriptor], None)
            board.feed(source.read(), clock())
            if source.descriptor is None and not source.behind:
                break
    except KeyboardInterrupt:
        pass
    finally:
        source.close()


def lines_of(scene: Scene, width: int | None) -> list[styles.Line]:
    """Header and every matching row. `width` None: no name is cut."""
    board, view = scene.board, scene.view
    rows = matching(board, view, scene.as_of)
    longest = None if width else max([10, *(cell_len(row.name) for row in rows)])
    columns = table.layout(width or UNBOUNDED, board, longest)
    head = table.head(columns, view)
    across = width or styles.width_of(head)
    order = grouped if view.grouped else ordered
    lines = [
        health_line(scene, across),
        totals_line(scene, totals(board.rows.values(), board, scene.as_of), len(rows), across),
        *([Segment(f" {notice.words} ", notice.style)] for notice in notices(scene)),
        [],
        head,
        *table.row_lines(order(rows, board, view, scene.as_of), columns, scene),
    ]
    return [styles.exactly(line, width) for line in lines] if width else lines


def print_table(scene: Scene, stream: TextIO) -> None:
    """Colour and the terminal's width on a terminal, plain text of any width elsewhere."""
    console = Console(file=stream)
    width = console.width if console.is_terminal else None
    system = styles.color_system(console)
    encoding = console.encoding
    for line in lines_of(scene, width):
        text = styles.ansi(line, system, no_color=console.no_color).rstrip()
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()
