"""The two queries that answer "how many wait, how many are free", and what their answers mean.

Facts, sections 1.1 to 1.5.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping

from msgspec import UNSET, Struct

from queuetick.genesys.answers import Datum, Stats, read_details, read_observations
from queuetick.instants import utc
from queuetick.model import Batch, MediaCounts, Queue, QueueSnapshot

METRICS = (
    "oWaiting",
    "oInteracting",
    "oAlerting",
    "oLongestWaiting",
    "oOnQueueUsers",
    "oUserRoutingStatuses",
    "oMemberUsers",
    "oActiveUsers",
)

LATEST = 2**53
"""Epoch milliseconds beyond which an instant is not believed."""

_ON_QUEUE_STATUSES = ("IDLE", "INTERACTING", "COMMUNICATING", "NOT_RESPONDING")


class Answer(Struct):
    """What one batch came to: a snapshot per queue that was described, a reason per queue that was not."""

    snapshots: list[QueueSnapshot]
    missing: list[tuple[Queue, str]]


class Observations:
    """`POST /api/v2/analytics/queues/observations/query`, the published operation."""

    path = "/api/v2/analytics/queues/observations/query"
    permission = "analytics:queueObservation:view"

    def body(self, queue_ids: Iterable[str]) -> str:
        """The smallest body; no mediaType predicate, which might drop the groups that carry agents (facts, 1.1)."""
        predicates = [
            {"type": "dimension", "dimension": "queueId", "operator": "matches", "value": queue_id}
            for queue_id in queue_ids
        ]
        return json.dumps({"filter": {"type": "or", "predicates": predicates}, "metrics": METRICS})

    def read(self, data: bytes, batch: Batch, *, cycle: int, arrived: float) -> Answer:
        """Read an answer that arrived at `arrived` (epoch seconds). Raises Transient when it is no answer."""
        found: dict[str, _Described] = {}
        for group in read_observations(data):
            if group.group is None or group.group.queueId is None or not group.data:
                continue
            queue_id = group.group.queueId.lower()
            described = found.get(queue_id)
            if described is None:
                described = found[queue_id] = _Described()
            described.take(group.group.mediaType, group.data)
        observed_at = utc(arrived)
        answer = Answer([], [])
        for queue in batch.queues:
            described = found.get(queue.id)
            if described is None:
                answer.missing.append(
                    (queue, "the answer has no data for it: unknown id, or a division the role lacks")
                )
            else:
                answer.snapshots.append(
                    described.snapshot(queue, cycle=cycle, arrived=arrived, observed_at=observed_at)
                )
        return answer


class Details:
    """`POST /api/v2/analytics/queues/details/query`: the tutorial's contract, for gateways that offer it."""

    path = "/api/v2/analytics/queues/details/query"
    permission = "statistics:queue:read"

    def body(self, queue_ids: Iterable[str]) -> str:
        return json.dumps(
            {
                "interval": "R/PT1M",
                "entities": [{"type": "queue", "id": queue_id} for queue_id in queue_ids],
                "groupBy": ["queue"],
                "metrics": ["waiting", "agentsAvailable"],
            }
        )

    def read(self, data: bytes, batch: Batch, *, cycle: int, arrived: float) -> Answer:
        """Read an answer that arrived at `arrived` (epoch seconds). Raises Transient when it is no answer."""
        found = {
            group.entity.id.lower(): group.entities[-1].metrics
            for group in read_details(data)
            if group.entity is not None and group.entity.id is not None and group.entities
        }
        observed_at = utc(arrived)
        answer = Answer([], [])
        for queue in batch.queues:
            metrics = found.get(queue.id)
            if metrics is None or (metrics.waiting is None and metrics.agentsAvailable is None):
                answer.missing.append((queue, "the answer has no metrics for it"))
                continue
            answer.snapshots.append(
                _snapshot(
                    queue,
                    cycle,
                    observed_at,
                    waiting=metrics.waiting,
                    agents_available=metrics.agentsAvailable,
                )
            )
        return answer


ENDPOINTS: Mapping[str, Observations | Details] = {"observations": Observations(), "details": Details()}


class _Described:
    """One queue's groups, gathered. A group that comes twice counts once: its last values stand."""

    __slots__ = ("media", "users")

    def __init__(self) -> None:
        self.users: dict[tuple[str | None, str | None], int | None] | None = None
        self.media: dict[str, dict[str | None, Stats]] = {}

    def take(self, media_type: str | None, data: list[Datum]) -> None:
        if media_type is None:
            users = self.users
            if users is None:
                users = self.users = {}
            for datum in data:
                if datum.stats is not None:
                    users[datum.metric, datum.qualifier] = datum.stats.count
        else:
            stats = self.media.get(media_type)
            if stats is None:
                stats = self.media[media_type] = {}
            for datum in data:
                if datum.stats is not None:
                    stats[datum.metric] = datum.stats

    def snapshot(self, queue: Queue, *, cycle: int, arrived: float, observed_at: str) -> QueueSnapshot:
        media: dict[str, MediaCounts] = {}
        waiting = interacting = alerting = oldest = None
        for media_type, stats in self.media.items():
            counts = MediaCounts(
                _count(stats, "oWaiting"), _count(stats, "oInteracting"), _count(stats, "oAlerting")
            )
            if "oWaiting" in stats:
                waiting = _add(waiting, counts.waiting)
            if "oInteracting" in stats:
                interacting = _add(interacting, counts.interacting)
            if "oAlerting" in stats:
                alerting = _add(alerting, counts.alerting)
            if counts.waiting != 0 and (began := _began(stats.get("oLongestWaiting"))) is not None:
                counts.longest_wait_seconds = _age(began, arrived)
                oldest = began if oldest is None or began < oldest else oldest
            media[snake(media_type)] = counts
        waiting, interacting, alerting = _known(waiting), _known(interacting), _known(alerting)
        users = self.users
        if users is None:
            available = on_queue = by_status = members = joined = None
        else:
            available = users.get(("oOnQueueUsers", "IDLE"), 0)
            on_queue, by_status = _statuses(users)
            members = users.get(("oMemberUsers", None))
            joined = users.get(("oActiveUsers", None))
            if not media:  # some answers keep the conversations in the queue's own group
                waiting = users.get(("oWaiting", None))
        return _snapshot(
            queue,
            cycle,
            observed_at,
            waiting=waiting,
            agents_available=available,
            interacting=interacting,
            alerting=alerting,
            longest_wait_seconds=_age(oldest, arrived) if oldest is not None and waiting != 0 else None,
            agents_on_queue=on_queue,
            agents_by_status=by_status,
            members=members,
            members_joined=joined,
            media=media or None,
        )


_UNREADABLE = -1  # marks a sum of which a part could not be read: not a number to show


def _add(total: int | None, count: int | None) -> int:
    if count is None or total == _UNREADABLE:
        return _UNREADABLE
    return count if total is None else total + count


def _known(total: int | None) -> int | None:
    return None if total == _UNREADABLE else total


def _count(stats: Mapping[str | None, Stats], metric: str) -> int | None:
    found = stats.get(metric)
    return None if found is None else found.count


def _began(stats: Stats | None) -> float | None:
    """Epoch milliseconds when the oldest wait began (facts, 1.2: not a duration); None when nobody waits."""
    began = None if stats is None or stats.count == 0 else stats.calculatedMetricValue
    return began if began is not None and 0 < began < LATEST else None


def _age(began: float, arrived: float) -> float:
    return max(0.0, round(arrived - began / 1000, 1))


def _statuses(
    users: Mapping[tuple[str | None, str | None], int | None],
) -> tuple[int | None, dict[str, int | None]]:
    """Agents on queue in all, and by routing status. A status with nobody is left out by the API: it is 0."""
    by_status: dict[str, int | None] = {snake(status): 0 for status in _ON_QUEUE_STATUSES}
    total: int | None = None
    for (metric, qualifier), count in users.items():
        if metric == "oOnQueueUsers" and qualifier is not None:
            by_status[snake(qualifier)] = count
            total = _add(total, count)
    said = {
        qualifier: count for (metric, qualifier), count in users.items() if metric == "oUserRoutingStatuses"
    }
    for qualifier, count in said.items():
        if qualifier is not None and qualifier not in _ON_QUEUE_STATUSES:
            by_status.setdefault(snake(qualifier), count)
    # Absent among statuses that were given means nobody; with no status given at all it is not known.
    by_status.setdefault("off_queue", 0 if said or users.get(("oMemberUsers", None)) == 0 else None)
    return (0 if total is None else _known(total)), by_status


def _snapshot(
    queue: Queue,
    cycle: int,
    observed_at: str,
    *,
    waiting: int | None,
    agents_available: int | None,
    interacting: int | None = None,
    alerting: int | None = None,
    longest_wait_seconds: float | None = None,
    agents_on_queue: int | None = None,
    agents_by_status: dict[str, int | None] | None = None,
    members: int | None = None,
    members_joined: int | None = None,
    media: dict[str, MediaCounts] | None = None,
) -> QueueSnapshot:
    return QueueSnapshot(
        cycle=cycle,
        queue_id=queue.id,
        queue_name=UNSET if queue.name is None else queue.name,
        division=UNSET if queue.division is None else queue.division,
        waiting=waiting,
        agents_available=agents_available,
        interacting=interacting,
        alerting=alerting,
        longest_wait_seconds=longest_wait_seconds,
        agents_on_queue=agents_on_queue,
        agents_by_status=agents_by_status,
        members=members,
        members_joined=members_joined,
        media=media,
        observed_at=observed_at,
    )


@functools.lru_cache(maxsize=256)
def snake(name: str) -> str:
    """The API's own name in lower snake case: NOT_RESPONDING, notResponding -> not_responding."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).strip("_").lower() or "unknown"
