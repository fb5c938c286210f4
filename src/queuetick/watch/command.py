"""From the arguments of `queuetick watch` to a live table, or to one that is printed."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterable

from rich.console import Console

from queuetick.events.thresholds import Threshold
from queuetick.watch import once, styles
from queuetick.watch.follow import Source, open_or_say
from queuetick.watch.header import Scene
from queuetick.watch.lines import ELSEWHERE
from queuetick.watch.loop import Live
from queuetick.watch.state import Board
from queuetick.watch.terminal import Painter, Terminal, doorbell, suspend, wait_readable
from queuetick.watch.view import Sort, Thresholds, View

_NO_INPUT = (
    "queuetick watch: nothing is piped in and no FILE is named. Try\n"
    "  journalctl -fu queuetick -o cat | queuetick watch\n"
    "  queuetick watch /var/log/queuetick/queuetick.jsonl\n"
)
# Rows and lines hold no reference cycles: looking for some among 100,000 objects at every redraw finds nothing.
GC_THRESHOLD = (50_000, 20, 100)


def watch(args: argparse.Namespace, limits: Iterable[Threshold] = ()) -> int:  # noqa: ARG001
    """Returns the exit code."""
    if args.file == "-" and sys.stdin.isatty():
        sys.stderr.write(_NO_INPUT)
        return 2
    source = open_or_say(args.file, "watch", sys.stderr)
    if isinstance(source, int):
        return source
    gc.set_threshold(*GC_THRESHOLD)
    view = View(sort=Sort(args.sort), words=args.filter)
    thresholds = Thresholds(*args.waiting_at, *args.longest_at)
    console = Console()
    if args.once or not console.is_terminal or console.is_dumb_terminal:
        return _once(source, view, thresholds)
    keyboard = _keyboard()
    terminal = Terminal(
        sys.stdout.fileno(),
        keyboard,
        Painter(styles.color_system(console), no_color=console.no_color),
        console.encoding,
    )
    live = Live(
        source,
        terminal,
        view,
        thresholds,
        clock=time.time,
        monotonic=time.monotonic,
        wait=wait_readable,
        suspend=suspend,
    )
    with doorbell() as bell:
        live.run(bell)
    if keyboard is None:
        # Nobody could press q, so the screen went away by itself: leave what it showed.
        once.print_table(_last_scene(live.board, view, thresholds), sys.stdout)
    return 0


def _once(source: Source, view: View, thresholds: Thresholds) -> int:
    board = Board()
    once.read_all(source, board, wait_readable)
    if not board.rows and board.health.cycle is None:
        words = next(
            (words for kind, words in ELSEWHERE.items() if board.rejects[kind]),
            "no queue.snapshot among them",
        )
        sys.stderr.write(f"queuetick watch: {board.lines_read:,} lines read: {words}\n")
        return 1
    once.print_table(_last_scene(board, view, thresholds), sys.stdout)
    return 0


def _last_scene(board: Board, view: View, thresholds: Thresholds) -> Scene:
    return Scene(board, view, thresholds, now=time.time(), as_of=board.newest_at, printed=True)


def _keyboard() -> int | None:
    """The terminal's keys; stdin may be the lines, so it is asked for by name."""
    try:
        return os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        # No controlling terminal, as in some containers.
        return sys.stdin.fileno() if sys.stdin.isatty() else None
