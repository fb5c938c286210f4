"""/healthz follows the cycles' outcome, and lets nobody wait for an interval that was stretched."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from queuetick.events import ApiLost, CycleCrashed, CycleSkipped, QueuesNoneSelected
from queuetick.metrics.health import InForce

from .recorded import IN_FORCE, Recorded, report

AT = "2026-11-24T04:00:15.000Z"


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def skipped(cycle: int, reason="rate_limit") -> CycleSkipped:
    return CycleSkipped(cycle=cycle, reason=reason, scheduled_at=AT, until=None)


def test_before_the_first_cycle_nothing_is_ok(recorded) -> None:
    health = recorded.health
    assert ("failing", ["starting"], 503, None) == (
        health.status,
        health.causes,
        health.http_status,
        health.last_success_seconds_ago,
    )


def test_a_good_cycle_is_ok_for_three_intervals(recorded) -> None:
    recorded(report(1, snapshots=2))
    recorded.seconds += 45.0
    assert ("ok", [], 200, 45.0) == (
        recorded.health.status,
        recorded.health.causes,
        recorded.health.http_status,
        recorded.health.last_success_seconds_ago,
    )
    recorded.seconds += 0.1
    assert (["stale"], 503) == (recorded.health.causes, recorded.health.http_status)


def test_missing_queues_alone_are_no_trouble(recorded) -> None:
    """The API answered for the query: the outcome is ok, and so is /healthz."""
    recorded(report(1, snapshots=1, missing=1))
    assert recorded.health.status == "ok"


def test_a_failed_cycle_is_told_at_once_and_a_good_one_ends_it(recorded) -> None:
    recorded(report(1, snapshots=2))
    recorded(ApiLost(reason="no answer within 10 s", status=None, code=None, correlation_id=None))
    recorded(report(2, "failed", failed=2))
    health = recorded.health
    assert ("failing", ["failed"], 503, 2) == (health.status, health.causes, health.http_status, health.cycle)
    assert "cycle 2 got no answer: no answer within 10 s" == health.reason
    recorded(report(3, snapshots=2))
    assert recorded.health.status == "ok"


def test_a_crashed_cycle_is_told_at_once(recorded) -> None:
    recorded(report(1, snapshots=2), CycleCrashed(cycle=2, scheduled_at=AT, error="KeyError", traceback=""))
    assert (503, "cycle 2 crashed") == (recorded.health.http_status, recorded.health.reason)


@pytest.mark.parametrize(
    "short",
    [
        report(2, "partial", snapshots=1, deferred=1),
        report(2, "partial", snapshots=1, failed=1),
        report(2, "partial", snapshots=1, invalid=1),
        report(2, "partial", missing=2),
        skipped(2),
        skipped(2, "overrun"),
    ],
    ids=["deferred", "failed", "invalid", "all missing", "paused", "overrun"],
)
def test_polling_less_than_was_asked_for_is_degraded_and_503_the_second_time(short, recorded) -> None:
    recorded(report(1, snapshots=2), short)
    assert ("degraded", 200) == (recorded.health.status, recorded.health.http_status)
    assert "cycle 2" in recorded.health.reason
    recorded(replace(short, cycle=3))
    assert ("degraded", 503) == (recorded.health.status, recorded.health.http_status)
    recorded(report(4, snapshots=2))
    assert ("ok", 200) == (recorded.health.status, recorded.health.http_status)


@pytest.mark.parametrize(
    "idle",
    [skipped(2), skipped(2, "overrun"), report(2, "partial", deferred=2)],
    ids=["pause", "overrun", "deferred"],
)
def test_cycles_that_poll_nothing_are_degraded_for_three_intervals_and_then_failing(idle, recorded) -> None:
    recorded(report(1, snapshots=2))
    for cycle, expected in enumerate(
        [("degraded", 200), *[("degraded", 503)] * 2, *[("failing", 503)] * 9], 2
    ):
        recorded.seconds += 15.1 if cycle > 4 else 15.0
        recorded(replace(idle, cycle=cycle))
        health = recorded.health
        assert expected == (health.status, health.http_status)
        assert health.last_success_seconds_ago >= 15.0 * (cycle - 1)
    assert ["stale"] == health.causes
    recorded(report(14, snapshots=2))
    assert ("ok", 200) == (recorded.health.status, recorded.health.http_status)


def test_a_daemon_that_has_polled_nothing_since_its_start_is_failing(recorded) -> None:
    recorded(report(1, "partial", deferred=2))
    for cycle in range(2, 10):
        health = recorded.health
        assert ("failing", ["starting"], 503, None) == (
            health.status, health.causes, health.http_status, health.last_success_seconds_ago,
        )  # fmt: skip
        assert "no queue has been polled yet: cycle" in health.reason
        recorded(skipped(cycle))
        recorded.seconds += 15.0


def test_nothing_selected_is_failing_and_says_what_matched_nothing(recorded) -> None:
    none = QueuesNoneSelected(
        total=45, names=["Nope*"], divisions=[], ids=[], reason="no queue is named Nope*"
    )
    recorded(none, report(1, "failed"))
    assert (["none_selected"], 503) == (recorded.health.causes, recorded.health.http_status)
    assert "no queue is named Nope*" in recorded.health.reason
    recorded(report(2, snapshots=1))
    assert "Nope" not in recorded.health.reason


def test_queues_that_cannot_be_listed_are_an_outage_and_no_empty_selection(recorded) -> None:
    lost = ApiLost(reason="no answer within 10 s", status=None, code=None, correlation_id=None)
    recorded(report(1, "failed"), lost)
    assert (["failed"], 503) == (recorded.health.causes, recorded.health.http_status)
    assert "cycle 1 got no answer: no answer within 10 s" == recorded.health.reason


def test_a_stuck_output_is_failing_though_cycles_are_good(recorded) -> None:
    recorded(report(1, snapshots=2))
    recorded.in_force = replace(IN_FORCE, output_stuck_seconds=7.0)
    health = recorded.health
    assert ("failing", ["output"], 503) == (health.status, health.causes, health.http_status)
    assert "no line could be written for 7 s" in health.reason
    assert recorded.series.one("queuetick_unhealthy", cause="output") == 1
    assert recorded.series.one("queuetick_healthy") == 0


def test_an_output_that_takes_lines_too_slowly_is_failing_while_lines_are_dropped(recorded) -> None:
    """It is never stuck: a reader of 100 KB/s takes some lines in each cycle, and the others are lost."""
    recorded.in_force = replace(IN_FORCE, lines_dropped=300)
    recorded(report(1, snapshots=2))
    assert (["output"], 503) == (recorded.health.causes, recorded.health.http_status)
    assert "300 lines were dropped" in recorded.health.reason
    recorded(report(2, snapshots=2))
    assert recorded.health.status == "ok"
    recorded.in_force = replace(IN_FORCE, lines_dropped=0)
    recorded(report(3, snapshots=2))
    assert recorded.health.status == "ok", "another output counts from 0"


@pytest.mark.parametrize(
    ("interval", "patience"),
    [
        (0.5, 1.5),
        (15.0, 45.0),
        (60.0, 180.0),
        (120.0, 300.0),
        (270.0, 300.0),
        (300.0, 330.0),
        (3600.0, 3630.0),
    ],
)
def test_patience_is_three_intervals_and_at_most_five_minutes_or_one_interval(interval, patience) -> None:
    """A stretched interval does not hide an outage for three times its length."""
    assert patience == replace(IN_FORCE, interval=interval).patience


def test_the_defaults_of_what_is_in_force_are_healthy() -> None:
    assert InForce(15.0, 15.0, 20, 0, 300, 12.0).progressing
