"""The two queries that answer "how many wait, how many are free", and what their answers mean.

Facts, sections 1.1 to 1.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from queuetick.clock import utc
from queuetick.events import Batch, Queue, QueueSnapshot
from queuetick.genesys.answers import read_details, read_observations
from queuetick.genesys.own_names import presences
from queuetick.genesys.snapshots import Group, Moment, Reader, counts_conversations

METRICS: tuple[str, ...] = (
    "oWaiting",
    "oInteracting",
    "oAlerting",
    "oLongestWaiting",
    "oLongestInteracting",
    "oOnQueueUsers",
    "oUserRoutingStatuses",
    "oOffQueueUsers",
    "oMemberUsers",
    "oActiveUsers",
)


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

    def body(self, queue_ids: Iterable[str], metrics: Sequence[str] = METRICS) -> str:
        """The smallest body; no mediaType predicate, which might drop the groups that carry agents (facts, 1.1)."""
        predicates = [
            {"type": "dimension", "dimension": "queueId", "operator": "matches", "value": queue_id}
            for queue_id in queue_ids
        ]
        return _encode({"filter": {"type": "or", "predicates": predicates}, "metrics": metrics})

    def read(
        self,
        data: bytes,
        batch: Batch,
        *,
        cycle: int,
        scheduled_at: str,
        arrived: float,
        metrics: Sequence[str] = METRICS,
    ) -> Answer:
        """Read an answer that arrived at `arrived` (epoch seconds) to a query for `metrics`.

        Raises Transient when it is no answer.
        """
        observations = read_observations(data)
        found: dict[str, list[Group]] = {}
        unowned: set[str | None] = set()
        for group in observations.results or ():
            key = group.group
            if key is None or not (queue_id := key.queueId):
                if counts_conversations(group.data or ()):
                    unowned.add(None if key is None else key.mediaType)
                continue
            groups = found.get(queue_id)
            if groups is None:  # the API may spell an id in capitals: one list under both spellings
                groups = found[queue_id] = found.setdefault(queue_id.lower(), [])
            if group.data:
                groups.append((key.mediaType, group.data))
        moment = Moment(cycle, scheduled_at, arrived, utc(arrived))
        names = presences(bytes(observations.systemToOrganizationMappings))
        reader = Reader(moment, names, metrics, unowned)
        answer = Answer([], [])
        for queue in batch.queues:
            described = found.get(queue.id)
            if not described or not _names_a_metric(described):
                answer.missing.append((queue, LEFT_OUT if described is None else NO_DATA))
            else:
                answer.snapshots.append(reader.snapshot(described, queue))
        return answer


class Details:
    """`POST /api/v2/analytics/queues/details/query`: an unpublished contract that some gateways offer."""

    path = "/api/v2/analytics/queues/details/query"
    permission = "statistics:queue:read"

    def body(self, queue_ids: Iterable[str], metrics: Sequence[str] = METRICS) -> str:  # noqa: ARG002
        """The body of that contract, key for key; `metrics` of the other operation do not count here."""
        return _encode(
            {
                "interval": "R/PT1M",
                "metrics": ["waiting", "agentsAvailable"],
                "entities": [{"id": queue_id, "type": "queue"} for queue_id in queue_ids],
                "groupBy": ["queueId"],
            }
        )

    def read(
        self,
        data: bytes,
        batch: Batch,
        *,
        cycle: int,
        scheduled_at: str,
        arrived: float,
        metrics: Sequence[str] = METRICS,  # noqa: ARG002
    ) -> Answer:
        """Read an answer that arrived at `arrived` (epoch seconds). Raises Transient when it is no answer."""
        found = {
            group.entity.id.lower(): group.entities[-1].metrics if group.entities else None
            for group in read_details(data)
            if group.entity is not None and group.entity.id is not None
        }
        reader = Reader(Moment(cycle, scheduled_at, arrived, utc(arrived)), {}, ())
        answer = Answer([], [])
        for queue in batch.queues:
            said = found.get(queue.id)
            if said is None or (said.waiting is None and said.agentsAvailable is None):
                answer.missing.append((queue, NO_DATA if queue.id in found else LEFT_OUT))
                continue
            snapshot = reader.snapshot((), queue)
            snapshot.waiting, snapshot.agents_available = said.waiting, said.agentsAvailable
            answer.snapshots.append(snapshot)
        return answer


ENDPOINTS: Mapping[str, Observations | Details] = {"observations": Observations(), "details": Details()}


def _names_a_metric(groups: Sequence[Group]) -> bool:
    return any(datum.metric is not None for _, data in groups for datum in data)


def _encode(body: object) -> str:
    """As text, because the SDK passes a str body on as it is and walks through everything else."""
    return msgspec.json.encode(body).decode()
