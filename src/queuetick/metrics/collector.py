"""What the events add up to: prometheus_client's counters and histograms, and the queues that report.

A queue is here only while it reports. Whatever the last cycle has no snapshot of is gone with that cycle's report,
and everything is gone once `InForce.patience` has passed: no value is ever frozen. Needs the extra queuetick[metrics].
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from queuetick import events
from queuetick.metrics.health import PATIENCE, CycleHealth, InForce
from queuetick.metrics.instruments import Counters, LostCause, OfOrg, StateCollector
from queuetick.metrics.queues import QueueText

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_OTHER_ORG = frozenset({"genesys.org", "genesys.region", "genesys.api_url", "genesys.login_url", "client_id"})
"""Settings after whose change the queues may be those of another organisation."""


class EventMetrics:
    """Observes every event. `observe` and `text` may be called from several threads."""

    def __init__(
        self,
        in_force: Callable[[], InForce],
        *,
        monotonic: Callable[[], float],
        now: Callable[[], float],
        mask: Callable[[str], str] = str,
    ) -> None:
        """`in_force` is asked at each rendering; `mask` takes secrets out of a label's value."""
        self.health = CycleHealth(in_force, monotonic=monotonic)
        self.in_force = in_force
        self.registry = CollectorRegistry()
        self.counters = Counters(self.registry)
        self.last_success: float | None = None
        """When the last good cycle ended, in epoch seconds."""
        self.lost_cause: LostCause | None = None
        self.reload_accepted = True
        """Whether the last reload was taken; true before any."""
        self.stats_failing = False
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._queue_text = QueueText(mask)
        self._snapshots: dict[str, tuple[events.QueueSnapshot, float]] = {}
        self._stats: dict[str, tuple[events.QueueStats, float]] = {}
        self._unanswered: set[str] = set()
        self._report: events.CycleReport | None = None
        self._reported_at = -math.inf
        self._paused_until: dict[str, float] = {}
        self.registry.register(StateCollector(self))
        ProcessCollector(registry=self.registry)

    # Writing

    def observe(self, event: events.Fact) -> None:
        """Take one event in; those that say nothing about numbers change nothing."""
        in_force = None
        if not isinstance(event, events.QueueSnapshot):
            if isinstance(event, events.CycleReport):
                in_force = self.in_force()  # asked for without the lock: the budget has one of its own
            self.health.take(event, in_force)
        with self._lock:
            self._take(event, in_force)

    def _take(self, event: events.Fact, in_force: InForce | None) -> None:  # noqa: PLR0912 - one case for each event
        counters = self.counters
        match event:
            case events.QueueSnapshot():
                self._snapshots[event.queue_id] = (event, self._monotonic())
            case events.QueueStats():
                self._stats[event.queue_id] = (event, self._monotonic())
            case events.StatsFailed() | events.StatsRecovered():
                self.stats_failing = isinstance(event, events.StatsFailed)
            case events.CycleReport() if in_force is not None:
                self._completed(event, in_force)
            case events.CycleSkipped():
                counters.skipped.labels(event.reason).inc(event.ticks)
            case events.CycleCrashed():
                counters.cycles.labels("crashed").inc()
                self._keep_only(event.cycle)
            case events.BatchFailed():
                self._unanswered.update(event.queue_ids)
                if (
                    self.lost_cause is not None
                ):  # an outage may change its cause, and api.lost is written once
                    self.lost_cause = lost_cause(event.status, event.code)
            case events.QueueMissing():
                self._snapshots.pop(event.queue_id, None)
            case events.QueueInvalid():
                self._forget(event.queue_id)
            case events.QueuesRefreshed():
                self._forget(*event.removed_ids)
            case events.RateLimitPaused():
                counters.pauses.labels(event.route, event.source).inc()
                counters.pause_seconds.labels(event.route).inc(event.retry_after_seconds)
                self._paused_until[event.route] = self._monotonic() + event.retry_after_seconds
            case events.RateLimitResumed():
                self._paused_until.pop(event.route, None)
            case events.ApiLost():
                self.lost_cause = lost_cause(event.status, event.code)
            case events.ApiRecovered():
                self.lost_cause = None
            case events.TokenRenewed():
                counters.renewals.labels(event.reason).inc()
            case events.ConfigReloaded() | events.ConfigRejected():
                self.reload_accepted = isinstance(event, events.ConfigReloaded)
                self._queue_text.forget_labels()
                if isinstance(event, events.ConfigReloaded) and not _OTHER_ORG.isdisjoint(event.changed):
                    self._snapshots.clear()
                    self._stats.clear()

    def _completed(self, report: events.CycleReport, in_force: InForce) -> None:
        counters = self.counters
        counters.cycles.labels(report.outcome).inc()
        counters.requests.inc(report.requests)
        counters.retries.inc(report.retries)
        deferred = min(report.batches, math.ceil(report.deferred / in_force.batch_size))
        counters.batches.labels("failed").inc(report.batches_failed)
        counters.batches.labels("deferred").inc(deferred)
        # A batch that was split counts as failed once per part.
        counters.batches.labels("answered").inc(max(0, report.batches - report.batches_failed - deferred))
        counters.duration.observe(report.duration_seconds)
        counters.lateness.observe(report.lateness_seconds)
        self._keep_only(report.cycle, report.unchanged)
        self._report, self._reported_at = report, self._monotonic()
        if report.outcome != "failed":
            self.last_success = self._now()

    def _forget(self, *queue_ids: str) -> None:
        for queue_id in queue_ids:
            self._snapshots.pop(queue_id, None)
            self._stats.pop(queue_id, None)

    def _keep_only(self, cycle: int, unchanged: int = 0) -> None:
        """Forget every queue that `cycle`, which has ended, gave no snapshot of.

        Where queues had no line because they are `unchanged`, only those whose batch failed are forgotten.
        """
        gone = [
            queue_id
            for queue_id, (snapshot, _) in self._snapshots.items()
            if snapshot.cycle < cycle and (not unchanged or queue_id in self._unanswered)
        ]
        for queue_id in gone:
            del self._snapshots[queue_id]
        self._unanswered.clear()

    # Reading

    def text(self) -> bytes:
        """All that /metrics answers, in the text format 0.0.4."""
        in_force = self.in_force()
        queues = self._queue_text.render(
            in_force.org, self.snapshots(in_force), self.stats(in_force), in_force.thresholds, self._now()
        )
        return b"".join((*queues, generate_latest(OfOrg(self.registry, in_force.org))))

    def snapshots(self, in_force: InForce) -> list[events.QueueSnapshot]:
        """The queues that report, each as it was last seen."""
        oldest = self._monotonic() - in_force.patience - in_force.heartbeat
        with self._lock:
            if self._monotonic() - self._reported_at > in_force.patience and self._report is not None:
                return []
            return [snapshot for snapshot, at in self._snapshots.values() if at >= oldest]

    def stats(self, in_force: InForce) -> list[events.QueueStats]:
        """Today's numbers of the queues that have any; empty while they are off."""
        if in_force.stats_every is None:
            return []
        oldest = self._monotonic() - PATIENCE * in_force.stats_every
        with self._lock:
            return [stats for stats, at in self._stats.values() if at >= oldest]

    def states(self, in_force: InForce) -> dict[str, int]:
        """Queues by what the last cycle made of them; empty when that was too long ago to say."""
        with self._lock:
            report = self._report
            if report is None or self._monotonic() - self._reported_at > in_force.patience:
                return {}
            return {
                "reporting": report.snapshots,
                "unchanged": report.unchanged,
                "missing": report.missing,
                "invalid": report.invalid,
                "failed": report.failed,
                "deferred": report.deferred,
            }

    def paused(self) -> dict[str, bool]:
        """For each route, and for the whole token, whether a rate-limit pause is running."""
        with self._lock:
            now = self._monotonic()
            return {route: now < self._paused_until.get(route, -math.inf) for route in get_args(events.Route)}


def lost_cause(status: int | None, code: str | None) -> LostCause:
    """Sort the error of an outage by who has to act. A 401 or 403 without a code is not Genesys's own, and passes."""
    if code == "invalid_client" or (status == 401 and code is not None):
        return "credentials"
    if status == 403 and code is not None:
        return "forbidden"
    return "unreachable" if status is None else "answer"
