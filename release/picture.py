"""`python release/picture.py FILE OUT.svg`: the live table as a picture, from real lines."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from rich.console import Console
from rich.segment import Segment, Segments

from queuetick.watch.header import Scene
from queuetick.watch.screen import Screen
from queuetick.watch.state import Board
from queuetick.watch.view import Pane, View


def svg(
    board: Board,
    *,
    width: int = 110,
    height: int = 28,
    title: str = "queuetick watch",
    view: View | None = None,
) -> str:
    """The board as it looked one second after its newest line: the same lines give the same picture."""
    now = board.newest_at + 1 if board.lines_read else 0.0
    scene = Scene(board, view or View(), now, now)
    screen = Screen()
    frame = screen.frame(scene, width, height)
    if scene.view.pane is Pane.DETAIL:
        screen.open(scene.view)
        frame = screen.frame(scene, width, height)
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in frame:
        console.print(Segments([*line, Segment.line()]), end="")
    return console.export_svg(title=title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="JSON lines")
    parser.add_argument("out", type=Path, help="the SVG to write")
    parser.add_argument("--width", type=int, default=110, help="columns")
    parser.add_argument("--height", type=int, default=28, help="lines")
    parser.add_argument("--detail", action="store_true", help="the first queue in full")
    args = parser.parse_args()
    board = Board()
    board.feed(line for line in args.file.read_bytes().split(b"\n") if line)
    view = View(pane=Pane.DETAIL if args.detail else Pane.NONE)
    args.out.write_text(svg(board, width=args.width, height=args.height, view=view), encoding="utf-8")


if __name__ == "__main__":
    main()
