"""What the facts add up to: a queue is shown while it reports, and not a moment longer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from queuetick.events import (
    ApiLost,
    ApiRecovered,
    BatchFailed,
    ConfigRejected,
    ConfigReloaded,
    CycleCrashed,
    CycleReport,
    CycleSkipped,
    OutputRecovered,
    QueueInvalid,
    QueueMissing,
    QueueSnapshot,
    QueuesRefreshed,
    RateLimitPaused,
    RateLimitResumed,
    TokenRenewed,
)
from queuetick.events.examples import EXAMPLES
from queuetick.metrics.collector import Telemetry, Vitals, lost_cause

SNAPSHOT = next(fact for fact in EXAMPLES if isinstance(fact, QueueSnapshot))
VITALS = Vitals(15.0, 15.0, 20, 12, 300, 12.0)


class Told:
    """A telemetry on a clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.vitals = VITALS
        self.telemetry = Telemetry(
            lambda: self.vitals, monotonic=lambda: self.seconds, now=lambda: self.seconds + 1e9
        )

    def __call__(self, *facts) -> None:
        for fact in facts:
            self.telemetry.observe(fact)

    def see(self, cycle, *queue_ids) -> None:
        self(*(replace(SNAPSHOT, cycle=cycle, queue_id=queue_id) for queue_id in queue_ids))

    @property
    def shown(self) -> set[str]:
        return {snapshot.queue_id for snapshot in self.telemetry.snapshots()}


def report(cycle, outcome="ok", **counts) -> CycleReport:
    zero = dict.fromkeys(
        ("snapshots", "missing", "invalid", "failed", "deferred", "batches_failed", "retries"), 0
    )
    fields = {**zero, "batches": 1, "requests": 1, "duration_seconds": 0.2, "lateness_seconds": 0.0, **counts}
    queues = sum(fields[name] for name in ("snapshots", "missing", "invalid", "failed", "deferred"))
    return CycleReport(
        cycle=cycle, scheduled_at="2026-11-24T04:00:15.000Z", outcome=outcome, queues=queues, **fields
    )


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize(
    "end",
    [
        report(2, "partial", snapshots=1, failed=1),
        report(2, "partial", snapshots=1, deferred=1),
        report(2, snapshots=1),
        CycleCrashed(cycle=2, scheduled_at="2026-11-24T04:00:15.000Z", error="KeyError", traceback=""),
    ],
    ids=["failed", "deferred", "no longer polled", "crashed"],
)
def test_a_queue_without_a_snapshot_is_gone_when_its_cycle_ends(end, told) -> None:
    told.see(1, "a", "b")
    told(report(1, snapshots=2))
    told.see(2, "a")
    assert {"a", "b"} == told.shown, "the cycle still runs: b may be in a later batch"
    told(end)
    assert {"a"} == told.shown


@pytest.mark.parametrize(
    "gone",
    [
        QueueMissing(cycle=2, queue_id="b", reason=""),
        QueueInvalid(cycle=2, queue_id="b", status=400, code=None, correlation_id=None, reason=""),
        QueuesRefreshed(
            total=1, added=0, removed=1, renamed=0, added_ids=[], removed_ids=["b", "never seen"]
        ),
    ],
    ids=["missing", "invalid", "removed"],
)
def test_a_queue_that_is_known_to_be_away_is_gone_at_once(gone, told) -> None:
    told.see(1, "a", "b")
    told(gone)
    assert {"a"} == told.shown


def test_while_cycles_are_skipped_values_are_shown_for_three_intervals_and_no_longer(told) -> None:
    told.see(1, "a")
    told(report(1, snapshots=1))
    told.seconds += 45.0
    told(CycleSkipped(cycle=4, reason="rate_limit", scheduled_at="", until=None))
    assert ({"a"}, 1) == (told.shown, told.telemetry.states()["reporting"])
    told.seconds += 0.1
    assert (set(), {}) == (told.shown, told.telemetry.states())


def test_a_stretched_interval_stretches_the_patience(told) -> None:
    told.see(1, "a")
    told(report(1, snapshots=1))
    told.vitals = replace(VITALS, interval=60.0)
    told.seconds += 170.0
    assert ({"a"}, "ok") == (told.shown, told.telemetry.health().status)


def test_a_pause_ends_with_its_time_even_when_nobody_says_so(told) -> None:
    told(RateLimitPaused(retry_after_seconds=30.0, source="retry-after", until=""))
    assert told.telemetry.paused()
    told.seconds += 30.0
    assert not told.telemetry.paused()
    told(RateLimitPaused(retry_after_seconds=30.0, source="backoff", until=""))
    told(RateLimitResumed(retry_after_seconds=30.0, source="backoff"))
    assert not told.telemetry.paused()
    assert {"retry-after": 1, "reset-header": 0, "backoff": 1} == told.telemetry.totals.pauses
    assert told.telemetry.totals.pause_seconds == 60.0


def test_batches_are_answered_failed_or_deferred(told) -> None:
    told(
        report(
            1,
            "partial",
            batches=10,
            batches_failed=2,
            snapshots=120,
            failed=40,
            deferred=21,
            requests=13,
            retries=3,
        )
    )
    totals = told.telemetry.totals
    assert {"answered": 6, "failed": 2, "deferred": 2} == totals.batches
    assert (13, 3) == (totals.requests, totals.retries)


def test_a_split_batch_that_fails_in_parts_makes_no_count_fall(told) -> None:
    told(report(1, "failed", batches=1, batches_failed=3, failed=20))
    assert {"answered": 0, "failed": 3, "deferred": 0} == told.telemetry.totals.batches


def test_skipped_ticks_are_all_counted(told) -> None:
    told(CycleSkipped(cycle=2, reason="stalled", scheduled_at="", until=None, ticks=7))
    told(CycleSkipped(cycle=3, reason="overrun", scheduled_at="", until=None))
    assert {"overrun": 1, "rate_limit": 0, "stalled": 7} == told.telemetry.totals.skipped


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (401, "bad.credentials", "credentials"),
        (400, "invalid_client", "credentials"),
        (403, "missing.permissions", "forbidden"),
        (None, None, "unreachable"),
        (503, "service.unavailable", "answer"),
        (200, None, "answer"),
    ],
)
def test_an_outage_is_sorted_by_who_has_to_act(status, code, cause) -> None:
    assert lost_cause(status, code) == cause


def test_an_outage_may_change_its_cause_and_ends(told) -> None:
    failed = BatchFailed(
        cycle=1, batch=1, queue_ids=[], status=401, code=None, correlation_id=None, reason="", attempts=1
    )
    told(failed)
    assert told.telemetry.lost_cause is None, "one failed batch is no outage"
    told(ApiLost(reason="", status=None, code=None, correlation_id=None))
    assert told.telemetry.lost_cause == "unreachable"
    told(failed)
    assert told.telemetry.lost_cause == "credentials"
    told(ApiRecovered(outage_seconds=1.0, cycles=1))
    assert told.telemetry.lost_cause is None


def test_health_is_bad_before_the_first_good_cycle_and_three_intervals_after_the_last(told) -> None:
    assert (told.telemetry.health().status, told.telemetry.last_success) == ("failing", None)
    told(report(1, "failed", failed=2))
    assert "cycle 1 got no answer" in told.telemetry.health().reason
    told(report(2, "partial", snapshots=1, failed=1))
    assert ("ok", 1e9 + 1000.0) == (told.telemetry.health().status, told.telemetry.last_success)
    told.seconds += 45.0
    assert told.telemetry.health().status == "ok"
    told(CycleSkipped(cycle=3, reason="rate_limit", scheduled_at="", until=None))
    told.seconds += 1.0
    health = told.telemetry.health()
    assert ("failing", 46.0, 3) == (health.status, health.last_success_seconds_ago, health.cycle)
    assert "cycle 3 was skipped (rate_limit)" in health.reason


def test_what_else_is_counted(told) -> None:
    told(TokenRenewed(reason="rejected", expires_in_seconds=1.0))
    told(OutputRecovered(seconds=1.0, lines_dropped=12, reason=""))
    told(ConfigRejected(problems=[]))
    assert ({"start": 0, "expiring": 0, "rejected": 1}, 12, False) == (
        told.telemetry.totals.renewals,
        told.telemetry.totals.lines_dropped,
        told.telemetry.reload_held,
    )
    told(ConfigReloaded(changed=[]))
    assert told.telemetry.reload_held


def test_a_value_on_a_bound_belongs_to_that_bucket(told) -> None:
    for duration in (0.1, 0.10001, 100.0):
        told(report(1, duration_seconds=duration))
    histogram = told.telemetry.totals.duration
    at = dict(zip(histogram.bounds, histogram.cumulative(), strict=True))
    assert (1, 2, 2, 3) == (at[0.1], at[0.25], at[60.0], at[float("inf")])


def test_every_fact_is_taken(told) -> None:
    told(*EXAMPLES)
