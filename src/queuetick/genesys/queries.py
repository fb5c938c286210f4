"""The two queries that answer "how many wait, how many are free", and what their answers mean.

Facts, sections 1.1 to 1.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import UNSET, Struct

from queuetick.clock import utc
from queuetick.events import Batch, MediaCounts, Queue, QueueSnapshot
from queuetick.genesys.answers import Datum, Stats, read_details, read_observations
from queuetick.genesys.own_names import KNOWN, own_name

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

    def read(self, data: bytes, batch: Batch, *, cycle: int, scheduled_at: str, arrived: float) -> Answer:
        """Read an answer that arrived at `arrived` (epoch seconds). Raises Transient when it is no answer."""
        found: dict[str, list[_Group]] = {}
        for group in read_observations(data):
            key = group.group
            if key is None or (queue_id := key.queueId) is None:
                continue
            groups = found.get(queue_id)
            if groups is None:  # the API may spell an id in capitals: one list under both spellings
                groups = found[queue_id] = found.setdefault(queue_id.lower(), [])
            if group.data:
                groups.append((key.mediaType, group.data))
        observed_at = utc(arrived)
        answer = Answer([], [])
        for queue in batch.queues:
            described = found.get(queue.id)
            if not described:
                answer.missing.append((queue, LEFT_OUT if described is None else NO_DATA))
            else:
                answer.snapshots.append(
                    _snapshot(described, queue, cycle, scheduled_at, arrived, observed_at)
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
                "metrics": ["waiting", "agentsAvailable"],
                "entities": [{"id": queue_id, "type": "queue"} for queue_id in queue_ids],
                "groupBy": ["queueId"],
            }
        )

    def read(self, data: bytes, batch: Batch, *, cycle: int, scheduled_at: str, arrived: float) -> Answer:
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
            snapshot = _snapshot((), queue, cycle, scheduled_at, arrived, observed_at)
            snapshot.waiting, snapshot.agents_available = metrics.waiting, metrics.agentsAvailable
            answer.snapshots.append(snapshot)
        return answer


ENDPOINTS: Mapping[str, Observations | Details] = {"observations": Observations(), "details": Details()}


def _encode(body: object) -> str:
    """As text, because the SDK passes a str body on as it is and walks through everything else."""
    return msgspec.json.encode(body).decode()


_Group = tuple[str | None, Sequence[Datum]]  # a queue's values for one media type, or for none


def _snapshot(  # noqa: PLR0917 - called once for every queue of every cycle
    groups: Sequence[_Group], queue: Queue, cycle: int, scheduled_at: str, arrived: float, observed_at: str
) -> QueueSnapshot:
    """One queue's line of facts from its groups; sums leave out media that do not give a metric.

    What comes twice counts once: the last value stands. A sum with a part that is no count is not shown.
    """
    media: dict[str, MediaCounts] = {}
    users: _Users | None = None
    unreadable: set[str] = set()
    waiting = interacting = alerting = longest_wait = longest_interaction = None
    for media_type, data in groups:
        name = None if media_type is None else KNOWN.get(media_type) or own_name(media_type)
        if name in media or (name is None and users is not None):
            return _snapshot(_merged(groups), queue, cycle, scheduled_at, arrived, observed_at)
        if name is None:
            users = _users(data)
            continue
        counts = media[name] = _medium(data, arrived, unreadable)
        if counts.waiting is not None:
            waiting = counts.waiting + (waiting or 0)
        if counts.interacting is not None:
            interacting = counts.interacting + (interacting or 0)
        if counts.alerting is not None:
            alerting = counts.alerting + (alerting or 0)
        if counts.longest_wait_seconds is not UNSET:
            longest_wait = max(longest_wait or 0.0, counts.longest_wait_seconds)
        if counts.longest_interaction_seconds is not UNSET:
            longest_interaction = max(longest_interaction or 0.0, counts.longest_interaction_seconds)
    if users is None:
        users = _NO_USERS
    elif not media and users.waiting is not None:
        waiting = users.waiting  # some answers keep the conversations in the queue's own group
    if unreadable:
        waiting = None if "oWaiting" in unreadable else waiting
        interacting = None if "oInteracting" in unreadable else interacting
        alerting = None if "oAlerting" in unreadable else alerting
    return QueueSnapshot(
        cycle=cycle,
        scheduled_at=scheduled_at,
        queue_id=queue.id,
        queue_name=UNSET if queue.name is None else queue.name,
        division=UNSET if queue.division is None else queue.division,
        waiting=waiting,
        agents_available=users.available,
        interacting=interacting,
        alerting=alerting,
        longest_wait_seconds=None if waiting == 0 else longest_wait,
        longest_interaction_seconds=None if interacting == 0 else longest_interaction,
        agents_on_queue=users.on_queue,
        agents_by_status=users.by_status,
        members=users.members,
        members_joined=users.joined,
        media=media or None,
        observed_at=observed_at,
    )


def _medium(data: Iterable[Datum], arrived: float, unreadable: set[str]) -> MediaCounts:
    """One media type's values; a metric whose value is no count is added to `unreadable`.

    The innermost loop of the program (four values, for each media type of each queue, each cycle): no detours.
    """
    waiting = interacting = alerting = waiting_since = interacting_since = None
    for datum in data:
        stats = datum.stats
        if stats is None:
            continue
        metric = datum.metric
        if metric == "oInteracting":
            interacting = stats.count
        elif metric == "oWaiting":
            waiting = stats.count
        elif metric == "oAlerting":
            alerting = stats.count
        elif metric == "oLongestWaiting":
            waiting_since = _began(stats)
            continue
        elif metric == "oLongestInteracting":
            interacting_since = _began(stats)
            continue
        else:
            continue
        if stats.count is None:
            unreadable.add(metric)
    counts = MediaCounts(waiting, interacting, alerting)
    if waiting_since is not None and waiting != 0:
        counts.longest_wait_seconds = _age(waiting_since, arrived)
    if interacting_since is not None and interacting != 0:
        counts.longest_interaction_seconds = _age(interacting_since, arrived)
    return counts


def _merged(groups: Iterable[_Group]) -> list[_Group]:
    """One group for each media type, with all that several of its groups say, in their order."""
    merged: dict[str | None, list[Datum]] = {}
    for media_type, data in groups:
        merged.setdefault(media_type, []).extend(data)
    return list(merged.items())


def _began(stats: Stats) -> float | None:
    """Epoch milliseconds when an oLongest* metric began (facts, 1.2: not a duration); None when there is none."""
    began = None if stats.count == 0 else stats.calculatedMetricValue
    return began if began is not None and 0 < began < LATEST else None


def _age(began: float, arrived: float) -> float:
    age = round(arrived - began / 1000, 1)
    return age if age > 0 else 0.0


class _Users(Struct, gc=False):
    """What a queue's own group says, the one without a media type; `waiting` is conversations that some keep there."""

    available: int | None = None
    on_queue: int | None = None
    by_status: dict[str, int | None] | None = None
    members: int | None = None
    joined: int | None = None
    waiting: int | None = None


_NO_USERS = _Users()


def _users(data: Iterable[Datum]) -> _Users:
    """Agents on queue in all, idle among them, and by routing status; members.

    A status with nobody in it is left out by the API (facts, 1.3): in a group that came, absent means 0.
    """
    users = _Users()
    by_status: dict[str, int | None] = {"idle": 0, "interacting": 0, "communicating": 0, "not_responding": 0}
    elsewhere: dict[str, int | None] = {}
    routing_said = False
    for datum in data:
        stats = datum.stats
        if stats is None:
            continue
        metric, qualifier = datum.metric, datum.qualifier
        if metric == "oOnQueueUsers":
            if qualifier is not None:
                by_status[KNOWN.get(qualifier) or own_name(qualifier)] = stats.count
        elif metric == "oUserRoutingStatuses":
            routing_said = True
            if qualifier is not None and qualifier not in _ON_QUEUE_STATUSES:
                elsewhere[KNOWN.get(qualifier) or own_name(qualifier)] = stats.count
        elif qualifier is not None:
            continue
        elif metric == "oMemberUsers":
            users.members = stats.count
        elif metric == "oActiveUsers":
            users.joined = stats.count
        elif metric == "oWaiting":
            users.waiting = stats.count
    known = [count for count in by_status.values() if count is not None]
    users.on_queue = sum(known) if len(known) == len(by_status) else None
    users.available = by_status["idle"]
    for name, count in elsewhere.items():
        by_status.setdefault(name, count)
    # Absent among statuses that were given means nobody; with no status given at all it is not known.
    by_status.setdefault("off_queue", 0 if routing_said or users.members == 0 else None)
    users.by_status = by_status
    return users
