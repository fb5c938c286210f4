"""Event metrics on a clock that the test moves, and events to feed them."""

from __future__ import annotations

from msgspec.structs import replace

from queuetick.events import CycleReport, QueueSnapshot, QueueStats
from queuetick.events.examples import EXAMPLES
from queuetick.metrics.collector import EventMetrics
from queuetick.metrics.health import Health, InForce

from .scraping import Series

SNAPSHOT = next(event for event in EXAMPLES if isinstance(event, QueueSnapshot))
STATS = next(event for event in EXAMPLES if isinstance(event, QueueStats))
IN_FORCE = InForce(15.0, 15.0, 20, 12, 300, 12.0)


class Recorded:
    """Event metrics whose clock is `seconds` and whose settings are `in_force`."""

    def __init__(self, in_force: InForce = IN_FORCE) -> None:
        self.seconds = 1000.0
        self.in_force = in_force
        self.metrics = EventMetrics(
            lambda: self.in_force, monotonic=lambda: self.seconds, now=lambda: self.seconds + 1e9
        )

    def __call__(self, *events) -> None:
        for event in events:
            self.metrics.observe(event)

    def see(self, cycle, *queue_ids) -> None:
        self(*(replace(SNAPSHOT, cycle=cycle, queue_id=queue_id) for queue_id in queue_ids))

    @property
    def shown(self) -> set[str]:
        return {snapshot.queue_id for snapshot in self.metrics.snapshots(self.in_force)}

    @property
    def health(self) -> Health:
        return self.metrics.health.health()

    @property
    def series(self) -> Series:
        return Series.of(self.metrics.text().decode())


COUNTS = ("snapshots", "unchanged", "missing", "invalid", "failed", "deferred")


def report(cycle, outcome="ok", **counts) -> CycleReport:
    zero = dict.fromkeys((*COUNTS, "batches_failed", "retries"), 0)
    fields = {**zero, "batches": 1, "requests": 1, "duration_seconds": 0.2, "lateness_seconds": 0.0, **counts}
    return CycleReport(
        cycle=cycle,
        scheduled_at="2026-11-24T04:00:15.000Z",
        outcome=outcome,
        queues=sum(fields[name] for name in COUNTS),
        **fields,
    )
