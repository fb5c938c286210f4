"""Prometheus text from the telemetry: names, labels and help of every series (docs/metrics.md explains them).

Needs the extra queuetick[metrics].
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import get_args

from msgspec import UNSET
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from queuetick import __version__
from queuetick.events import SCHEMA_VERSION, QueueSnapshot
from queuetick.metrics.collector import Histogram, LostCause, Telemetry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """Everything that /metrics answers, from one telemetry.

    The registry is queuetick's own, so that nothing that a library registers globally gets in.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._registry = CollectorRegistry()
        self._registry.register(DaemonCollector(telemetry))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The text format 0.0.4."""
        queues = Queues()
        for snapshot in self._telemetry.snapshots():
            queues.add(snapshot)
        return b"".join((queues.text(), generate_latest(self._registry)))


class Queues:
    """The queues that report, as text. What the API did not say has no sample: absence, never 0.

    Written out here and not by the library: for 1,500 queues (21,000 samples) that is a tenth of the time.
    """

    def __init__(self) -> None:
        self._families = [
            bytearray(f"# HELP {name} {help_text}\n# TYPE {name} gauge\n".encode())
            for name, help_text in (
                ("genesys_queue_waiting", "Contacts that no agent has been offered, by media type."),
                ("genesys_queue_interacting", "Contacts connected with an agent, by media type."),
                (
                    "genesys_queue_longest_wait_seconds",
                    "Age of the oldest wait, by media type; absent when nobody waits.",
                ),
                ("genesys_queue_agents_available", "On-queue agents whose routing status is idle."),
                ("genesys_queue_agents_on_queue", "On-queue agents, over all routing statuses."),
            )
        ]
        self._waiting, self._interacting, self._longest, self._available, self._on_queue = self._families

    def add(self, snapshot: QueueSnapshot) -> None:
        """Take in one queue.

        By media where the API says so, else one series without media: never both, so that sum() is right.
        """
        labels = _labels(snapshot)
        if snapshot.agents_available is not None:
            self._available += _utf8(
                f"genesys_queue_agents_available{{{labels}}} {snapshot.agents_available}\n"
            )
        if snapshot.agents_on_queue is not None:
            self._on_queue += _utf8(f"genesys_queue_agents_on_queue{{{labels}}} {snapshot.agents_on_queue}\n")
        if not snapshot.media:
            self._add(labels, snapshot.waiting, snapshot.interacting, snapshot.longest_wait_seconds)
            return
        for media, counts in snapshot.media.items():
            longest = counts.longest_wait_seconds
            self._add(
                f'{labels},media="{_escaped(media)}"',
                counts.waiting,
                counts.interacting,
                None if longest is UNSET else longest,
            )

    def text(self) -> bytes:
        """All that was added, families together as the format asks."""
        return b"".join(self._families)

    def _add(self, labels: str, waiting: int | None, interacting: int | None, longest: float | None) -> None:
        if waiting is not None:
            self._waiting += _utf8(f"genesys_queue_waiting{{{labels}}} {waiting}\n")
        if interacting is not None:
            self._interacting += _utf8(f"genesys_queue_interacting{{{labels}}} {interacting}\n")
        if longest is not None:
            self._longest += _utf8(f"genesys_queue_longest_wait_seconds{{{labels}}} {longest}\n")


class DaemonCollector(Collector):
    """How queuetick itself fares."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        yield from self._in_force()
        telemetry = self._telemetry
        with telemetry.lock:
            totals = telemetry.totals
            families = [
                _histogram(
                    "queuetick_cycle_duration_seconds", "Duration of completed cycles.", totals.duration
                ),
                _histogram(
                    "queuetick_cycle_lateness_seconds",
                    "Start of a cycle minus its place on the grid.",
                    totals.lateness,
                ),
                _counter("queuetick_cycles", "Cycles that ran, by outcome.", "outcome", totals.cycles),
                _counter("queuetick_cycles_skipped", "Ticks that polled nothing.", "reason", totals.skipped),
                _counter("queuetick_batches", "Batches of queues, by outcome.", "outcome", totals.batches),
                CounterMetricFamily(
                    "queuetick_requests",
                    "Requests for observations, retries and splits included; logins and discovery are not.",
                    totals.requests,
                ),
                CounterMetricFamily(
                    "queuetick_retries", "Requests sent again after a failure or a 429.", totals.retries
                ),
                _counter(
                    "queuetick_rate_limit_pauses",
                    "Pauses of the token, by what named their length.",
                    "source",
                    totals.pauses,
                ),
                CounterMetricFamily(
                    "queuetick_rate_limit_pause_seconds",
                    "Length of all pauses as announced.",
                    totals.pause_seconds,
                ),
                _counter(
                    "queuetick_token_renewals", "Access tokens taken into use.", "reason", totals.renewals
                ),
                CounterMetricFamily(
                    "queuetick_lines_dropped",
                    "Lines lost to an output that took none, counted when it takes them again.",
                    totals.lines_dropped,
                ),
            ]
        yield from families

    def _in_force(self) -> Iterator[Metric]:
        telemetry = self._telemetry
        vitals = telemetry.vitals()
        build = GaugeMetricFamily(
            "queuetick_build_info",
            "Always 1; the labels say what runs.",
            labels=("version", "schema_version", "python"),
        )
        build.add_metric((__version__, SCHEMA_VERSION, platform.python_version()), 1)
        yield build
        for name, text, value in (
            ("interval_seconds", "Interval in force.", vitals.interval),
            ("interval_configured_seconds", "Interval asked for.", vitals.interval_configured),
            ("budget_used_requests", "Requests within the last 60 seconds.", vitals.budget_used),
            (
                "budget_allowed_requests",
                "Requests that the token may send in 60 seconds.",
                vitals.budget_allowed,
            ),
            (
                "budget_needed_requests",
                "Requests in 60 seconds that the interval asked for takes.",
                vitals.budget_needed,
            ),
            ("rate_limit_paused", "1 while a rate-limit pause runs.", float(telemetry.paused())),
            (
                "config_last_reload_successful",
                "0 after a reload that was rejected.",
                float(telemetry.reload_held),
            ),
        ):
            yield GaugeMetricFamily(f"queuetick_{name}", text, value)
        last_success = telemetry.last_success
        if last_success is not None:
            yield GaugeMetricFamily(
                "queuetick_last_success_timestamp_seconds",
                "When the last cycle that the API answered ended; absent before the first.",
                last_success,
            )
        lost = GaugeMetricFamily(
            "queuetick_api_lost", "1 while the API is lost, by cause.", labels=("cause",)
        )
        for cause in get_args(LostCause):
            lost.add_metric((cause,), float(telemetry.lost_cause == cause))
        yield lost
        queues = GaugeMetricFamily(
            "queuetick_queues", "Queues by what the last cycle made of them.", labels=("state",)
        )
        for state, count in telemetry.states().items():
            queues.add_metric((state,), count)
        yield queues


def _labels(snapshot: QueueSnapshot) -> str:
    """The queue's labels; one that is not known is left out, which to Prometheus is the empty one."""
    labels = f'queue_id="{_escaped(snapshot.queue_id)}"'
    if snapshot.queue_name is not UNSET:
        labels += f',queue_name="{_escaped(snapshot.queue_name)}"'
    if snapshot.division is not UNSET:
        labels += f',division="{_escaped(snapshot.division)}"'
    return labels


def _utf8(line: str) -> bytes:
    return line.encode(errors="replace")  # a lone surrogate must not cost the whole answer


def _escaped(value: str) -> str:
    """`value` as the text format quotes a label."""
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    bounds = [*map(str, histogram.bounds[:-1]), "+Inf"]
    buckets = [(bound, float(count)) for bound, count in zip(bounds, histogram.cumulative(), strict=True)]
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.sum)
