"""One realistic fact per event: the examples of docs/events.md and of the JSON Schema."""

from __future__ import annotations

from queuetick.events.events import (
    ApiLost,
    ApiRecovered,
    BatchFailed,
    ConfigRejected,
    ConfigReloaded,
    ConfigWarning,
    CycleCrashed,
    CycleSkipped,
    DaemonStarted,
    DaemonStopped,
    Fact,
    IntervalRestored,
    IntervalStretched,
    LogMessage,
    OutputRecovered,
    Problem,
    QueueInvalid,
    QueueMissing,
    QueueRecovered,
    QueuesRefreshed,
    QueuesRefreshFailed,
    RateLimitPaused,
    RateLimitResumed,
    RequestsPerMinute,
    TokenRenewed,
)
from queuetick.events.model import SCHEMA_VERSION, CycleReport, MediaCounts, QueueSnapshot, RateLimit

SUPPORT = "e8963ace-25c9-4b34-a0a3-5c3b6f2f6a11"
SALES = "0b1f3c52-7f0e-4d5b-9a57-3f7d0c5a9e22"
CORRELATION = "6f1d9a52-2f5c-4f0e-8f60-51a3f1c6f0d7"

EXAMPLES: tuple[Fact, ...] = (
    DaemonStarted(
        version="1.0.0",
        schema_version=SCHEMA_VERSION,
        config={"genesys": {"region": "eu-west-1"}, "poll": {"interval": 15}, "output": {"path": "-"}},
        queues=42,
        batches=3,
        requests_per_minute=RequestsPerMinute(needed=12.0, allowed=300),
    ),
    QueueSnapshot(
        cycle=42,
        queue_id=SUPPORT,
        queue_name="Support EMEA",
        division="Home",
        waiting=7,
        agents_available=3,
        interacting=5,
        alerting=1,
        longest_wait_seconds=83.2,
        longest_interaction_seconds=412.6,
        agents_on_queue=9,
        agents_by_status={
            "idle": 3,
            "interacting": 5,
            "communicating": 0,
            "not_responding": 1,
            "off_queue": 4,
        },
        members=14,
        members_joined=13,
        media={
            "voice": MediaCounts(
                waiting=4,
                interacting=3,
                alerting=1,
                longest_wait_seconds=83.2,
                longest_interaction_seconds=412.6,
            ),
            "email": MediaCounts(waiting=3, interacting=2, alerting=0, longest_interaction_seconds=187.0),
        },
        observed_at="2026-11-24T04:00:15.398Z",
    ),
    CycleReport(
        cycle=42,
        outcome="partial",
        queues=42,
        snapshots=20,
        missing=1,
        invalid=1,
        failed=20,
        deferred=0,
        batches=3,
        batches_failed=1,
        requests=6,
        retries=2,
        duration_seconds=1.87,
        lateness_seconds=0.004,
        rate_limit=RateLimit(allowed=300, used=17, reset_seconds=44),
    ),
    CycleSkipped(
        cycle=43,
        reason="rate_limit",
        scheduled_at="2026-11-24T04:00:30.000Z",
        until="2026-11-24T04:01:02.000Z",
    ),
    CycleCrashed(
        cycle=44,
        error="KeyError: 'results'",
        traceback="Traceback (most recent call last):\n  [...]\nKeyError: 'results'",
    ),
    BatchFailed(
        cycle=42,
        batch=2,
        queue_ids=[SUPPORT, SALES],
        status=503,
        code="service.unavailable",
        correlation_id=CORRELATION,
        reason="the API answered 503 three times",
        attempts=3,
    ),
    QueueMissing(
        cycle=42, queue_id=SALES, queue_name="Sales", division="Home", reason="the answer left it out"
    ),
    QueueInvalid(
        cycle=42,
        queue_id=SALES,
        status=400,
        code="bad.request",
        correlation_id=CORRELATION,
        reason="the API knows no queue with this id",
    ),
    QueueRecovered(cycle=57, queue_id=SALES, queue_name="Sales", division="Home", was="missing", cycles=15),
    QueuesRefreshed(total=43, added=1, removed=0, renamed=0, added_ids=[SALES], removed_ids=[]),
    QueuesRefreshFailed(
        status=None, code=None, correlation_id=None, reason="no answer within 10 s; 42 queues stay in force"
    ),
    RateLimitPaused(retry_after_seconds=32.0, source="retry-after", until="2026-11-24T04:01:02.000Z"),
    RateLimitResumed(retry_after_seconds=32.0, source="retry-after"),
    IntervalStretched(from_=15.0, to=30.0, why="1,600 queues need 320 requests a minute, 180 are allowed"),
    IntervalRestored(from_=30.0, to=15.0, why="800 queues need 160 requests a minute, 180 are allowed"),
    ApiLost(reason="connection refused", status=None, code=None, correlation_id=None),
    ApiRecovered(outage_seconds=94.6, cycles=6),
    TokenRenewed(reason="expiring", expires_in_seconds=86399.0),
    ConfigReloaded(changed=["poll.batch_size", "GENESYS_CLIENT_SECRET"]),
    ConfigRejected(
        problems=[
            Problem(key="poll.batch_size", problem="201 is more than the API takes", fix="use 1 to 200"),
            Problem(key="queues.idz", problem="unknown key", fix="did you mean queues.ids?"),
        ]
    ),
    ConfigWarning(
        key="poll.interval",
        problem="under 10 s the answers hardly change",
        fix="use 15",
    ),
    OutputRecovered(seconds=312.4, lines_dropped=0, reason="No space left on device"),
    LogMessage(logger="urllib3.connectionpool", message="Connection pool is full, discarding connection"),
    DaemonStopped(reason="SIGTERM", cycles=5760, uptime_seconds=86400.2),
)
"""In the order of `EVENTS`."""
