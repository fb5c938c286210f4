"""The two queries that answer "how many wait, how many are free", and what their answers mean.

Facts, sections 1.1 to 1.5.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, Struct

from queuetick.genesys.answers import Datum, Stats, read_details, read_observations
from queuetick.instants import utc
from queuetick.model import Batch, MediaCounts, Queue, QueueSnapshot

METRICS = (
    "oWaiting",
    "oInteracting",
    "oAlerting",
    "oLongestWaiting",
    "oLongestInteracting",
    "oOnQueueUsers",
    "oUserRoutingStatuses",
    "oMemberUsers",
    "oActiveUsers",
)

LATEST = 2**53
"""Epoch milliseconds beyond which an instant is not believed."""

_ON_QUEUE_STATUSES = ("IDLE", "INTERACTING", "COMMUNICATING", "NOT_RESPONDING")


LEFT_OUT = "the answer leaves it out: unknown id, or a division that the role lacks"
NO_DATA = "the answer names it without any numbers"
"""The two ways in which an answer can lack a queue."""


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
        return _encode({"filter": {"type": "or", "predicates": predicates}, "metrics": METRICS})

    def read(self, data: bytes, batch: Batch, *, cycle: int, arrived: float) -> Answer:
        """Read an answer that arrived at `arrived` (epoch seconds). Raises Transient when it is no answer."""
        found: dict[str, _Described] = {}
        bare: set[str] = set()
        for group in read_observations(data):
            if group.group is None or group.group.queueId is None:
                continue
            queue_id = group.group.queueId.lower()
            if not group.data:
                bare.add(queue_id)
                continue
            described = found.get(queue_id)
            if described is None:
                described = found[queue_id] = _Described()
            described.take(group.group.mediaType, group.data)
        observed_at = utc(arrived)
        answer = Answer([], [])
        for queue in batch.queues:
            described = found.get(queue.id)
            if described is None:
                answer.missing.append((queue, NO_DATA if queue.id in bare else LEFT_OUT))
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
        return _encode(
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
            group.entity.id.lower(): group.entities[-1].metrics if group.entities else None
            for group in read_details(data)
            if group.entity is not None and group.entity.id is not None
        }
        observed_at = utc(arrived)
        answer = Answer([], [])
        for queue in batch.queues:
            metrics = found.get(queue.id)
            if metrics is None or (metrics.waiting is None and metrics.agentsAvailable is None):
                answer.missing.append((queue, NO_DATA if queue.id in found else LEFT_OUT))
                continue
            snapshot = _Described().snapshot(queue, cycle=cycle, arrived=arrived, observed_at=observed_at)
            snapshot.waiting, snapshot.agents_available = metrics.waiting, metrics.agentsAvailable
            answer.snapshots.append(snapshot)
        return answer


ENDPOINTS: Mapping[str, Observations | Details] = {"observations": Observations(), "details": Details()}


def _encode(body: object) -> str:
    """As text, because the SDK passes a str body on as it is and walks through everything else."""
    return msgspec.json.encode(body).decode()


_ABSENT = -2  # the API did not give this metric
_UNREADABLE = -1  # it gave something that is not a count: no sum it is part of can be shown
_UNSAID = (_ABSENT, _ABSENT, _ABSENT, None, None)


class _Described:
    """One queue's groups, gathered. What comes twice counts once: the last value stands.

    The innermost loop of the program (40 values a queue): counts are plain integers, with the two marks above.
    """

    __slots__ = ("media", "users")

    def __init__(self) -> None:
        self.users: dict[str | None, dict[str | None, int | None]] | None = None
        self.media: dict[str, tuple[int, int, int, float | None, float | None]] = {}

    def take(self, media_type: str | None, data: list[Datum]) -> None:
        """Take in one group's values."""
        if media_type is None:
            users = self.users
            if users is None:
                users = self.users = {}
            for datum in data:
                if datum.stats is not None:
                    users.setdefault(datum.metric, {})[datum.qualifier] = datum.stats.count
            return
        waiting, interacting, alerting, waiting_since, interacting_since = self.media.get(media_type, _UNSAID)
        for datum in data:
            stats = datum.stats
            if stats is None:
                continue
            metric = datum.metric
            if metric == "oWaiting":
                waiting = _UNREADABLE if stats.count is None else stats.count
            elif metric == "oInteracting":
                interacting = _UNREADABLE if stats.count is None else stats.count
            elif metric == "oAlerting":
                alerting = _UNREADABLE if stats.count is None else stats.count
            elif metric == "oLongestWaiting":
                waiting_since = _began(stats)
            elif metric == "oLongestInteracting":
                interacting_since = _began(stats)
        self.media[media_type] = (waiting, interacting, alerting, waiting_since, interacting_since)

    def snapshot(self, queue: Queue, *, cycle: int, arrived: float, observed_at: str) -> QueueSnapshot:
        """The line's facts; sums leave out media that do not give a metric."""
        media: dict[str, MediaCounts] = {}
        total_waiting = total_interacting = total_alerting = _ABSENT
        oldest_wait: float | None = None
        oldest_interaction: float | None = None
        for media_type, (
            waiting,
            interacting,
            alerting,
            waiting_since,
            interacting_since,
        ) in self.media.items():
            counts = MediaCounts(
                waiting if waiting >= 0 else None,
                interacting if interacting >= 0 else None,
                alerting if alerting >= 0 else None,
            )
            if waiting >= 0 and total_waiting >= 0:
                total_waiting += waiting
            elif waiting != _ABSENT:
                total_waiting = _add(total_waiting, waiting)
            if interacting >= 0 and total_interacting >= 0:
                total_interacting += interacting
            elif interacting != _ABSENT:
                total_interacting = _add(total_interacting, interacting)
            if alerting >= 0 and total_alerting >= 0:
                total_alerting += alerting
            elif alerting != _ABSENT:
                total_alerting = _add(total_alerting, alerting)
            if waiting_since is not None and waiting != 0:
                counts.longest_wait_seconds = _age(waiting_since, arrived)
                oldest_wait = _earlier(oldest_wait, waiting_since)
            if interacting_since is not None and interacting != 0:
                counts.longest_interaction_seconds = _age(interacting_since, arrived)
                oldest_interaction = _earlier(oldest_interaction, interacting_since)
            media[_SNAKE.get(media_type) or snake(media_type)] = counts
        users = self.users
        available = on_queue = by_status = members = joined = None
        if users is not None:
            on_queue, available, by_status = _statuses(users)
            members = users.get("oMemberUsers", _NOTHING).get(None)
            joined = users.get("oActiveUsers", _NOTHING).get(None)
            if not media and (said := users.get("oWaiting", _NOTHING).get(None)) is not None:
                total_waiting = said  # some answers keep the conversations in the queue's own group
        return QueueSnapshot(
            cycle=cycle,
            queue_id=queue.id,
            queue_name=UNSET if queue.name is None else queue.name,
            division=UNSET if queue.division is None else queue.division,
            waiting=total_waiting if total_waiting >= 0 else None,
            agents_available=available,
            interacting=total_interacting if total_interacting >= 0 else None,
            alerting=total_alerting if total_alerting >= 0 else None,
            longest_wait_seconds=(
                None if oldest_wait is None or total_waiting == 0 else _age(oldest_wait, arrived)
            ),
            longest_interaction_seconds=(
                None
                if oldest_interaction is None or total_interacting == 0
                else _age(oldest_interaction, arrived)
            ),
            agents_on_queue=on_queue,
            agents_by_status=by_status,
            members=members,
            members_joined=joined,
            media=media or None,
            observed_at=observed_at,
        )


_NOTHING: dict[str | None, int | None] = {}


def _add(total: int, count: int) -> int:
    if count < 0 or total == _UNREADABLE:
        return _UNREADABLE
    return count if total == _ABSENT else total + count


def _began(stats: Stats) -> float | None:
    """Epoch milliseconds when an oLongest* metric began (facts, 1.2: not a duration); None when there is none."""
    began = None if stats.count == 0 else stats.calculatedMetricValue
    return began if began is not None and 0 < began < LATEST else None


def _earlier(oldest: float | None, began: float) -> float:
    return began if oldest is None or began < oldest else oldest


def _age(began: float, arrived: float) -> float:
    return max(0.0, round(arrived - began / 1000, 1))


def _statuses(
    users: Mapping[str | None, dict[str | None, int | None]],
) -> tuple[int | None, int | None, dict[str, int | None]]:
    """Agents on queue in all, idle among them, and by routing status.

    A status with nobody in it is left out by the API (facts, 1.3): in a group that came, absent means 0.
    """
    by_status: dict[str, int | None] = {"idle": 0, "interacting": 0, "communicating": 0, "not_responding": 0}
    total: int | None = 0
    for qualifier, count in users.get("oOnQueueUsers", _NOTHING).items():
        if qualifier is not None:
            by_status[_SNAKE.get(qualifier) or snake(qualifier)] = count
            total = None if count is None or total is None else total + count
    available = by_status["idle"]
    said = users.get("oUserRoutingStatuses", _NOTHING)
    for qualifier, count in said.items():
        if qualifier is not None and qualifier not in _ON_QUEUE_STATUSES:
            by_status.setdefault(_SNAKE.get(qualifier) or snake(qualifier), count)
    if "off_queue" not in by_status:
        # Absent among statuses that were given means nobody; with no status given at all it is not known.
        nobody = bool(said) or users.get("oMemberUsers", _NOTHING).get(None) == 0
        by_status["off_queue"] = 0 if nobody else None
    return total, available, by_status


@functools.lru_cache(maxsize=256)
def snake(name: str) -> str:
    """The API's own name in lower snake case: NOT_RESPONDING, notResponding -> not_responding."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).strip("_").lower() or "unknown"


_SNAKE = {
    name: snake(name)
    for name in (*_ON_QUEUE_STATUSES, "OFF_QUEUE", "voice", "callback", "chat", "email", "message", "video")
}
