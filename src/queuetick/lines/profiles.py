"""The profiles: the same events under other names.

`PLACES` says under which keys each profile puts each field. No field is lost: what has no standard name is under
`genesys.queue.*` (what the API says of a queue) or `queuetick.*` (what the daemon says of itself).

ecs: Elastic Common Schema, names and types as of 8.11 (sets base, ecs, error, event, http, log, organization,
service), in the form of Elastic's ecs-logging specification: `log.level` is a dotted key, and so are `log.logger`
and `ecs.version`; all else is nested.

otel: the OpenTelemetry log data model (stable), field names in lowerCamelCase as OTLP/JSON spells them;
attributes follow the semantic conventions for http, error and exception. One record a line, without OTLP's
envelope. The time is in nanoseconds, as a string, because JSON readers round integers beyond 2^53.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import UNSET, json, structs

from queuetick.events import (
    EVENTS,
    MEASUREMENTS,
    ApiLost,
    BatchFailed,
    CycleCrashed,
    CycleReport,
    DaemonStarted,
    Fact,
    LogMessage,
    MetricRefused,
    QueueInvalid,
    QueuesRefreshFailed,
    StatsFailed,
)

ECS_VERSION = "8.11.0"
SEVERITY_NUMBERS: dict[str, int] = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
"""OpenTelemetry's severity of our levels: the smallest of the range, as the data model recommends."""

Renderer = Callable[[Fact, str, str, str | None], bytes]
"""(event, timestamp, level, org) -> the JSON of one line."""
Place = tuple[str, ...]

encode = json.Encoder(enc_hook=str).encode

_OF_THE_DAEMON = {"cycle", "scheduled_at", "part", "parts"}
_OF_THE_QUEUE = {"queue_id": "id", "queue_name": "name", "division": "division"}
_FAILURES = (
    BatchFailed,
    QueueInvalid,
    QueuesRefreshFailed,
    ApiLost,
    CycleCrashed,
    StatsFailed,
    MetricRefused,
)
_FAILURE_PLACES: dict[str, dict[str, Place]] = {
    "ecs": {
        "reason": ("error", "message"),
        "error": ("error", "message"),
        "code": ("error", "code"),
        "traceback": ("error", "stack_trace"),
        "status": ("http", "response", "status_code"),
        "correlation_id": ("http", "request", "id"),
    },
    "otel": {
        "reason": ("attributes", "error.message"),
        "error": ("attributes", "exception.message"),
        "code": ("attributes", "error.type"),
        "traceback": ("attributes", "exception.stacktrace"),
        "status": ("attributes", "http.response.status_code"),
    },
}
_EVENT_PLACES: dict[str, dict[type[Fact], dict[str, Place]]] = {
    "ecs": {
        DaemonStarted: {"version": ("service", "version")},
        LogMessage: {
            "logger": ("log.logger",),
            "message": ("message",),
            "traceback": ("error", "stack_trace"),
        },
    },
    "otel": {
        DaemonStarted: {"version": ("resource", "service.version")},
        LogMessage: {
            "logger": ("instrumentationScope", "name"),
            "message": ("body",),
            "traceback": ("attributes", "exception.stacktrace"),
        },
    },
}


def _place(profile: str, event: type[Fact], name: str) -> Place:
    if name in (own := _EVENT_PLACES[profile].get(event, {})):
        return own[name]
    if event in _FAILURES and name in _FAILURE_PLACES[profile]:
        return _FAILURE_PLACES[profile][name]
    if profile == "ecs" and name == "reason":
        return ("event", "reason")
    if name in _OF_THE_QUEUE:
        dotted: Place = ("genesys", "queue", _OF_THE_QUEUE[name])
    elif event in MEASUREMENTS and name not in _OF_THE_DAEMON:
        dotted = ("genesys", "queue", name)
    else:
        dotted = ("queuetick", name)
    return dotted if profile == "ecs" else ("attributes", ".".join(dotted))


PLACES: dict[str, dict[type[Fact], dict[str, Place]]] = {
    profile: {
        event: {
            field.encode_name: _place(profile, event, field.encode_name) for field in structs.fields(event)
        }
        for event in EVENTS
    }
    for profile in ("ecs", "otel")
}
"""By profile and event: the keys, from the outside in, under which a line has each field of the plain profile."""
ORG_PLACES: dict[str, Place] = {"ecs": ("organization", "name"), "otel": ("resource", "genesys.org")}
"""The same for `org`, which every line has where one is set."""


def _constants(profile: str, event: type[Fact]) -> dict[Place, Any]:
    """What every line of `event` has in `profile`."""
    name = str(event.__struct_config__.tag)
    if profile == "otel":
        return {
            ("eventName",): name,
            ("resource", "service.name"): "queuetick",
            ("instrumentationScope", "name"): "queuetick",
        }
    data = event in MEASUREMENTS
    return {
        ("message",): name,
        ("ecs.version",): ECS_VERSION,
        ("service", "name"): "queuetick",
        ("event", "action"): name,
        ("event", "dataset"): "queuetick.queue" if data else "queuetick.log",
        ("event", "kind"): "metric" if data else "event",
        ("event", "module"): "queuetick",
        **({("event", "outcome"): "failure"} if event in _FAILURES else {}),
    }


class _Branch(NamedTuple):
    """One object of a line: the keys that lead to it, what it always has, and (its key, our attribute) of the rest."""

    path: Place
    constants: dict[str, Any]
    fields: tuple[tuple[str, str], ...]


def _branches(profile: str, event: type[Fact]) -> list[_Branch]:
    places = PLACES[profile][event]
    constants = _constants(profile, event)
    fields = {places[field.encode_name]: field.name for field in structs.fields(event)}
    paths = dict.fromkeys(place[:-1] for place in (*constants, *fields))
    return [
        _Branch(
            path,
            {place[-1]: value for place, value in constants.items() if place[:-1] == path},
            tuple((place[-1], name) for place, name in fields.items() if place[:-1] == path),
        )
        for path in paths
    ]


_BRANCHES = {profile: {event: _branches(profile, event) for event in EVENTS} for profile in PLACES}


def _tree(profile: str, fact: Fact, head: dict[str, Any], org: str | None) -> dict[str, Any]:
    """`head` and the fields of `fact`, each at its place."""
    tree = head.copy()
    for path, constants, fields in _BRANCHES[profile][type(fact)]:
        values = {key: value for key, name in fields if (value := getattr(fact, name)) is not UNSET}
        if constants or values:
            _branch(tree, path).update(constants, **values)
    if org is not None:
        *outer, key = ORG_PLACES[profile]
        _branch(tree, outer)[key] = org
    return tree


def _branch(tree: dict[str, Any], path: Place | list[str]) -> dict[str, Any]:
    for key in path:
        tree = tree.setdefault(key, {})
    return tree


@lru_cache(maxsize=8)
def _encoded(org: str) -> bytes:
    return encode(org)


def _plain(fact: Fact, timestamp: str, level: str, org: str | None = None) -> bytes:
    """`timestamp`, `level`, `event`, `org` and the event's fields, in that order: docs/events.md."""
    body = encode(fact)
    if org is not None:
        at = len(fact.__struct_config__.tag) + len('{"event":""')  # type: ignore[arg-type]
        body = b'%b,"org":%b%b' % (body[:at], _encoded(org), body[at:])
    return b'{"timestamp":"%b","level":"%b",%b' % (timestamp.encode(), level.encode(), body[1:])


_OUTCOMES = {"ok": "success", "failed": "failure", "partial": "unknown"}


def _ecs(fact: Fact, timestamp: str, level: str, org: str | None = None) -> bytes:
    tree = _tree("ecs", fact, {"@timestamp": timestamp, "log.level": level}, org)
    if isinstance(fact, CycleReport):
        tree["event"]["outcome"] = _OUTCOMES[fact.outcome]
        seconds = fact.duration_seconds
        tree["event"]["duration"] = round(seconds * 1e9) if math.isfinite(seconds) else None
    return encode(tree)


@lru_cache(maxsize=64)
def _otel_head(timestamp: str, level: str) -> dict[str, Any]:
    milliseconds = round(datetime.fromisoformat(timestamp).timestamp() * 1000) if timestamp else 0
    return {
        "timestamp": f"{milliseconds}000000",
        "severityNumber": SEVERITY_NUMBERS.get(level, 0),
        "severityText": level,
    }


def _otel(fact: Fact, timestamp: str, level: str, org: str | None = None) -> bytes:
    return encode(_tree("otel", fact, _otel_head(timestamp, level), org))


render: dict[str, Renderer] = {"plain": _plain, "ecs": _ecs, "otel": _otel}
"""The renderers by the value of `output.profile`."""
