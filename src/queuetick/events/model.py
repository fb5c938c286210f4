"""What a cycle works on and what it yields, and pure functions on both. `lines/` turns the events into lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

SCHEMA_VERSION = "1.2"
"""Of the line contract, which these types and those of `events` are: CHANGELOG.md says when which number rises."""


class Queue(Struct, frozen=True):
    """A queue that is polled. `name` and `division` are None until a discovery has named it."""

    id: str
    name: str | None = None
    division: str | None = None
    division_id: str | None = None
    wait_targets: tuple[tuple[str, float], ...] = ()
    """(medium, seconds): the queue's own service level target for each medium that the listing names (facts, 11)."""

    def labels(self) -> dict[str, Any]:
        """What a line about the queue says of it: queue_id, and queue_name and division once they are known."""
        return {
            "queue_id": self.id,
            "queue_name": UNSET if self.name is None else self.name,
            "division": UNSET if self.division is None else self.division,
        }


class Batch(Struct, frozen=True):
    """The queues of one request. `number` counts from 1 within a cycle."""

    number: int
    queues: tuple[Queue, ...]

    @property
    def queue_ids(self) -> list[str]:
        return [queue.id for queue in self.queues]


class RateLimit(Struct, frozen=True):
    """What the `inin-ratelimit-*` headers of an answer said; they are reported deprecated, so any may be absent."""

    allowed: Annotated[int | None, Meta(description="requests a minute that the token may send")] = None
    used: Annotated[int | None, Meta(description="requests counted in the present window")] = None
    reset_seconds: Annotated[float | None, Meta(description="seconds until the next window starts")] = None


class MediaCounts(Struct, omit_defaults=True, gc=False):
    """One media type of one queue. A count the API did not give is null."""

    waiting: int | None
    interacting: int | None
    alerting: int | None
    longest_wait_seconds: Annotated[
        float | UnsetType, Meta(description="absent when nobody waits or the API did not say")
    ] = UNSET
    longest_interaction_seconds: Annotated[
        float | UnsetType, Meta(description="absent when nobody interacts or the API did not say")
    ] = UNSET
    wait_target_seconds: Annotated[
        float | UnsetType,
        Meta(description="the queue's own service level target for this medium; absent where not known"),
    ] = UNSET


class QueueSnapshot(Struct, tag_field="event", tag="queue.snapshot", kw_only=True, gc=False):
    """One queue as the API described it in one cycle. Null means not known; it never means 0."""

    level: ClassVar[str] = "info"

    cycle: Annotated[int, Meta(description="number of the cycle; it never decreases")]
    scheduled_at: Annotated[
        str,
        Meta(
            description="the tick's place on the wall-clock grid (UTC); with queue_id the key that removes doubles"
        ),
    ]
    queue_id: str
    queue_name: str | UnsetType = UNSET
    division: Annotated[str | UnsetType, Meta(description="name of the queue's division")] = UNSET
    waiting: Annotated[int | None, Meta(description="contacts in the queue that no agent has been offered")]
    agents_available: Annotated[int | None, Meta(description="on-queue agents whose routing status is idle")]
    interacting: Annotated[int | None, Meta(description="contacts connected with an agent")]
    alerting: Annotated[int | None, Meta(description="contacts ringing at an agent")]
    longest_wait_seconds: Annotated[
        float | None,
        Meta(description="age of the oldest wait, over all media; null when nobody waits or it is not known"),
    ]
    longest_interaction_seconds: Annotated[
        float | None,
        Meta(
            description="age of the oldest interaction, over all media; null when there is none or not known"
        ),
    ] = None
    over_target: Annotated[
        bool | None,
        Meta(
            description="whether some medium's longest wait is over its wait_target_seconds; null where that cannot "
            "be told"
        ),
    ] = None
    agents_on_queue: Annotated[int | None, Meta(description="on-queue agents, over all routing statuses")]
    agents_by_status: Annotated[
        dict[str, int | None] | None,
        Meta(description="agents by routing status; unknown statuses pass through"),
    ]
    off_queue_by_presence: Annotated[
        dict[str, int | None] | None,
        Meta(
            description="off-queue members by system presence; `unknown` for ids that no mapping has; null where the "
            "answer did not say"
        ),
    ] = None
    members: Annotated[int | None, Meta(description="members of the queue")]
    members_joined: Annotated[int | None, Meta(description="members who have joined (activated) the queue")]
    media: Annotated[
        dict[str, MediaCounts] | None, Meta(description="counts by media type; unknown types pass through")
    ]
    media_omitted: Annotated[
        int | UnsetType,
        Meta(description="media types left out to keep the line under 4 KiB; the sums include them"),
    ] = UNSET
    observed_at: Annotated[str, Meta(description="when the answer arrived (UTC); the API gives no time")]

    @property
    def severity(self) -> Literal["info"]:
        """The level of the line."""
        return "info"


Outcome = Literal["ok", "partial", "failed"]


class CycleReport(Struct, tag_field="event", tag="cycle.completed", kw_only=True):
    """The result of one cycle, with every queue counted once.

    queues = snapshots + unchanged + missing + invalid + failed + deferred.
    """

    level: ClassVar[str] = "info"

    cycle: int
    scheduled_at: Annotated[
        str,
        Meta(
            description="the tick's place on the wall-clock grid (UTC); equal on every daemon that polls the same grid"
        ),
    ]
    outcome: Annotated[
        Outcome,
        Meta(
            description="ok: every queue was polled and answered for; failed: no queue was; partial: between"
        ),
    ]
    queues: Annotated[int, Meta(description="queues that the cycle set out to poll")]
    snapshots: Annotated[int, Meta(description="queues with a queue.snapshot line in this cycle")]
    unchanged: Annotated[
        int,
        Meta(
            description="queues that were answered and have no line, because nothing changed (output.snapshots)"
        ),
    ] = 0
    missing: Annotated[int, Meta(description="queues that the answer left out")]
    invalid: Annotated[
        int, Meta(description="queues whose id the API refuses, set aside until the next refresh")
    ]
    failed: Annotated[
        int, Meta(description="queues whose batch failed; each is named in a batch.failed line")
    ]
    deferred: Annotated[int, Meta(description="queues that lost their turn to a pause or to the deadline")]
    batches: int
    batches_failed: int
    requests: Annotated[int, Meta(description="API requests sent, retries and splits included")]
    retries: Annotated[int, Meta(description="requests sent again after a failure or a 429")]
    duration_seconds: float
    lateness_seconds: Annotated[float, Meta(description="start of the cycle minus its place on the grid")]
    rate_limit: Annotated[
        RateLimit | UnsetType, Meta(description="from the last answer with inin-ratelimit-* headers")
    ] = UNSET

    @property
    def severity(self) -> Literal["info", "warning", "error"]:
        """The level of the line: how bad the outcome is."""
        return _SEVERITY[self.outcome]


_SEVERITY: dict[str, Literal["info", "warning", "error"]] = {
    "ok": "info",
    "partial": "warning",
    "failed": "error",
}


def chunk(queues: Sequence[Queue], batch_size: int) -> list[Batch]:
    """Cut `queues` into batches of `batch_size`, in their order."""
    return [
        Batch(number, tuple(queues[start : start + batch_size]))
        for number, start in enumerate(range(0, len(queues), batch_size), start=1)
    ]


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Split a batch of two queues or more; both halves keep its number."""
    middle = len(batch.queues) // 2
    return Batch(batch.number, batch.queues[:middle]), Batch(batch.number, batch.queues[middle:])


def deferred_first(queues: Iterable[Queue], deferred: Iterable[str]) -> list[Queue]:
    """Order `queues` so that those whose id is in `deferred` come first; otherwise the order stays."""
    lost_turn = set(deferred)
    return sorted(queues, key=lambda queue: queue.id not in lost_turn)
