"""`POST /api/v2/analytics/conversations/aggregates/query`: what it asks, and the answer from accounts."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from queuetick.simulator import api_errors
from queuetick.simulator.contact_centre import Queue
from queuetick.simulator.ledger import Durations, Tally
from queuetick.simulator.queries import GroupTest, check_metrics, parse_filter

MAX_DAYS = 7
"""Longest interval. The live API's is not known; here each day costs a replay."""

DIMENSIONS = ("queueId", "mediaType", "direction")
_GROUP_BY = ("queueId", "mediaType")

_METRICS = (
    "nOffered",
    "tAnswered",
    "tAbandon",
    "tShortAbandon",
    "tFlowOut",
    "tWait",
    "nOverSla",
    "oServiceLevel",
    "nTransferred",
)
# Known to the live API and without meaning here: accepted, and absent from every answer.
_SILENT = (
    "nConnected",
    "nError",
    "nOutbound",
    "tAcd",
    "tAcw",
    "tAlert",
    "tHandle",
    "tHeld",
    "tTalk",
    "tTalkComplete",
)
_KNOWN = frozenset(_METRICS + _SILENT)


@dataclass(frozen=True, slots=True)
class AggregateQuery:
    since: float
    until: float
    """Epoch seconds."""
    metrics: frozenset[str]
    group_by: tuple[str, ...]
    queue_ids: tuple[str, ...]
    """Every queue id named, once; empty: the filter names none, so all queues are asked for."""
    wants: GroupTest | None


def parse_aggregate_query(body: Any) -> AggregateQuery:
    """Read the body of the request. Raises the 400 that says what is wrong."""
    if not isinstance(body, dict):
        raise api_errors.bad_request("The request body must be a JSON object.")
    since, until = _interval(body.get("interval"))
    metrics = check_metrics(body.get("metrics"), "metrics", _KNOWN)
    if body.get("granularity") is not None:
        raise api_errors.bad_request(
            "granularity is not simulated: ask for the whole interval.", "invalid.value"
        )
    if (zone := body.get("timeZone")) is not None:
        _check_zone(zone)
    group_by = body.get("groupBy") or []
    if not isinstance(group_by, list) or not all(each in _GROUP_BY for each in group_by):
        raise api_errors.bad_request(f"groupBy may hold {', '.join(_GROUP_BY)} here.", "invalid.value")
    queue_ids: tuple[str, ...] = ()
    wants: GroupTest | None = None
    if body.get("filter") is not None:
        queue_ids, wants = parse_filter(body["filter"], DIMENSIONS)
    return AggregateQuery(since, until, metrics, tuple(dict.fromkeys(group_by)), queue_ids, wants)


def _interval(value: Any) -> tuple[float, float]:
    if not isinstance(value, str) or value.count("/") != 1:
        raise api_errors.bad_request("interval is required, as START/END.", "constraint.validation")
    try:
        first, last = (datetime.fromisoformat(part) for part in value.split("/"))
    except ValueError:
        raise api_errors.bad_request(f"interval: [{value}] is not two instants.", "invalid.date") from None
    if first.tzinfo is None or last.tzinfo is None:
        raise api_errors.bad_request("interval needs an offset from UTC.", "invalid.date")
    since, until = first.timestamp(), last.timestamp()
    if not 0 < until - since <= MAX_DAYS * 86400:
        raise api_errors.bad_request(
            f"interval must end after it starts, within {MAX_DAYS} days.", "invalid.date"
        )
    return since, until


def _check_zone(name: Any) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, TypeError, OSError, KeyError):
        raise api_errors.bad_request(f"timeZone: [{name}] is not known.", "invalid.value") from None


def aggregate_body(
    queues: Iterable[Queue],
    query: AggregateQuery,
    now: float,
    media_names: dict[str, str],
    without_data: Callable[[str], bool] | None,
) -> bytes:
    """The whole answer: a group for each combination of `groupBy` that had a contact."""
    groups: dict[tuple[str, ...], Tally] = {}
    for queue in queues:
        for media, tally in queue.account(query.since, min(query.until, now)).tallies.items():
            named = media_names.get(media, media)
            if query.wants is not None and not query.wants(queue.id, named):
                continue
            values = {"queueId": queue.id, "mediaType": named}
            groups.setdefault(tuple(values[each] for each in query.group_by), Tally()).merge(tally)
    interval = f"{_instant(query.since)}/{_instant(query.until)}"
    results: list[dict[str, Any]] = []
    for key, tally in groups.items():
        group = dict(zip(query.group_by, key, strict=True))
        if without_data is not None and without_data(group.get("queueId", "")):
            results.append({"group": group})
        elif metrics := _metrics(tally, query.metrics):
            results.append({"group": group, "data": [{"interval": interval, "metrics": metrics}]})
    return json.dumps({"results": results}, separators=(",", ":")).encode()


def _metrics(tally: Tally, wanted: frozenset[str]) -> list[dict[str, Any]]:
    """What occurred of the metrics; one that did not occur is absent."""
    stats: dict[str, dict[str, Any] | None] = {
        "nOffered": _count(tally.offered),
        "tAnswered": _durations(tally.answered),
        "tAbandon": _durations(tally.abandoned),
        "tShortAbandon": _durations(tally.short),
        "tFlowOut": _durations(tally.flowed_out),
        "tWait": _durations(tally.waited),
        "nOverSla": _count(tally.over_target),
        "oServiceLevel": _service_level(tally),
        "nTransferred": _count(tally.transferred),
    }
    return [{"metric": name, "stats": stats[name]} for name in _METRICS if name in wanted and stats[name]]


def _count(count: int) -> dict[str, Any] | None:
    return {"count": count} if count else None


def _durations(durations: Durations) -> dict[str, Any] | None:
    if not durations.count:
        return None
    return {"max": durations.max, "min": durations.min, "count": durations.count, "sum": durations.sum}


def _service_level(tally: Tally) -> dict[str, Any] | None:
    """The target is there only where all media of the group have the same."""
    if not tally.judged:
        return None
    ratio = round(tally.met / tally.judged, 4)
    level = {"ratio": ratio, "numerator": tally.met, "denominator": tally.judged}
    return level | ({"target": next(iter(tally.targets))} if len(tally.targets) == 1 else {})


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
