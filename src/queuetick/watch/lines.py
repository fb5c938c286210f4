"""Bytes of one line in, a typed line out: only the fields that the table shows are decoded."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import msgspec

# A naive time could not be compared with the others, so such a line is not taken.
Timestamp: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class _Line(msgspec.Struct, tag_field="event", gc=False):
    """What every line has. `gc=False`: lines hold no cycles, and 5,000 of them are alive at a time."""

    timestamp: Timestamp


class Media(msgspec.Struct, gc=False):
    """One media type's share of a queue."""

    waiting: int | None = None


class Snapshot(_Line, tag="queue.snapshot", gc=False):
    """One queue at one moment. None: the API did not say, which is not 0."""

    cycle: int
    queue_id: str
    queue_name: str | None = None
    division: str | None = None
    waiting: int | None = None
    agents_available: int | None = None
    interacting: int | None = None
    alerting: int | None = None
    longest_wait_seconds: float | None = None
    agents_on_queue: int | None = None
    media: dict[str, Media] | None = None


class RateLimit(msgspec.Struct, gc=False):
    """The token's budget as the API's headers told it; requests in the current minute."""

    allowed: int | None = None
    used: int | None = None
    reset_seconds: float | None = None


class CycleCompleted(_Line, tag="cycle.completed", gc=False):
    """The account of one cycle: queues = snapshots + missing + invalid + failed + deferred."""

    cycle: int
    outcome: str
    queues: int | None = None
    snapshots: int | None = None
    missing: int = 0
    invalid: int = 0
    failed: int = 0
    deferred: int = 0
    requests: int | None = None
    retries: int | None = None
    duration_seconds: float | None = None
    lateness_seconds: float | None = None
    rate_limit: RateLimit | None = None


# Fields that are only ever shown as words are `Any`: a status of "503" must not cost the line.


class CycleSkipped(_Line, tag="cycle.skipped", gc=False):
    cycle: int | None = None
    reason: Any = None
    until: Any = None


class CycleCrashed(_Line, tag="cycle.crashed", gc=False):
    cycle: int | None = None
    error: Any = None


class BatchFailed(_Line, tag="batch.failed", gc=False):
    queue_ids: list[str] = []
    status: Any = None
    code: Any = None
    reason: Any = None


class QueueMissing(_Line, tag="queue.missing", gc=False):
    queue_id: str
    queue_name: str | None = None
    division: str | None = None
    reason: Any = None


class QueueInvalid(_Line, tag="queue.invalid", gc=False):
    queue_id: str
    queue_name: str | None = None
    division: str | None = None
    code: Any = None
    reason: Any = None


class QueueRecovered(_Line, tag="queue.recovered", gc=False):
    queue_id: str


class QueuesRefreshed(_Line, tag="queues.refreshed", gc=False):
    removed_ids: list[str] = []


class RateLimitPaused(_Line, tag="rate_limit.paused", gc=False):
    retry_after_seconds: float = 0.0
    source: Any = None


class RateLimitResumed(_Line, tag="rate_limit.resumed", gc=False):
    pass


class IntervalStretched(_Line, tag="interval.stretched", gc=False):
    """The interval that the budget holds, in seconds."""

    to: float
    why: Any = None


class IntervalRestored(_Line, tag="interval.restored", gc=False):
    to: float | None = None


class ApiLost(_Line, tag="api.lost", gc=False):
    reason: Any = None


class ApiRecovered(_Line, tag="api.recovered", gc=False):
    pass


class DaemonStarted(_Line, tag="daemon.started", gc=False):
    config: Any = None
    requests_per_minute: Any = None


class DaemonStopped(_Line, tag="daemon.stopped", gc=False):
    reason: Any = None


Line: TypeAlias = (
    Snapshot
    | CycleCompleted
    | CycleSkipped
    | CycleCrashed
    | BatchFailed
    | QueueMissing
    | QueueInvalid
    | QueueRecovered
    | QueuesRefreshed
    | RateLimitPaused
    | RateLimitResumed
    | IntervalStretched
    | IntervalRestored
    | ApiLost
    | ApiRecovered
    | DaemonStarted
    | DaemonStopped
)


class Reject(enum.Enum):
    """Why a line says nothing to the board."""

    OTHER = "one of queuetick's own that the table does not need"
    TEXT = "no JSON, such as systemd's own words in the journal"
    BROKEN = "JSON that breaks off or breaks the contract"
    ECS = "written with [output] profile = ecs"
    OTEL = "written with [output] profile = otel"
    JOURNAL = "wrapped by journalctl -o json"


class _Any(msgspec.Struct, gc=False):
    """Any line of the contract, whatever its event."""

    event: str
    timestamp: Timestamp


_line = msgspec.json.Decoder(Line)
_any = msgspec.json.Decoder(_Any)
# RecursionError: a line of a thousand "[" is nobody's fault but must not end the watch.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_KNOWN = frozenset(kind.__struct_config__.tag for kind in Line.__args__)
_ELSEWHERE = (
    (b'"@timestamp"', Reject.ECS),
    (b'"severityNumber"', Reject.OTEL),
    (b'"SeverityNumber"', Reject.OTEL),
    (b'"severity_number"', Reject.OTEL),
    (b'"__REALTIME_TIMESTAMP"', Reject.JOURNAL),
)


def decode(line: bytes) -> Line | Reject:
    """Read one line, without its newline.

    What stands before the first `{"` is passed over: the `<6>` of a line meant for journald, and the date and
    host that `journalctl` puts there without `-o cat`.
    """
    if line[:2] != b'{"':
        start = line.find(b"{")
        if start < 0:
            return Reject.TEXT
        line = line[start:]
    try:
        line_read: Line = _line.decode(line)
    except _UNREADABLE:
        return _reject(line)
    return line_read


def _reject(line: bytes) -> Reject:
    try:
        event = _any.decode(line).event
    except _UNREADABLE:
        for mark, reject in _ELSEWHERE:
            if mark in line:
                return reject
        return Reject.BROKEN if line[1:].lstrip()[:1] in {b'"', b"}", b""} else Reject.TEXT
    return Reject.BROKEN if event in _KNOWN else Reject.OTHER
