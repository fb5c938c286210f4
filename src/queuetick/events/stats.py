"""What happened today: `queue.stats` and what it is made of (facts, 13)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from queuetick.events.base import Event, Level


class Spread(Struct):
    """Mean and maximum of a duration, in seconds; null where it did not occur."""

    mean: float | None
    max: float | None


class ServiceLevel(Struct):
    """The API's own service level and its parts, never computed here; null where the API gave none."""

    ratio: float | None
    numerator: float | None
    denominator: float | None
    target: Annotated[float | None, Meta(description="the queue's target for the ratio, 0 to 1")]


class MediaStats(Struct):
    """What happened today, of one media type."""

    offered: int | None
    answered: int | None
    abandoned: int | None
    abandoned_short: int | None
    flowed_out: int | None
    transferred: int | None
    answer_seconds: Spread
    wait_seconds: Spread
    service_level: ServiceLevel


class QueueStats(Event, tag="queue.stats", kw_only=True):
    """What happened in one queue since midnight in `stats.timezone`. Opt-in: `stats.enabled`."""

    cycle: int
    scheduled_at: Annotated[str, Meta(description="the tick's place on the wall-clock grid (UTC)")]
    queue_id: str
    queue_name: str | UnsetType = UNSET
    division: str | UnsetType = UNSET
    interval_start: Annotated[str, Meta(description="start of the window: midnight in stats.timezone (UTC)")]
    interval_end: Annotated[str, Meta(description="end of the window (UTC)")]
    offered: int | None
    answered: int | None
    abandoned: int | None
    abandoned_short: int | None
    flowed_out: int | None
    transferred: int | None
    answer_seconds: Spread
    wait_seconds: Spread
    service_level: ServiceLevel
    media: Annotated[dict[str, MediaStats] | None, Meta(description="the same by media type")]
    media_omitted: Annotated[
        int | UnsetType,
        Meta(description="media types left out to keep the line under 4 KiB; the sums include them"),
    ] = UNSET
    observed_at: Annotated[str, Meta(description="when the answer arrived (UTC)")]


class StatsFailed(Event, tag="stats.failed", kw_only=True):
    """queue.stats got no usable answer; snapshots go on. Written once, on the change."""

    level: ClassVar[Level] = "warning"

    status: int | None
    code: str | None
    correlation_id: str | None
    reason: str
    queues: Annotated[int, Meta(description="queues without a queue.stats line")]


class StatsRecovered(Event, tag="stats.recovered", kw_only=True):
    """queue.stats is answered again."""

    outage_seconds: float
