"""Make the README's pictures from a busy, troubled hour of the simulated contact centre: `make pictures`.

The hour passes in virtual time; all but time and the wire is the real daemon, so the lines are real output.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from rich.console import Console
from rich.json import JSON
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "release"))
from picture import svg

from queuetick.simulator import Faults
from queuetick.watch.state import Board
from queuetick.watch.tail import Printer
from queuetick.watch.view import Pane, View
from support.virtual import World

IMAGES = Path(__file__).parent / "img"
WIDTH = 118
CYCLES = 240


def troubled_hour(world: World) -> Callable[[int], None]:
    """Before each cycle: an outage of the API in the middle, two queues that are gone, a limit at the end."""
    gone = tuple(queue.id for queue in world.centre.queues[3:5])

    def trouble(number: int) -> None:
        if 150 <= number < 154:
            world.api.faults = Faults(status={503: 1.0})
        elif number == CYCLES:
            world.api.faults = Faults(missing_queues=gone, script=("ok", "429"), status_retry_after=20.0)
        else:
            world.api.faults = Faults(missing_queues=gone if number > 200 else ())

    return trouble


def hour() -> list[bytes]:
    """The lines of 240 cycles."""
    world = World(queues=34, seed=11, hour=9.75, trouble=0.3, stats_enabled=True, queues_refresh=3600)
    try:
        world.run(CYCLES, before=troubled_hour(world))
        return list(world.output.lines)
    finally:
        world.close()


def main() -> None:
    """Draw `watch`, a queue in full, `tail`, and one snapshot and one report as JSON."""
    IMAGES.mkdir(exist_ok=True)
    lines = [line.rstrip(b"\n") for line in hour()]
    for name, view, height in (("watch", View(), 26), ("detail", View(pane=Pane.DETAIL), 38)):
        board = Board()
        board.feed(lines)
        picture = svg(board, width=WIDTH, height=height, title="queuetick watch", view=view)
        (IMAGES / f"{name}.svg").write_text(picture, encoding="utf-8")
    draw_tail(lines)
    last = {}
    for line in map(json.loads, lines):
        if line["event"] != "queue.snapshot" or (line["waiting"] and line["over_target"]):
            last[line["event"]] = line
    console = recording()
    for event in ("queue.snapshot", "cycle.completed"):
        console.print(JSON(json.dumps(last[event], ensure_ascii=False), indent=None, ensure_ascii=False))
    (IMAGES / "lines.svg").write_text(console.export_svg(title="queuetick run"), encoding="utf-8")


def draw_tail(lines: list[bytes]) -> None:
    """The minutes around the outage, as `queuetick tail` prints them on a terminal."""
    paper = io.StringIO()
    # rich asks the environment of a stream that is no terminal: what it draws is told by force.
    printer = Printer(paper, zone=UTC, force_terminal=True)
    printer.append(lines)
    rows = paper.getvalue().splitlines()
    at = next(place for place, row in enumerate(rows) if "API LOST" in row)
    console = recording()
    for row in rows[max(0, at - 9) : at + 17]:
        console.print(Text.from_ansi(row), no_wrap=True, overflow="ellipsis")
    (IMAGES / "tail.svg").write_text(console.export_svg(title="queuetick tail"), encoding="utf-8")


def recording() -> Console:
    return Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )


if __name__ == "__main__":
    main()
