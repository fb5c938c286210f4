"""Lines and bytes a day, for each of the options that make lines fewer or shorter.

    PYTHONPATH=tests python bench/sizing.py [--queues 137 1500] [--minutes 10]

A day of the simulator's contact centre on a clock that does not wait: the daemon's own cycles, comparison and encoder, every 15
seconds. Of each hour the first `--minutes` are polled and scaled up to the hour (60 polls all of it). Bytes are those of the lines with
their newlines; what a shipper or an index adds comes on top. Your share of quiet queues decides what "active" and "changed" save.
"""

from __future__ import annotations

import argparse
import threading
from collections import Counter
from itertools import product
from typing import Any

from queuetick.config import Output
from queuetick.events import CycleReport, Fact, QueueSnapshot
from queuetick.lines import Emitter
from queuetick.polling.memory import Memory
from support.collect import Collected
from support.virtual import World

HOURS, INTERVAL = 24, 15
MEDIA = ("all", "active", "none")
CHANGED = Output(snapshots="changed")


class Sizes:
    """Counts lines and bytes for each pair of `output.media` and `output.snapshots`."""

    def __init__(self) -> None:
        self.lines: Counter[tuple[str, str]] = Counter()
        self.bytes: Counter[tuple[str, str]] = Counter()
        self.counting = False
        self.scheduled = 0.0
        self._lock = threading.Lock()
        self._memory = Memory()
        self._outputs = {media: Collected() for media in MEDIA}
        self._emitters: dict[str, Emitter] = {}

    def begin(self, world: World) -> None:
        for media, output in self._outputs.items():
            self._emitters[media] = Emitter(output, now=world.time.now, media=media)  # type: ignore[arg-type]

    def take(self, *facts: Fact, **_: Any) -> None:
        """Replace the daemon's writer. Batches call it from several threads."""
        with self._lock:
            for fact in facts:
                if isinstance(fact, QueueSnapshot | CycleReport):
                    self._count(fact)

    def _count(self, fact: QueueSnapshot | CycleReport) -> None:
        written = ["all"]
        if isinstance(fact, CycleReport) or self._memory.to_be_written(
            fact, CHANGED, scheduled=self.scheduled
        ):
            written.append("changed")
        for media in MEDIA if self.counting else ():
            output = self._outputs[media]
            self._emitters[media].emit(fact)
            size = sum(map(len, output.lines))
            for snapshots in written:
                self.lines[media, snapshots] += len(output.lines)
                self.bytes[media, snapshots] += size
            output.lines.clear()


def measure(queues: int, minutes: int) -> Sizes:
    sizes = Sizes()
    world = World(
        queues=queues, emit=sizes.take, poll_batch_size=200, poll_interval=INTERVAL,
        poll_requests_per_minute=1_000_000, travel=lambda: 0.01,
    )  # fmt: skip
    sizes.begin(world)
    begin = world.time.now()

    def before(_: int) -> None:
        sizes.scheduled = world.time.now()

    for hour in range(HOURS):
        world.time.advance(begin + 3600 * hour - INTERVAL - world.time.now())
        for cycle in range(minutes * 60 // INTERVAL + 1):
            sizes.counting = cycle > 0  # the first one has nothing to be compared with
            done = len(world.reports)
            while len(world.reports) == done:
                world.run(world.cycles.number + 1, before=before)
    world.close()
    return sizes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queues", type=int, nargs="+", default=[137, 1500])
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()
    print("| queues | media | snapshots | lines a day | bytes a line | GB a day |")
    print("|---|---|---|---|---|---|")
    for queues in options.queues:
        sizes = measure(queues, options.minutes)
        scale = 60 / options.minutes
        for snapshots, media in product(("all", "changed"), MEDIA):
            lines, size = sizes.lines[media, snapshots], sizes.bytes[media, snapshots]
            print(
                f'| {queues:,} | "{media}" | "{snapshots}" | {lines * scale:,.0f} | {size / lines:,.0f}'
                f" | {size * scale / 1e9:.2f} |",
                flush=True,
            )
