"""What the metrics cost: observing a cycle, rendering it, compressing it.

    python bench/metrics.py [--queues 1500]

CPU time, the best of several runs. The last row renders the same queues through prometheus_client's own writer, to
show why queuetick writes them out itself. Contacts wait in every queue: the severity of a queue where nobody waits
costs nothing.
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from queuetick.clock import monotonic
from queuetick.events import CycleReport, MediaCounts, QueueSnapshot, QueueStats
from queuetick.events.examples import EXAMPLES
from queuetick.metrics.collector import EventMetrics
from queuetick.metrics.health import InForce

MEDIA = ("voice", "callback", "chat", "email", "message")
ROUNDS = 9


def best(run: Callable[[], object]) -> float:
    """CPU milliseconds of the quickest run."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return min(taken) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queues", type=int, default=1500)
    count = parser.parse_args().queues
    example = next(fact for fact in EXAMPLES if isinstance(fact, QueueSnapshot))
    report = next(fact for fact in EXAMPLES if isinstance(fact, CycleReport))
    waits = {media: MediaCounts(3, 2, 0, 12.5, wait_target_seconds=20.0) for media in MEDIA[:2]}
    media = waits | {media: MediaCounts(0, 1, 0, wait_target_seconds=20.0) for media in MEDIA[2:]}
    snapshots = [
        replace(
            example,
            queue_id=f"{number:08d}-25c9-4b34-a0a3-5c3b6f2f6a11",
            queue_name=f"Cola {number} España",
            media=media,
        )
        for number in range(count)
    ]
    in_force = InForce(15.0, 15.0, 20, 75, 300, 300.0, org="emea")
    metrics = EventMetrics(lambda: in_force, monotonic=monotonic, now=time.time)

    example_stats = next(fact for fact in EXAMPLES if isinstance(fact, QueueStats))
    [of_medium, *_] = (example_stats.media or {}).values()
    stats = [
        replace(
            example_stats,
            queue_id=snapshot.queue_id,
            queue_name=snapshot.queue_name,
            media=dict.fromkeys(MEDIA[:2], of_medium),
        )
        for snapshot in snapshots
    ]

    def observe() -> None:
        for snapshot in snapshots:
            metrics.observe(snapshot)
        metrics.observe(report)

    observing = best(observe)
    text = metrics.text()
    rendering = best(metrics.text)
    for one in stats:
        metrics.observe(one)
    in_force = replace(in_force, stats_every=60.0)
    with_stats = best(metrics.text)
    compressed = gzip.compress(text, compresslevel=1)
    compressing = best(lambda: gzip.compress(text, compresslevel=1))
    by_library = best(lambda: generate_latest(_registry(snapshots)))
    print(f"{count} queues, {text.count(b'genesys_queue_')} lines of queues, {len(text):,} bytes of text")
    print(f"  observing a cycle      {observing:7.1f} ms")
    print(f"  rendering              {rendering:7.1f} ms")
    print(f"  rendering with stats   {with_stats:7.1f} ms")
    print(f"  compressing            {compressing:7.1f} ms, to {len(compressed):,} bytes")
    print(f"  rendering by library   {by_library:7.1f} ms")


class _Families:
    def __init__(self, snapshots: list[QueueSnapshot]) -> None:
        self._snapshots = snapshots

    def collect(self) -> list[GaugeMetricFamily]:
        """The same samples as `EventMetrics` writes (without targets)."""
        of_queue = ("queue_id", "queue_name", "division")
        of_media = (*of_queue, "media")
        waiting = GaugeMetricFamily("genesys_queue_waiting", "-", labels=of_media)
        interacting = GaugeMetricFamily("genesys_queue_interacting", "-", labels=of_media)
        longest = GaugeMetricFamily("genesys_queue_longest_wait_seconds", "-", labels=of_media)
        available = GaugeMetricFamily("genesys_queue_agents_available", "-", labels=of_queue)
        on_queue = GaugeMetricFamily("genesys_queue_agents_on_queue", "-", labels=of_queue)
        for snapshot in self._snapshots:
            labels = (snapshot.queue_id, str(snapshot.queue_name), str(snapshot.division))
            available.add_metric(labels, snapshot.agents_available or 0)
            on_queue.add_metric(labels, snapshot.agents_on_queue or 0)
            for media, counts in (snapshot.media or {}).items():
                waiting.add_metric((*labels, media), counts.waiting or 0)
                interacting.add_metric((*labels, media), counts.interacting or 0)
                if isinstance(counts.longest_wait_seconds, float):
                    longest.add_metric((*labels, media), counts.longest_wait_seconds)
        return [waiting, interacting, longest, available, on_queue]


def _registry(snapshots: list[QueueSnapshot]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Families(snapshots))  # type: ignore[arg-type]
    return registry


if __name__ == "__main__":
    main()
