"""What the facts add up to: the state behind /metrics and /healthz.

Law: a queue is here only while it reports. Whatever the last cycle has no snapshot of is gone with that cycle's
report, and everything is gone once `PATIENCE` intervals have passed: no value is ever frozen.
Needs no package; `exposition.py` turns this state into Prometheus text.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Literal

from msgspec import Struct

from queuetick.events import (
    ApiLost,
    ApiRecovered,
    BatchFailed,
    ConfigRejected,
    ConfigReloaded,
    CycleCrashed,
    CycleReport,
    CycleSkipped,
    Fact,
    OutputRecovered,
    QueueInvalid,
    QueueMissing,
    QueueSnapshot,
    QueuesRefreshed,
    RateLimitPaused,
    RateLimitResumed,
    TokenRenewed,
)

PATIENCE = 3
"""Intervals without a good cycle after which the daemon is unhealthy, and after which a value is too old to show."""

DURATION_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
LATENESS_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0)

LostCause = Literal["credentials", "forbidden", "unreachable", "answer"]
"""Why the API is lost: the login refused, a permission missing, no HTTP answer, an answer that is of no use."""


class Vitals(Struct, frozen=True):
    """What is in force at this moment and is written in no fact."""

    interval: float
    """Seconds; longer than `interval_configured` while the budget cannot hold that."""
    interval_configured: float
    batch_size: int
    budget_used: int
    """Requests within the last 60 seconds."""
    budget_allowed: int
    budget_needed: float
    """Requests a minute that the configured interval takes."""


class Health(Struct, frozen=True):
    """The answer of /healthz."""

    status: Literal["ok", "failing"]
    reason: str
    last_success_seconds_ago: float | None
    cycle: int | None
    """Number of the last cycle that was run, skipped or crashed."""


class Histogram:
    """Counts by upper bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = (*bounds, math.inf)
        self.sum = 0.0
        self._counts = [0] * len(self.bounds)

    def add(self, value: float) -> None:
        self.sum += value
        self._counts[bisect_left(self.bounds, value)] += 1

    def cumulative(self) -> list[int]:
        """For each bound how many values were at most that."""
        return list(accumulate(self._counts))


class Totals:
    """Counts that only rise. Every label value that is known beforehand starts at 0, so that rates see the first."""

    def __init__(self) -> None:
        self.cycles = dict.fromkeys(("ok", "partial", "failed", "crashed"), 0)
        self.skipped = dict.fromkeys(("overrun", "rate_limit", "stalled"), 0)
        self.batches = dict.fromkeys(("answered", "failed", "deferred"), 0)
        self.pauses = dict.fromkeys(("retry-after", "reset-header", "backoff"), 0)
        self.pause_seconds = 0.0
        self.renewals = dict.fromkeys(("start", "expiring", "rejected"), 0)
        self.requests = 0
        self.retries = 0
        self.lines_dropped = 0
        self.duration = Histogram(DURATION_BOUNDS)
        self.lateness = Histogram(LATENESS_BOUNDS)


class Telemetry:
    """Observes every fact. `observe` may be called from several threads; hold `lock` to read `totals`."""

    def __init__(
        self, vitals: Callable[[], Vitals], *, monotonic: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self.vitals = vitals
        self.lock = threading.Lock()
        self.totals = Totals()
        self.last_success: float | None = None
        """When the last good cycle ended, in epoch seconds."""
        self.lost_cause: LostCause | None = None
        self.reload_held = True
        """Whether the last reload was taken; true before any."""
        self._monotonic = monotonic
        self._now = now
        self._snapshots: dict[str, tuple[QueueSnapshot, float]] = {}
        self._report: CycleReport | None = None
        self._reported_at = -math.inf
        self._succeeded_at = -math.inf
        self._paused_until = -math.inf
        self._last_cycle: int | None = None
        self._last_trouble = ""
        self._takers: dict[type, Callable[[Any], None]] = {
            QueueSnapshot: self._snapshot,
            CycleSkipped: self._skipped,
            CycleCrashed: self._crashed,
            BatchFailed: self._batch_failed,
            QueueMissing: self._gone,
            QueueInvalid: self._gone,
            QueuesRefreshed: self._refreshed,
            RateLimitPaused: self._paused,
            RateLimitResumed: self._resumed,
            ApiLost: self._lost,
            ApiRecovered: self._recovered,
            TokenRenewed: self._renewed,
            ConfigReloaded: self._reloaded,
            ConfigRejected: self._reloaded,
            OutputRecovered: self._output_recovered,
        }

    # Writing

    def observe(self, fact: Fact) -> None:
        """Take one fact in; those that say nothing about numbers cost a look-up."""
        if type(fact) is CycleReport:
            batch_size = self.vitals().batch_size  # asked for without the lock: the budget has one of its own
            with self.lock:
                self._completed(fact, batch_size)
        elif (take := self._takers.get(type(fact))) is not None:
            with self.lock:
                take(fact)

    def _snapshot(self, snapshot: QueueSnapshot) -> None:
        self._snapshots[snapshot.queue_id] = (snapshot, self._monotonic())

    def _completed(self, report: CycleReport, batch_size: int) -> None:
        totals = self.totals
        totals.cycles[report.outcome] += 1
        totals.requests += report.requests
        totals.retries += report.retries
        deferred = min(report.batches, math.ceil(report.deferred / batch_size))
        totals.batches["failed"] += report.batches_failed
        totals.batches["deferred"] += deferred
        # A batch that was split counts as failed once per part.
        totals.batches["answered"] += max(0, report.batches - report.batches_failed - deferred)
        totals.duration.add(report.duration_seconds)
        totals.lateness.add(report.lateness_seconds)
        self._keep_only(report.cycle)
        self._report, self._reported_at = report, self._monotonic()
        self._last_cycle = report.cycle
        if report.outcome == "ok" or report.snapshots or report.missing:
            self._succeeded_at, self.last_success = self._reported_at, self._now()
            self._last_trouble = ""
        else:
            self._last_trouble = f"cycle {report.cycle} got no answer"

    def _skipped(self, skipped: CycleSkipped) -> None:
        self.totals.skipped[skipped.reason] += skipped.ticks
        self._last_cycle = skipped.cycle
        self._last_trouble = f"cycle {skipped.cycle} was skipped ({skipped.reason})"

    def _crashed(self, crashed: CycleCrashed) -> None:
        self.totals.cycles["crashed"] += 1
        self._keep_only(crashed.cycle)
        self._last_cycle = crashed.cycle
        self._last_trouble = f"cycle {crashed.cycle} crashed"

    def _batch_failed(self, failed: BatchFailed) -> None:
        if self.lost_cause is not None:  # an outage may change its cause, and api.lost is written once
            self.lost_cause = lost_cause(failed.status, failed.code)

    def _gone(self, gone: QueueMissing | QueueInvalid) -> None:
        self._snapshots.pop(gone.queue_id, None)

    def _refreshed(self, refreshed: QueuesRefreshed) -> None:
        for queue_id in refreshed.removed_ids:
            self._snapshots.pop(queue_id, None)

    def _paused(self, paused: RateLimitPaused) -> None:
        self.totals.pauses[paused.source] += 1
        self.totals.pause_seconds += paused.retry_after_seconds
        self._paused_until = self._monotonic() + paused.retry_after_seconds

    def _resumed(self, _: RateLimitResumed) -> None:
        self._paused_until = -math.inf

    def _lost(self, lost: ApiLost) -> None:
        self.lost_cause = lost_cause(lost.status, lost.code)

    def _recovered(self, _: ApiRecovered) -> None:
        self.lost_cause = None

    def _renewed(self, renewed: TokenRenewed) -> None:
        self.totals.renewals[renewed.reason] += 1

    def _reloaded(self, reloaded: ConfigReloaded | ConfigRejected) -> None:
        self.reload_held = type(reloaded) is ConfigReloaded

    def _output_recovered(self, recovered: OutputRecovered) -> None:
        self.totals.lines_dropped += recovered.lines_dropped

    def _keep_only(self, cycle: int) -> None:
        """Forget every queue that `cycle`, which has ended, gave no snapshot of."""
        stale = [queue_id for queue_id, (snapshot, _) in self._snapshots.items() if snapshot.cycle < cycle]
        for queue_id in stale:
            del self._snapshots[queue_id]

    # Reading

    def snapshots(self) -> list[QueueSnapshot]:
        """The queues that report, each as it was last seen."""
        oldest = self._monotonic() - PATIENCE * self.vitals().interval
        with self.lock:
            return [snapshot for snapshot, at in self._snapshots.values() if at >= oldest]

    def states(self) -> dict[str, int]:
        """Queues by what the last cycle made of them; empty when that was too long ago to say."""
        patience = PATIENCE * self.vitals().interval
        with self.lock:
            report = self._report
            if report is None or self._monotonic() - self._reported_at > patience:
                return {}
            return {
                "reporting": report.snapshots,
                "missing": report.missing,
                "invalid": report.invalid,
                "failed": report.failed,
                "deferred": report.deferred,
            }

    def paused(self) -> bool:
        """Whether a rate-limit pause is running."""
        return self._monotonic() < self._paused_until

    def health(self) -> Health:
        """Good while a cycle that the API answered has ended within `PATIENCE` intervals."""
        patience = PATIENCE * self.vitals().interval
        with self.lock:
            age = self._monotonic() - self._succeeded_at
            why = f": {self._last_trouble}" if self._last_trouble else ""
            if not math.isfinite(age):
                return Health("failing", f"no cycle has succeeded yet{why}", None, self._last_cycle)
            if age > patience:
                reason = f"no cycle has succeeded for {age:.0f} s, more than {PATIENCE} intervals ({patience:g} s){why}"
                return Health("failing", reason, round(age, 1), self._last_cycle)
            return Health("ok", f"a cycle succeeded {age:.0f} s ago", round(age, 1), self._last_cycle)


def lost_cause(status: int | None, code: str | None) -> LostCause:
    """Sort the error of an outage by who has to act."""
    if status == 401 or code == "invalid_client":
        return "credentials"
    if status == 403:
        return "forbidden"
    return "unreachable" if status is None else "answer"
