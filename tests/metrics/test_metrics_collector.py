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
    CycleSkipped,
    QueueInvalid,
    QueueMissing,
    QueuesRefreshed,
    RateLimitPaused,
    RateLimitResumed,
    StatsFailed,
    StatsRecovered,
    TokenRenewed,
)
from queuetick.events.examples import EXAMPLES
from queuetick.metrics.collector import lost_cause

from .recorded import IN_FORCE, STATS, Recorded, report


@pytest.fixture
def told() -> Recorded:
    return Recorded()


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
    assert ({"a"}, 1) == (told.shown, told.metrics.states(told.in_force)["reporting"])
    told.seconds += 0.1
    assert (set(), {}) == (told.shown, told.metrics.states(told.in_force))


def test_a_stretched_interval_stretches_the_patience(told) -> None:
    told.see(1, "a")
    told(report(1, snapshots=1))
    told.in_force = replace(IN_FORCE, interval=60.0)
    told.seconds += 170.0
    assert ({"a"}, "ok") == (told.shown, told.health.status)


def test_a_pause_ends_with_its_time_even_when_nobody_says_so(told) -> None:
    told(RateLimitPaused(retry_after_seconds=30.0, source="retry-after", until=""))
    assert told.metrics.paused()["token"]
    told.seconds += 30.0
    assert not told.metrics.paused()["token"]
    told(RateLimitPaused(retry_after_seconds=30.0, source="backoff", until=""))
    told(RateLimitResumed(retry_after_seconds=30.0, source="backoff"))
    assert not told.metrics.paused()["token"]
    assert {"retry-after": 1, "reset-header": 0, "backoff": 1} == told.series.by(
        "queuetick_rate_limit_pauses_total", "source", route="token"
    )
    assert told.series.one("queuetick_rate_limit_pause_seconds_total", route="token") == 60.0


def test_a_pause_of_one_route_is_no_pause_of_another(told) -> None:
    told(RateLimitPaused(route="listing", retry_after_seconds=30.0, source="retry-after", until=""))
    paused = told.series.by("queuetick_rate_limit_paused", "route")
    assert {"token": 0, "observations": 0, "listing": 1, "stats": 0, "login": 0} == paused
    told.in_force = replace(IN_FORCE, route_limits={"stats": 60})
    assert {"stats": 60} == told.series.by("queuetick_route_limit_requests", "route")


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
    series = told.series
    assert {"answered": 6, "failed": 2, "deferred": 2} == series.by("queuetick_batches_total", "outcome")
    assert (13, 3) == (series.one("queuetick_requests_total"), series.one("queuetick_retries_total"))


def test_a_split_batch_that_fails_in_parts_makes_no_count_fall(told) -> None:
    told(report(1, "failed", batches=1, batches_failed=3, failed=20))
    assert {"answered": 0, "failed": 3, "deferred": 0} == told.series.by("queuetick_batches_total", "outcome")


def test_skipped_ticks_are_all_counted(told) -> None:
    told(CycleSkipped(cycle=2, reason="stalled", scheduled_at="", until=None, ticks=7))
    told(CycleSkipped(cycle=3, reason="overrun", scheduled_at="", until=None))
    assert {"overrun": 1, "rate_limit": 0, "stalled": 7} == told.series.by(
        "queuetick_cycles_skipped_total", "reason"
    )


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (401, "bad.credentials", "credentials"),
        (400, "invalid_client", "credentials"),
        (403, "missing.permissions", "forbidden"),
        (None, None, "unreachable"),
        (503, "service.unavailable", "answer"),
        (200, None, "answer"),
        (401, None, "answer"),
        (403, None, "answer"),
    ],
)
def test_an_outage_is_sorted_by_who_has_to_act(status, code, cause) -> None:
    assert lost_cause(status, code) == cause


def test_an_outage_may_change_its_cause_and_ends(told) -> None:
    failed = failed_batch()
    told(failed)
    assert told.metrics.lost_cause is None, "one failed batch is no outage"
    told(ApiLost(reason="", status=None, code=None, correlation_id=None))
    assert told.metrics.lost_cause == "unreachable"
    told(failed)
    assert told.metrics.lost_cause == "credentials"
    told(ApiRecovered(outage_seconds=1.0, cycles=1))
    assert told.metrics.lost_cause is None


def test_what_else_is_counted(told) -> None:
    told(TokenRenewed(reason="rejected", expires_in_seconds=1.0))
    told(ConfigRejected(problems=[]))
    told.in_force = replace(IN_FORCE, lines_dropped=12)
    series = told.series
    assert {"start": 0, "expiring": 0, "rejected": 1} == series.by("queuetick_token_renewals_total", "reason")
    assert (12, 0) == (
        series.one("queuetick_lines_dropped_total"),
        series.one("queuetick_config_last_reload_successful"),
    )
    told(ConfigReloaded(changed=[]))
    assert told.series.one("queuetick_config_last_reload_successful") == 1


def test_a_value_on_a_bound_belongs_to_that_bucket(told) -> None:
    for duration in (0.1, 0.10001, 100.0):
        told(report(1, duration_seconds=duration))
    at = told.series.by("queuetick_cycle_duration_seconds_bucket", "le")
    assert (1, 2, 2, 3) == (at["0.1"], at["0.25"], at["60.0"], at["+Inf"])


def test_queues_without_a_line_because_nothing_changed_are_shown_until_the_heartbeat_is_overdue(told) -> None:
    told.in_force = replace(IN_FORCE, heartbeat=60.0)
    told.see(1, "a", "b", "c")
    told(report(1, snapshots=3))
    told.seconds += 15.0
    told.see(2, "a")
    told(failed_batch("c"), report(2, "partial", snapshots=1, unchanged=1, failed=1))
    assert {"a", "b"} == told.shown, "b is unchanged, and c has failed"
    assert 1 == told.series.one("queuetick_queues", state="unchanged")
    told.seconds += 90.0
    told.see(8, "a")
    told(report(8, snapshots=1, unchanged=1))
    told.seconds += 1.0
    assert {"a"} == told.shown


def test_stats_are_shown_by_media_until_three_of_their_intervals_have_passed(told) -> None:
    told.in_force = replace(IN_FORCE, stats_every=60.0)
    told(STATS)
    labels = {"queue_id": STATS.queue_id, "queue_name": "Support EMEA", "division": "Home", "media": "voice"}
    voice = STATS.media["voice"]
    series = told.series
    for name, value in {
        "offered": voice.offered,
        "answered": voice.answered,
        "abandoned": voice.abandoned,
        "service_level_ratio": voice.service_level.ratio,
        "service_level_target_ratio": voice.service_level.target,
        "answer_mean_seconds": voice.answer_seconds.mean,
        "answer_max_seconds": voice.answer_seconds.max,
    }.items():
        assert series.one(f"genesys_queue_today_{name}", **labels) == value, name
    told.seconds += 181.0
    assert told.series.total("genesys_queue_today_offered") is None


def test_stats_of_a_removed_queue_and_of_switched_off_stats_are_gone(told) -> None:
    told.in_force = replace(IN_FORCE, stats_every=60.0)
    told(STATS)
    told.in_force = IN_FORCE
    assert told.series.total("genesys_queue_today_offered") is None
    told.in_force = replace(IN_FORCE, stats_every=60.0)
    told(QueuesRefreshed(total=0, added=0, removed=1, renamed=0, added_ids=[], removed_ids=[STATS.queue_id]))
    assert told.series.total("genesys_queue_today_offered") is None


def test_a_reload_to_another_organisation_shows_nothing_of_the_first(told) -> None:
    told.in_force = replace(IN_FORCE, org="emea", stats_every=60.0)
    told.see(1, "a")
    told(STATS, ConfigReloaded(changed=["poll.batch_size"]))
    assert {"a"} == told.shown
    told(ConfigReloaded(changed=["genesys.org", "client_id"]))
    told.in_force = replace(told.in_force, org="apac")
    assert not [name for name, _ in told.series if name.startswith("genesys_")]


def test_failing_stats_are_told_while_stats_are_on(told) -> None:
    told.in_force = replace(IN_FORCE, stats_every=60.0)
    told(StatsFailed(status=403, code=None, correlation_id=None, reason="", queues=3))
    assert told.series.one("queuetick_stats_failing") == 1
    told.in_force = IN_FORCE
    assert told.series.one("queuetick_stats_failing") == 0
    told.in_force = replace(IN_FORCE, stats_every=60.0)
    told(StatsRecovered(outage_seconds=1.0))
    assert told.series.one("queuetick_stats_failing") == 0


def failed_batch(*queue_ids) -> BatchFailed:
    return BatchFailed(
        cycle=1,
        batch=1,
        queue_ids=list(queue_ids),
        status=401,
        code="bad.credentials",
        correlation_id=None,
        reason="",
        attempts=1,
    )


def test_every_fact_is_taken(told) -> None:
    told(*EXAMPLES)
