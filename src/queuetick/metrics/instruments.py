"""The series of the daemon itself: counters and histograms, and gauges that are asked for at each scrape."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from queuetick import __version__
from queuetick.events import SCHEMA_VERSION, PauseSource, Route
from queuetick.metrics.health import CAUSES

if TYPE_CHECKING:
    from queuetick.metrics.collector import EventMetrics

DURATION_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
LATENESS_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0)

LostCause = Literal["credentials", "forbidden", "unreachable", "answer"]
"""Why the API is lost: the login refused, a permission missing, no HTTP answer, an answer that is of no use."""


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
        build = (__version__, SCHEMA_VERSION, platform.python_version())
        yield _gauge(
            "build_info",
            "Always 1; the labels say what runs.",
            ("version", "schema_version", "python"),
            {build: 1},
        )
        yield _gauge("healthy", "1 while /healthz answers 200.", value=health.http_status == 200)
        yield _gauge(
            "unhealthy",
            "1 for each cause for which the daemon polls less than it was asked for, or writes no lines.",
            ("cause",),
            {(cause,): cause in health.causes for cause in CAUSES},
        )
        yield _gauge("interval_seconds", "Interval in force.", value=in_force.interval)
        yield _gauge("interval_configured_seconds", "Interval asked for.", value=in_force.interval_configured)
        yield _gauge(
            "budget_used_requests", "Requests within the last 60 seconds.", value=in_force.budget_used
        )
        yield _gauge(
            "budget_allowed_requests",
            "Requests that the token may send in 60 seconds.",
            value=in_force.budget_allowed,
        )
        yield _gauge(
            "budget_needed_requests",
            "Requests in 60 seconds that the interval asked for takes.",
            value=in_force.budget_needed,
        )
        yield _gauge(
            "route_limit_requests",
            "Requests in 60 seconds that the API allows on one route; absent where it stated none.",
            ("route",),
            {(route,): limit for route, limit in in_force.route_limits.items()},
        )
        yield _gauge(
            "rate_limit_paused",
            "1 while a rate-limit pause of the route, or of the whole token, runs.",
            ("route",),
            {(route,): paused for route, paused in metrics.paused().items()},
        )
        yield _gauge(
            "config_last_reload_successful",
            "0 after a reload that was rejected.",
            value=metrics.reload_accepted,
        )
        yield _gauge(
            "stats_failing",
            "1 while queue.stats gets no usable answer.",
            value=metrics.stats_failing and in_force.stats_every is not None,
        )
        if metrics.last_success is not None:
            yield _gauge(
                "last_success_timestamp_seconds",
                "When the last cycle that the API answered ended; absent before the first.",
                value=metrics.last_success,
            )
        yield _gauge(
            "api_lost",
            "1 while the API is lost, by cause.",
            ("cause",),
            {(cause,): metrics.lost_cause == cause for cause in get_args(LostCause)},
        )
        yield _gauge(
            "queues",
            "Queues by what the last cycle made of them.",
            ("state",),
            {(state,): count for state, count in metrics.states(in_force).items()},
        )
        yield CounterMetricFamily(
            "queuetick_lines_dropped",
            "Lines lost to an output that took none for so long that the buffer was full.",
            in_force.lines_dropped,
        )


def _gauge(
    name: str,
    text: str,
    labels: tuple[str, ...] = (),
    values: dict[tuple[str, ...], float] | None = None,
    *,
    value: float | None = None,
) -> GaugeMetricFamily:
    """One family: `values` by label values, or one `value` without labels."""
    family = GaugeMetricFamily(f"queuetick_{name}", text, labels=labels)
    for of_labels, one in ({(): value} if value is not None else values or {}).items():
        family.add_metric(of_labels, float(one))
    return family
