"""The API's answers as small types, decoded straight from their bytes.

An answer that does not fit the types is read again value by value, so that one wrong value costs one field and not the
batch. One without the outer shape is an error.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from queuetick.genesys.errors import Transient

MOST = 1_000_000_000
"""Contacts or agents of one queue; a larger count is not believed."""

Count = Annotated[int, Meta(ge=0, le=MOST)]


MOST_VALUES = 400_000
"""Values of one answer. 200 queues, or a page of 500, need under 100,000; more would only take memory."""

SMALL = 512 * 1024
"""Bytes; whatever a shorter answer holds takes little memory."""


class Stats(Struct, gc=False):
    count: Count | None = None
    calculatedMetricValue: int | float | None = None  # noqa: N815 - the API's name


class Datum(Struct, gc=False):
    metric: str | None = None
    qualifier: str | None = None
    stats: Stats | None = None


class Key(Struct, gc=False):
    queueId: str | None = None  # noqa: N815 - the API's name
    mediaType: str | None = None  # noqa: N815 - the API's name


class Group(Struct, gc=False):
    group: Key | None = None
    data: list[Datum] | None = None


class Observations(Struct, gc=False):
    results: list[Group] | None = None
    systemToOrganizationMappings: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815 - the API's name
    """JSON, the same in every answer of an org: `own_names.presences` reads it once."""


class Metrics(Struct, gc=False):
    waiting: Count | None = None
    agentsAvailable: Count | None = None  # noqa: N815 - the tutorial's name


class Interval(Struct, gc=False):
    metrics: Metrics | None = None


class Entity(Struct, gc=False):
    id: str | None = None


class EntityGroup(Struct, gc=False):
    entity: Entity | None = None
    entities: list[Interval] | None = None


class Details(Struct, gc=False):
    groups: list[EntityGroup] | None = None


_OBSERVATIONS = msgspec.json.Decoder(Observations)
_DETAILS = msgspec.json.Decoder(Details)


def read_observations(data: bytes) -> Observations:
    """An observations answer; one without `results` describes no queue. Raises Transient when it is no object."""
    _check_size(data)
    try:
        return _OBSERVATIONS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = read_object(data)
        results = [_group(item) for item in read_items(answer, "results")]
        mappings = json.dumps(answer.get("systemToOrganizationMappings"))
        return Observations(results, msgspec.Raw(mappings.encode()))


def read_details(data: bytes) -> list[EntityGroup]:
    """The groups of a details answer; none where it has no `groups`. Raises Transient when it is no object."""
    _check_size(data)
    try:
        return _DETAILS.decode(data).groups or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [_entity_group(item) for item in read_items(read_object(data), "groups")]


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises Transient when the body is something else, such as a proxy's HTML page."""
    _check_size(data)
    try:
        value = json.loads(data, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        shown = "an HTML page" if data.lstrip()[:1] == b"<" else "not JSON"
        raise Transient(f"the answer is {shown}, though its status is 200", status=200) from None
    if not isinstance(value, dict):
        raise Transient("the answer is JSON of another shape, though its status is 200", status=200)
    return value


def _check_size(data: bytes) -> None:
    """Raise Transient when an answer holds more values than any question needs, before they are made."""
    if len(data) > SMALL and sum(data.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise Transient("the answer has more values than any request needs", status=200)


def read_items(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The items of a list of `answer`, each that is no object as an empty one; none where the list is absent or null.

    Raises Transient when it is no list.
    """
    items = answer.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise Transient(f"{name!r} of the answer is not a list, though its status is 200", status=200)
    return list(map(_dict, items))


def _group(item: dict[str, Any]) -> Group:
    """A group; what of its data is of another shape is a value without a metric: it may have been any."""
    key, data = _dict(item.get("group")), item.get("data")
    medium = key.get("mediaType")
    values = data if isinstance(data, list) else [data]
    return Group(
        Key(_str(key.get("queueId")), None if medium is None else str(medium)),
        None if data is None else [_datum(_dict(value)) for value in values],
    )


def _datum(item: dict[str, Any]) -> Datum:
    stats = _dict(item.get("stats"))
    value = stats.get("calculatedMetricValue")
    finite = isinstance(value, float) and math.isfinite(value)
    finite = finite or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)
    return Datum(
        _str(item.get("metric")),
        _str(item.get("qualifier")),
        Stats(_whole(stats.get("count")), value if finite else None),
    )


def _entity_group(item: dict[str, Any]) -> EntityGroup:
    entities = item.get("entities")
    return EntityGroup(
        Entity(_str(_dict(item.get("entity")).get("id"))),
        [_interval(_dict(entity)) for entity in entities] if isinstance(entities, list) else None,
    )


def _interval(item: dict[str, Any]) -> Interval:
    metrics = item.get("metrics")
    if not isinstance(metrics, dict):
        return Interval(None)
    return Interval(Metrics(_whole(metrics.get("waiting")), _whole(metrics.get("agentsAvailable"))))


def _whole(value: Any) -> int | None:
    """A count, or None where there is something else: text, 2.9, a negative number are not counts."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return None
    return int(value) if value == int(value) else None


def _str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
