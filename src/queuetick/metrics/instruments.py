"""The series of the daemon itself: counters and histograms, and gauges that are asked for at each scrape."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from queuetick import __version__
from queuetick.events import SCHEMA_VERSION, PauseSource, Route
from queuetick.metrics.health import CAUSES, Health, InForce

if TYPE_CHECKING:
    from queuetick.metrics.collector import EventMetrics

DURATION_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
LATENESS_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0)

LostCause = Literal["credentials", "forbidden", "unreachable", "answer"]
"""Why the API is lost: the login refused, a permission missing, no HTTP answer, an unusable answer."""


class Counters:
    """Counts that only rise. Every label value that is known beforehand starts at 0, so that rates see the first."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, **labels: Iterable[str]) -> Counter:
            made = Counter(f"queuetick_{name}", text, tuple(labels), registry=registry)
            for values in product(*labels.values()) if labels else ():
                made.labels(*values)
            return made

        def histogram(name: str, text: str, bounds: tuple[float, ...]) -> Histogram:
            return Histogram(f"queuetick_{name}", text, registry=registry, buckets=bounds)

        self.duration = histogram("cycle_duration_seconds", "Duration of completed cycles.", DURATION_BOUNDS)
        self.lateness = histogram(
            "cycle_lateness_seconds", "Start of a cycle minus its place on the grid.", LATENESS_BOUNDS
        )
        self.cycles = counter(
            "cycles", "Cycles that ran, by outcome.", outcome=("ok", "partial", "failed", "crashed")
        )
        self.skipped = counter(
            "cycles_skipped", "Ticks that polled nothing.", reason=("overrun", "rate_limit", "stalled")
        )
        self.batches = counter(
            "batches", "Batches of queues, by outcome.", outcome=("answered", "failed", "deferred")
        )
        self.requests = counter(
            "requests",
            "Requests for observations, retries and splits included; logins and discovery are not.",
        )
        self.retries = counter("retries", "Requests sent again after a failure or a 429.")
        self.pauses = counter(
            "rate_limit_pauses",
            "Pauses, by the route that was paused and by what named their length.",
            route=get_args(Route),
            source=get_args(PauseSource),
        )
        self.pause_seconds = counter(
            "rate_limit_pause_seconds", "Length of all pauses as announced.", route=get_args(Route)
        )
        self.renewals = counter(
            "token_renewals", "Access tokens taken into use.", reason=("start", "expiring", "rejected")
        )


class OfOrg:
    """A registry, its samples with the label `org`, and without the created series that only OpenMetrics has."""

    def __init__(self, registry: CollectorRegistry, org: str | None) -> None:
        self._registry = registry
        self._org = {} if org is None else {"org": org}

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**self._org, **sample.labels})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric


class StateCollector(Collector):
    """The gauges that are asked for at each scrape."""

    def __init__(self, metrics: EventMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        in_force, health = metrics.in_force(), metrics.health.health()
        stats_failing = metrics.stats_failing and in_force.stats_every is not None
        build = GaugeMetricFamily(
            "queuetick_build_info",
            "Always 1; the labels say what runs.",
            labels=("version", "schema_version", "python"),
        )
        build.add_metric((__version__, SCHEMA_VERSION, platform.python_version()), 1)
        yield build
        for name, text, value in (
            ("healthy", "1 while /healthz answers 200.", health.http_status == 200),
            ("interval_seconds", "Interval in force.", in_force.interval),
            ("interval_configured_seconds", "Interval asked for.", in_force.interval_configured),
            ("budget_used_requests", "Requests within the last 60 seconds.", in_force.budget_used),
            ("budget_allowed_requests", "Requests that may be sent in 60 seconds.", in_force.budget_allowed),
            (
                "budget_needed_requests",
                "Requests in 60 seconds that the interval asked for takes.",
                in_force.budget_needed,
            ),
            (
                "config_last_reload_successful",
                "0 after a reload that was rejected.",
                metrics.reload_accepted,
            ),
            ("stats_failing", "1 while queue.stats gets no usable answer.", stats_failing),
            (
                "last_success_timestamp_seconds",
                "When the last cycle that the API answered ended; absent before the first.",
                metrics.last_success,
            ),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"queuetick_{name}", text, float(value))
        for name, text, label, values in self._by_label(in_force, health):
            family = GaugeMetricFamily(f"queuetick_{name}", text, labels=(label,))
            for of_label, value in values.items():
                family.add_metric((of_label,), float(value))
            yield family
        yield CounterMetricFamily(
            "queuetick_lines_dropped",
            "Lines lost to an output that took none for so long that the buffer was full.",
            in_force.lines_dropped,
        )

    def _by_label(
        self, in_force: InForce, health: Health
    ) -> Iterator[tuple[str, str, str, Mapping[str, float]]]:
        """Name, help, label, and the values by the label's value."""
        metrics = self._metrics
        yield (
            "unhealthy",
            "1 for each cause for which the daemon polls less than it was asked for, or writes no lines.",
            "cause",
            {cause: cause in health.causes for cause in CAUSES},
        )
        yield (
            "route_limit_requests",
            "Requests in 60 seconds that the API allows on one route; absent where it stated none.",
            "route",
            in_force.route_limits,
        )
        yield (
            "rate_limit_paused",
            "1 while a rate-limit pause of the route, or of the whole token, runs.",
            "route",
            metrics.paused(),
        )
        yield (
            "api_lost",
            "1 while the API is lost, by cause.",
            "cause",
            {cause: metrics.lost_cause == cause for cause in get_args(LostCause)},
        )
        yield "queues", "Queues by what the last cycle made of them.", "state", metrics.states(in_force)
