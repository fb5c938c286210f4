"""The answers about queues: groups of observations, and the groups of the details contract."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from queuetick.simulator.arrivals import MEDIA
from queuetick.simulator.contact_centre import (
    ON_QUEUE_PRESENCE,
    Queue,
    epoch_ms,
    off_queue_presences,
    on_queue_statuses,
    presence_mappings,
)
from queuetick.simulator.queries import (
    DETAILS_METRICS,
    MEDIA_METRICS,
    PRESENCE_METRICS,
    USER_METRICS,
    GroupTest,
)
from queuetick.simulator.queue_model import QueueModel

_MAPPINGS = json.dumps(presence_mappings(), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What every group of an answer holds. Equal plans give equal bytes for an unchanged model."""

    metrics: frozenset[str]
    unknown_media: str = ""
    """The name under which `message` is reported, if not its own."""

    def media_name(self, media: str) -> str:
        return self.unknown_media if media == "message" and self.unknown_media else media


def observation_body(
    queues: Iterable[Queue],
    plan: Plan,
    wants: GroupTest | None,
    without_data: Callable[[str], bool] | None,
    unknown_ids: Iterable[str] = (),
) -> bytes:
    """The whole answer.

    `wants` filters groups; `without_data` tells whose groups lack `data`, as the official tutorial
    guards against; `unknown_ids` are ids nobody has that get such a group too.
    """
    parts: list[bytes] = []
    for queue in queues:
        if without_data is not None and without_data(queue.id):
            parts.append(_bare_group(queue.id))
        elif wants is not None:
            groups = [text for media, text in _groups(queue, plan) if wants(queue.id, media)]
            if groups:
                parts.append(",".join(groups).encode())
        elif rendered := _rendered(queue, plan):
            parts.append(rendered)
    parts += map(_bare_group, unknown_ids)
    head = f'"systemToOrganizationMappings":{_MAPPINGS},' if plan.metrics & PRESENCE_METRICS else ""
    return b'{%s"results":[%s]}' % (head.encode(), b",".join(parts))


def _bare_group(queue_id: str) -> bytes:
    return b'{"group":{"queueId":"%s"}}' % queue_id.encode()


def _rendered(queue: Queue, plan: Plan) -> bytes:
    """All groups of one queue; made again only when a number may have changed."""
    version = queue.model.version
    kept = queue.rendered
    if kept is not None and kept[1] == version and kept[0] == plan:
        return kept[2]
    text = ",".join(text for _, text in _groups(queue, plan)).encode()
    queue.rendered = (plan, version, text)
    return text


def _groups(queue: Queue, plan: Plan) -> Iterator[tuple[str | None, str]]:
    """Each group's media type (None: the queue alone) and JSON; a group with nothing asked is not there."""
    model, metrics = queue.model, plan.metrics
    if data := _user_data(model, metrics):
        yield None, f'{{"group":{{"queueId":"{queue.id}"}},"data":[{data}]}}'
    if not metrics.isdisjoint(MEDIA_METRICS):
        for media in MEDIA:
            name = plan.media_name(media)
            if data := _media_data(model, media, metrics):
                yield name, f'{{"group":{{"queueId":"{queue.id}","mediaType":"{name}"}},"data":[{data}]}}'
        if "oInteracting" in metrics:
            data = _count("oInteracting", 0)
            yield "video", f'{{"group":{{"queueId":"{queue.id}","mediaType":"video"}},"data":[{data}]}}'


def _count(metric: str, count: int) -> str:
    return f'{{"metric":"{metric}","stats":{{"count":{count}}}}}'


def _split(metric: str, counts: Iterable[tuple[str, int]]) -> list[str]:
    """A metric split by qualifier. A qualifier that counts nobody is absent, as on the live API."""
    return [
        f'{{"metric":"{metric}","qualifier":"{qualifier}","stats":{{"count":{count}}}}}'
        for qualifier, count in counts
        if count
    ]


def _since(metric: str, began: float) -> str:
    """An oLongest* metric: when it began, in epoch milliseconds, not how long it is."""
    return f'{{"metric":"{metric}","stats":{{"count":1,"calculatedMetricValue":{epoch_ms(began)}}}}}'


def _user_data(model: QueueModel, metrics: frozenset[str]) -> str:
    if metrics.isdisjoint(USER_METRICS):
        return ""
    parts: list[str] = []
    members, on_queue = model.profile.members, model.on_queue
    if "oMemberUsers" in metrics:
        parts.append(_count("oMemberUsers", members))
    if "oActiveUsers" in metrics:
        parts.append(_count("oActiveUsers", model.profile.joined))
    if "oUserRoutingStatuses" in metrics:
        statuses = [*on_queue_statuses(model), ("OFF_QUEUE", members - on_queue)]
        parts += _split("oUserRoutingStatuses", statuses)
    if "oOnQueueUsers" in metrics:
        parts += _split("oOnQueueUsers", on_queue_statuses(model))
    if "oUserPresences" in metrics:
        presences = [(ON_QUEUE_PRESENCE, on_queue), *off_queue_presences(members - on_queue)]
        parts += _split("oUserPresences", presences)
    if "oOffQueueUsers" in metrics:
        parts += _split("oOffQueueUsers", off_queue_presences(members - on_queue))
    return ",".join(parts)


def _media_data(model: QueueModel, media: str, metrics: frozenset[str]) -> str:
    parts: list[str] = []
    waiting, interacting = model.waiting[media], model.interacting[media]
    if "oInteracting" in metrics:
        parts.append(_count("oInteracting", len(interacting)))
    if "oWaiting" in metrics:
        parts.append(_count("oWaiting", len(waiting)))
    if "oAlerting" in metrics:
        parts.append(_count("oAlerting", model.alerting[media]))
    if "oLongestWaiting" in metrics and waiting:
        parts.append(_since("oLongestWaiting", waiting[0].arrived))
    if "oLongestInteracting" in metrics and interacting:
        parts.append(_since("oLongestInteracting", next(iter(interacting.values()))))
    return ",".join(parts)


def details_body(queues: Iterable[Queue], now: float) -> bytes:
    """The answer of the details contract: the minute before, then the current one, of each queue."""
    minute = now - now % 60.0
    before, current = _instant(minute - 60.0), _instant(minute)
    groups = []
    for queue in queues:
        model = queue.model
        _, waiting, idle = model.minute_mark
        rows = ((before, (waiting, idle)), (current, (model.waiting_total, model.idle)))
        entities = [
            {"intervalStart": start, "metrics": dict(zip(DETAILS_METRICS, numbers, strict=True))}
            for start, numbers in rows
        ]
        groups.append({"entity": {"id": queue.id, "type": "queue"}, "entities": entities})
    return json.dumps({"groups": groups}, separators=(",", ":")).encode()


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
