"""From the arguments of `queuetick watch` to a live table, or to one that is printed."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterable
from datetime import UTC, tzinfo
from pathlib import Path

from rich.console import Console

from queuetick.events.thresholds import Threshold
from queuetick.watch import once, styles
from queuetick.watch.changes import given
from queuetick.watch.follow import Source, open_or_say
from queuetick.watch.header import Scene
from queuetick.watch.lines import ELSEWHERE
from queuetick.watch.loop import Live
from queuetick.watch.moments import moment
from queuetick.watch.replay import Replay, last_stamp
from queuetick.watch.sort import Sort
from queuetick.watch.state import Board
from queuetick.watch.terminal import OF_A_SCREEN, Painter, Terminal, doorbell, suspend, wait_readable
from queuetick.watch.view import View

# Rows and lines hold no reference cycles: looking for some among 100,000 objects at every redraw finds nothing.
GC_THRESHOLD = (50_000, 20, 100)


def run(args: argparse.Namespace, thresholds: Iterable[Threshold] = ()) -> int:
    """Returns the exit code. `thresholds` are those of the configuration; limits among the options replace them."""
    zone = UTC if args.utc else None
    replay = args.start is not None or args.speed is not None
    source = _replay(args, zone) if replay else open_or_say(args.file, "watch")
    if isinstance(source, int):
        return source
    gc.set_threshold(*GC_THRESHOLD)
    view = View(sort=Sort(args.sort), words=args.filter, grouped=args.group)
    board = Board(given(_limits(args) or thresholds))
    console = Console()
    if args.once or not console.is_terminal or console.is_dumb_terminal:
        return _once(source, view, board, zone)
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
        board,
        clock=source.clock if isinstance(source, Replay) else time.time,
        monotonic=time.monotonic,
        wait=wait_readable,
        suspend=suspend,
        zone=zone,
        speed=source.speed if isinstance(source, Replay) else None,
    )
    with doorbell(OF_A_SCREEN) as bell:
        live.run(bell)
    if keyboard is None:
        # Nobody could press q, so the screen went away by itself: leave what it showed.
        once.print_table(_last_scene(board, view, zone), sys.stdout)
    return 0


def _limits(args: argparse.Namespace) -> tuple[Threshold, ...]:
    """`--waiting-at` and `--longest-at` as one threshold for every queue; none where neither is given."""
    if args.waiting_at is None and args.longest_at is None:
        return ()
    return (Threshold(waiting=args.waiting_at, longest_wait=args.longest_at),)


def _replay(args: argparse.Namespace, zone: tzinfo | None) -> Source | int:
    """The file played again, or the exit code after a sentence on stderr."""
    path = Path(args.file)
    if args.file == "-" or not path.is_file():
        sys.stderr.write(
            f"queuetick watch: --from and --speed need a FILE to play again; {args.file} is not a file\n"
        )
        return 2
    try:
        end = last_stamp(path)
        start = None if args.start is None else moment(args.start, end or time.time(), zone)
        return Replay(path, speed=args.speed or 1.0, monotonic=time.monotonic, start=start, end=end)
    except OSError as error:
        sys.stderr.write(f"queuetick watch: cannot read {args.file}: {error.strerror}\n")
        return 1


def _once(source: Source, view: View, board: Board, zone: tzinfo | None) -> int:
    once.read_all(source, board, wait_readable)
    if not board.rows and not any(one.health.cycle for one in board.instances.values()):
        words = next(
            (words for kind, words in ELSEWHERE.items() if board.rejects[kind]),
            "no queue.snapshot among them. Fix: name the file of queuetick's lines, or pipe them in, such as "
            "`journalctl -t queuetick -o cat -n 2000 | queuetick watch --once`",
        )
        sys.stderr.write(f"queuetick watch: {board.lines_read:,} lines read: {words}\n")
        return 1
    once.print_table(_last_scene(board, view, zone), sys.stdout)
    return 0


def _last_scene(board: Board, view: View, zone: tzinfo | None) -> Scene:
    return Scene(board, view, now=time.time(), as_of=board.newest_at, printed=True, zone=zone)


def _keyboard() -> int | None:
    """The terminal's keys; stdin may be the lines, so it is asked for by name."""
    try:
        return os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        # No controlling terminal, as in some containers.
        return 0 if os.isatty(0) else None
