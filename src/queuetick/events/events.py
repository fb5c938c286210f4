"""The line contract: one type per event, with its level and its fields.

Each class here (and `QueueSnapshot` and `CycleReport` of model.py) is one value of a line's `event`.
`lines/` writes them and adds `timestamp`, `level` and `org`; `schema.py` prints them as JSON Schema.
Compatibility: a field is never removed and never changes its type within a major version; new ones may come.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from queuetick.events.base import Event, Level
from queuetick.events.model import CycleReport, QueueSnapshot
from queuetick.events.stats import QueueStats, StatsFailed, StatsRecovered


class RequestsPerMinute(Struct):
    """The budget's sum: what queues, batch size and interval need, and what the token may send."""

    needed: float
    allowed: int


class DaemonStarted(Event, tag="daemon.started", kw_only=True):
    """The first line of a run: what is in force. Secrets are masked."""

    version: str
    schema_version: Annotated[str, Meta(description="version of this line contract")]
    config: Annotated[dict[str, Any], Meta(description="the configuration in force, secrets masked")]
    queues: Annotated[
        int | None, Meta(description="queues to poll; null when discovery has not answered yet")
    ]
    batches: Annotated[int | None, Meta(description="requests a cycle; null like queues")]
    requests_per_minute: RequestsPerMinute | None
    stats_requests_per_minute: Annotated[
        float | UnsetType, Meta(description="of `needed`, what queue.stats takes; absent where it is off")
    ] = UNSET


class CycleSkipped(Event, tag="cycle.skipped", kw_only=True):
    """A cycle that was due and did not run, and why."""

    level: ClassVar[Level] = "warning"

    cycle: int
    reason: Annotated[
        Literal["overrun", "rate_limit", "stalled"],
        Meta(
            description="overrun: a cycle still ran; rate_limit: inside a pause; stalled: the machine slept or hung"
        ),
    ]
    scheduled_at: Annotated[str, Meta(description="the tick's place on the grid (UTC)")]
    until: Annotated[str | None, Meta(description="end of the pause or the stall (UTC); null when not known")]
    running_cycle: Annotated[int | None, Meta(description="the cycle that still ran, for overrun")] = None
    ticks: Annotated[
        int, Meta(description="ticks that this line stands for; more than 1 only after a stall")
    ] = 1


class CycleCrashed(Event, tag="cycle.crashed", kw_only=True):
    """A defect of queuetick itself: the cycle ended, the daemon continues. Please report it."""

    level: ClassVar[Level] = "error"

    cycle: int
    scheduled_at: Annotated[str, Meta(description="the tick's place on the grid (UTC)")]
    error: str
    traceback: str


class BatchFailed(Event, tag="batch.failed", kw_only=True):
    """A batch that got no usable answer within the cycle; its queues have no snapshot in this cycle."""

    level: ClassVar[Level] = "error"

    cycle: int
    batch: int
    queue_ids: list[str]
    queue_names: Annotated[list[str], Meta(description="the known names of those queues")] = field(
        default_factory=list
    )
    status: Annotated[int | None, Meta(description="HTTP status; null when there was no answer")]
    code: Annotated[str | None, Meta(description="the API's own error code")]
    correlation_id: Annotated[str | None, Meta(description="ININ-Correlation-Id, for Genesys support")]
    reason: str
    attempts: int


class _OfQueue(Event, kw_only=True):
    """What the events about one queue share."""

    cycle: int
    queue_id: str
    queue_name: str | UnsetType = UNSET
    division: str | UnsetType = UNSET


class QueueMissing(_OfQueue, tag="queue.missing", kw_only=True):
    """A queue for which the API's answer has no data. Written once, on the change."""

    level: ClassVar[Level] = "warning"

    reason: str


class QueueInvalid(_OfQueue, tag="queue.invalid", kw_only=True):
    """A queue that the API refuses to report. It is asked for again at each refresh. Written once, on the change."""

    level: ClassVar[Level] = "error"

    permission: Annotated[
        str | UnsetType, Meta(description="the permission that the OAuth client lacks for this queue")
    ] = UNSET
    status: int | None
    code: str | None
    correlation_id: str | None
    reason: str


class QueueRecovered(_OfQueue, tag="queue.recovered", kw_only=True):
    """A queue that was missing or invalid has numbers again."""

    was: Literal["missing", "invalid"]
    cycles: Annotated[int, Meta(description="cycles that it was away")]


class QueuesRefreshed(Event, tag="queues.refreshed", kw_only=True):
    """The list of queues was read, and what is polled changed (or it was the first list)."""

    total: Annotated[int, Meta(description="queues that are polled from now on")]
    added: int
    removed: int
    renamed: int
    added_ids: Annotated[list[str], Meta(description="empty on the first discovery, where all are new")]
    removed_ids: list[str]


class QueuesRefreshFailed(Event, tag="queues.refresh_failed", kw_only=True):
    """The list of queues could not be read; the queues known before are still polled. Written once, on the change."""

    level: ClassVar[Level] = "warning"

    status: int | None
    code: str | None
    correlation_id: str | None
    reason: str


class QueuesNoneSelected(Event, tag="queues.none_selected", kw_only=True):
    """Nothing is polled, because the configuration selects no queue. Written once, on the change."""

    level: ClassVar[Level] = "error"

    total: Annotated[int, Meta(description="queues that the listing has")]
    names: Annotated[list[str], Meta(description="globs of queues.names that match no queue")]
    divisions: Annotated[list[str], Meta(description="entries of queues.divisions that no queue has")]
    ids: Annotated[list[str], Meta(description="entries of queues.ids that the listing does not have")]
    reason: str


class MetricRefused(Event, tag="metric.refused", kw_only=True):
    """The API refuses one metric of the query: its fields are null from now on. Written once for each metric."""

    level: ClassVar[Level] = "warning"

    metric: Annotated[str, Meta(description="the API's name of the metric")]
    status: int | None
    code: str | None
    correlation_id: str | None
    reason: str


Route = Literal["token", "observations", "listing", "stats", "login"]
"""What a limit holds for: one group of API routes, or the whole token."""

PauseSource = Literal["retry-after", "reset-header", "backoff"]


class RateLimitPaused(Event, tag="rate_limit.paused", kw_only=True):
    """The API answered 429: nothing is sent on this route, or with this token, until the pause ends."""

    level: ClassVar[Level] = "warning"

    route: Annotated[Route, Meta(description="what is paused: one route, or all that the token sends")] = (
        "token"
    )
    retry_after_seconds: float
    source: Annotated[
        PauseSource,
        Meta(
            description="where the length comes from; the seconds named in a 429's body count as retry-after"
        ),
    ]
    until: str


class RateLimitResumed(Event, tag="rate_limit.resumed", kw_only=True):
    """The pause is over."""

    route: Annotated[Route, Meta(description="what was paused")] = "token"
    retry_after_seconds: Annotated[float, Meta(description="length of the pause that ended")]
    source: PauseSource


class IntervalStretched(Event, tag="interval.stretched", kw_only=True):
    """The budget of requests does not allow the configured interval: a longer one is in force."""

    level: ClassVar[Level] = "warning"

    from_: Annotated[float, Meta(description="seconds before")] = field(name="from")
    to: Annotated[float, Meta(description="seconds from now on")]
    why: str


class IntervalRestored(Event, tag="interval.restored", kw_only=True):
    """The budget allows the configured interval again."""

    from_: Annotated[float, Meta(description="seconds before")] = field(name="from")
    to: Annotated[float, Meta(description="seconds from now on")]
    why: str


class ApiLost(Event, tag="api.lost", kw_only=True):
    """A whole cycle got no answer from the API. Written once, at the start of the outage."""

    level: ClassVar[Level] = "error"

    reason: str
    status: int | None
    code: str | None
    correlation_id: str | None


class ApiRecovered(Event, tag="api.recovered", kw_only=True):
    """The API answers again. Written once, at the end of the outage."""

    outage_seconds: float
    cycles: Annotated[int, Meta(description="cycles without an answer")]


class TokenRenewed(Event, tag="token.renewed", kw_only=True):
    """A new access token is in use. The token itself is never written."""

    reason: Literal["start", "expiring", "rejected"]
    expires_in_seconds: float


class Problem(Struct):
    """One thing wrong with the configuration, and what to do."""

    key: Annotated[str, Meta(description="the key, as section.key, or the file")]
    problem: str
    fix: str


class ConfigReloaded(Event, tag="config.reloaded", kw_only=True):
    """SIGHUP: a new configuration is in force."""

    changed: Annotated[list[str], Meta(description="keys whose value changed; secrets by name only")]


class ConfigRejected(Event, tag="config.rejected", kw_only=True):
    """SIGHUP: the new configuration has problems, the old one stays in force."""

    level: ClassVar[Level] = "error"

    problems: list[Problem]


class ConfigWarning(Event, tag="config.warning", kw_only=True):
    """A setting that works but may cause trouble, and what to set instead."""

    level: ClassVar[Level] = "warning"

    key: str
    problem: str
    fix: str


class OutputRecovered(Event, tag="output.recovered", kw_only=True):
    """Lines can be written again after a full disk or a lost directory."""

    level: ClassVar[Level] = "warning"

    seconds: Annotated[float, Meta(description="how long nothing could be written")]
    lines_dropped: Annotated[int, Meta(description="lines lost because the buffer was full as well")]
    reason: str


class LogMessage(Event, tag="log.message", kw_only=True):
    """A message that a library logged, or a note of queuetick that has no event of its own."""

    logger: str
    message: str
    traceback: str | UnsetType = UNSET


class DaemonStopped(Event, tag="daemon.stopped", kw_only=True):
    """The last line of a run."""

    reason: str
    cycles: Annotated[int, Meta(description="the last cycle's number")]
    uptime_seconds: float


Fact = Event | QueueSnapshot | CycleReport

EVENTS: tuple[type[Fact], ...] = (
    DaemonStarted,
    QueueSnapshot,
    CycleReport,
    CycleSkipped,
    CycleCrashed,
    BatchFailed,
    QueueMissing,
    QueueInvalid,
    QueueRecovered,
    QueuesRefreshed,
    QueuesRefreshFailed,
    QueuesNoneSelected,
    MetricRefused,
    QueueStats,
    StatsFailed,
    StatsRecovered,
    RateLimitPaused,
    RateLimitResumed,
    IntervalStretched,
    IntervalRestored,
    ApiLost,
    ApiRecovered,
    TokenRenewed,
    ConfigReloaded,
    ConfigRejected,
    ConfigWarning,
    OutputRecovered,
    LogMessage,
    DaemonStopped,
)
"""Every event, in the order of docs/events.md."""

MEASUREMENTS = (QueueSnapshot, QueueStats)
"""Never silenced by `log.level`, and superseded by the queue's next one."""
