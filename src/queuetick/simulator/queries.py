"""What a request for observations asks: ids, metrics, media; or the 400 that tells what is wrong."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from queuetick.simulator import api_errors

MAX_PREDICATES = 200
"""Seen on a live org (splunk-TA); whether nested predicates count is not known. Here they do."""

USER_METRICS = (
    "oMemberUsers",
    "oActiveUsers",
    "oUserRoutingStatuses",
    "oOnQueueUsers",
    "oUserPresences",
    "oOffQueueUsers",
)
MEDIA_METRICS = ("oInteracting", "oWaiting", "oAlerting", "oLongestWaiting", "oLongestInteracting")
METRICS = frozenset(USER_METRICS + MEDIA_METRICS)
DETAIL_METRICS = METRICS - {"oLongestWaiting", "oLongestInteracting"}
PRESENCE_METRICS = frozenset({"oUserPresences", "oOffQueueUsers"})

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")

GroupTest = Callable[[str, str | None], bool]
"""Whether the group of a queue id and a media type (None: the group of the queue alone) is wanted."""


@dataclass(frozen=True, slots=True)
class Query:
    queue_ids: tuple[str, ...]
    """Every queue id named, once, in the order of the request."""
    metrics: frozenset[str]
    wants: GroupTest | None
    """None: every group of every queue named, which is what nearly everybody asks."""


def check_uuid(value: object) -> str:
    if not isinstance(value, str) or not _UUID.match(value):
        raise api_errors.invalid_id()
    return value.lower()


def parse_observation_query(body: Any) -> Query:
    """Read the body of `POST /api/v2/analytics/queues/observations/query`."""
    if not isinstance(body, dict):
        raise api_errors.bad_request("The request body must be a JSON object.")
    metrics = check_metrics(body.get("metrics"), "metrics", METRICS)
    if body.get("detailMetrics") is not None:
        # Accepted, never answered: the simulator has no people to give away.
        check_metrics(body["detailMetrics"], "detailMetrics", DETAIL_METRICS, empty_allowed=True)
    queue_ids, wants = parse_filter(body.get("filter"), ("queueId", "mediaType"))
    if not queue_ids:
        raise api_errors.bad_request("filter must name at least one queueId.", "constraint.validation")
    return Query(queue_ids, metrics, wants)


def parse_filter(node: Any, dimensions: tuple[str, ...]) -> tuple[tuple[str, ...], GroupTest | None]:
    """The queue ids that a filter names, and its test; None for a filter that is "any of these ids"."""
    if not isinstance(node, dict):
        raise api_errors.bad_request("filter is required.", "constraint.validation")
    queue_ids: dict[str, None] = {}
    count = 0
    nested = _list(node, "clauses")
    for part in (node, *nested):
        if not isinstance(part, dict):
            raise api_errors.bad_request("clauses must be a list of objects.")
        if part is not node and part.get("clauses"):
            raise api_errors.bad_request("filter: clauses cannot be nested further.")
        count += len(_list(part, "predicates"))
    if count > MAX_PREDICATES:
        raise api_errors.too_many_predicates(count, MAX_PREDICATES)
    test, only_ids = _compile(node, queue_ids, dimensions)
    return tuple(queue_ids), None if only_ids else test


def _list(node: Mapping[str, Any], name: str) -> list[Any]:
    value = node.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise api_errors.bad_request(f"{name} must be a list.")
    return value


def check_metrics(
    value: Any, name: str, known: frozenset[str], *, empty_allowed: bool = False
) -> frozenset[str]:
    """The metrics of a list; raises the 400 for an unknown one, or for none."""
    if not isinstance(value, list) or not (value or empty_allowed):
        raise api_errors.bad_request(f"{name} is required.", "constraint.validation")
    for metric in value:
        if not isinstance(metric, str) or metric not in known:
            raise api_errors.bad_request(f"{name}: [{metric}] is not a valid metric.", "invalid.value")
    return frozenset(value)


def _compile(
    node: Mapping[str, Any], queue_ids: dict[str, None], dimensions: tuple[str, ...]
) -> tuple[GroupTest, bool]:
    """The test of a filter or clause; and whether it comes to "any of these queue ids"."""
    kind = node.get("type")
    if kind not in ("and", "or"):
        raise api_errors.bad_request(f"filter type must be and or or, not [{kind}].", "invalid.value")
    tests: list[GroupTest] = []
    only_ids: list[bool] = []
    for predicate in _list(node, "predicates"):
        if not isinstance(predicate, dict):
            raise api_errors.bad_request("predicates must be a list of objects.")
        tests.append(_predicate(predicate, queue_ids, dimensions))
        only_ids.append(predicate.get("dimension") == "queueId")
    for clause in _list(node, "clauses"):
        test, flag = _compile(clause, queue_ids, dimensions)
        tests.append(test)
        only_ids.append(flag)
    if not tests:
        raise api_errors.bad_request("filter needs predicates or clauses.", "constraint.validation")
    simple = all(only_ids) and (kind == "or" or len(tests) == 1)
    combine = all if kind == "and" else any
    return (lambda queue, media: combine(test(queue, media) for test in tests)), simple


def _predicate(
    predicate: Mapping[str, Any], queue_ids: dict[str, None], dimensions: tuple[str, ...]
) -> GroupTest:
    if predicate.get("type") not in (None, "dimension", "property", "metric"):
        raise api_errors.bad_request(f"predicate type [{predicate['type']}] is not valid.", "invalid.value")
    operator = predicate.get("operator") or "matches"
    if operator not in ("matches", "exists", "notExists"):
        raise api_errors.bad_request(f"operator [{operator}] is not valid.", "invalid.value")
    dimension, value = predicate.get("dimension"), predicate.get("value")
    if dimension not in dimensions:
        raise api_errors.bad_request(f"dimension [{dimension}] is not valid.", "invalid.value")
    if operator == "matches":
        if value is None:
            raise api_errors.bad_request("predicate needs a value.", "constraint.validation")
        if dimension == "queueId":
            wanted = check_uuid(value)
            queue_ids[wanted] = None
            return lambda queue, _media: queue == wanted
        if dimension == "direction":
            # Everybody here calls the queue; nobody is called.
            return lambda _queue, _media: value == "inbound"
        # The group of the queue alone has no media type. Whether a media filter drops it on the live
        # API is not known; here it stays.
        return lambda _queue, media: media is None or media == value
    exists = operator == "exists"
    if dimension != "mediaType":
        return lambda _queue, _media: exists
    return lambda _queue, media: (media is not None) is exists


DETAILS_METRICS = ("waiting", "agentsAvailable")
_DETAILS_FIXED = {"interval": "R/PT1M", "metrics": list(DETAILS_METRICS), "groupBy": ["queueId"]}
_DETAILS_KEYS = frozenset({*_DETAILS_FIXED, "entities"})


def parse_details_query(body: Any) -> tuple[str, ...]:
    """Read the body of `POST /api/v2/analytics/queues/details/query`, the unpublished contract, to the letter.

    Returns the queue ids, once each. Raises the 400 for a body that differs from
    `{"interval":"R/PT1M","metrics":["waiting","agentsAvailable"],"entities":[{"id":"…","type":"queue"}],
    "groupBy":["queueId"]}`.
    """
    if not isinstance(body, dict):
        raise api_errors.bad_request("The request body must be a JSON object.")
    if strange := sorted(body.keys() ^ _DETAILS_KEYS):
        raise api_errors.bad_request(f"[{strange[0]}] is missing or not a known field.", "invalid.property")
    for name, value in _DETAILS_FIXED.items():
        if body[name] != value:
            raise api_errors.bad_request(f"{name} must be {json.dumps(value)}.", "invalid.value")
    entities = body["entities"]
    if not isinstance(entities, list) or not entities:
        raise api_errors.bad_request("entities is required.", "constraint.validation")
    if len(entities) > MAX_PREDICATES:
        raise api_errors.too_many_predicates(len(entities), MAX_PREDICATES)
    for entity in entities:
        if not isinstance(entity, dict) or entity.keys() != {"id", "type"} or entity["type"] != "queue":
            raise api_errors.bad_request('entities must be {"id": "…", "type": "queue"}.', "invalid.value")
    return tuple({check_uuid(entity["id"]): None for entity in entities})
