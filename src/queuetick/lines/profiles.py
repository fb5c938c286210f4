"""The same facts under other names: a renderer turns a fact into the JSON of one line.

`PLACES` says where each profile puts each field; a shape compiled from it once per event does the work, so a
line costs little more than in the plain profile. No field is lost: what has no standard name is found under
`genesys.queue.*` (what the API says of a queue) or `queuetick.*` (what the daemon says of itself).

ecs: Elastic Common Schema, names and types as of 8.11 (sets base, ecs, error, event, http, log, service), in
the form of Elastic's ecs-logging specification: `log.level` is a dotted key, and so are `log.logger` and
`ecs.version`; all else is nested.

otel: the OpenTelemetry log data model (stable), field names in lowerCamelCase as OTLP/JSON spells them;
attributes follow the semantic conventions for http, error and exception. One record a line, without OTLP's
envelope. The time is in nanoseconds, as a string, because JSON readers round integers beyond 2^53.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType, json, structs

from queuetick.events import (
    EVENTS,
    ApiLost,
    BatchFailed,
    CycleCrashed,
    CycleReport,
    DaemonStarted,
    Fact,
    Level,
    LogMessage,
    QueueInvalid,
    QueueSnapshot,
    QueuesRefreshFailed,
)

ECS_VERSION = "8.11.0"
SEVERITY_NUMBERS: dict[str, int] = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
"""OpenTelemetry's severity of our levels: the smallest of the range, as the data model recommends."""

Renderer = Callable[[Fact, str, str], bytes]
Place = tuple[str, ...]

_encode = json.Encoder(enc_hook=str).encode
_FAILURES = (BatchFailed, QueueInvalid, QueuesRefreshFailed, ApiLost, CycleCrashed)
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
_QUEUE = {"queue_id": "id", "queue_name": "name", "division": "division"}


def plain(fact: Fact, timestamp: str, level: str) -> bytes:
    """`timestamp`, `level`, `event` and the fact's fields, in that order: docs/events.md."""
    return b'{"timestamp":"%b","level":"%b",%b' % (timestamp.encode(), level.encode(), _encode(fact)[1:])


def _place(profile: str, event: type[Fact], name: str) -> Place:
    if name in (own := _EVENT_PLACES[profile].get(event, {})):
        return own[name]
    if event in _FAILURES and name in _FAILURE_PLACES[profile]:
        return _FAILURE_PLACES[profile][name]
    if profile == "ecs" and name == "reason":
        return ("event", "reason")
    if name in _QUEUE:
        dotted: Place = ("genesys", "queue", _QUEUE[name])
    elif event is QueueSnapshot and name != "cycle":
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

_OUTCOMES = {"ok": "success", "failed": "failure", "partial": "unknown"}


def _ecs_constants(event: type[Fact]) -> dict[Place, Any]:
    name = str(event.__struct_config__.tag)
    snapshot = event is QueueSnapshot
    constants: dict[Place, Any] = {
        ("message",): name,
        ("ecs.version",): ECS_VERSION,
        ("service", "name"): "queuetick",
        ("event", "action"): name,
        ("event", "dataset"): "queuetick.queue" if snapshot else "queuetick.log",
        ("event", "kind"): "metric" if snapshot else "event",
        ("event", "module"): "queuetick",
    }
    if event in _FAILURES:
        constants["event", "outcome"] = "failure"
    return constants


def _otel_constants(event: type[Fact]) -> dict[Place, Any]:
    return {
        ("eventName",): str(event.__struct_config__.tag),
        ("resource", "service.name"): "queuetick",
        ("instrumentationScope", "name"): "queuetick",
    }


def _nanoseconds(seconds: float) -> int | None:
    return round(seconds * 1e9) if math.isfinite(seconds) else None


_ECS_DERIVED: dict[type[Fact], dict[Place, Callable[[Any], Any]]] = {
    CycleReport: {
        ("event", "outcome"): lambda cycle: _OUTCOMES[cycle.outcome],
        ("event", "duration"): lambda cycle: _nanoseconds(cycle.duration_seconds),
    }
}
"""Standard fields computed from a field that stays at its own place too."""

Build = Callable[[Any], Any]
Leaves = Mapping[Place, Build | str]


def _shape(event: type[Fact], leaves: Leaves) -> Build:
    """A function from a fact to the struct that encodes to its line; a str among the leaves names an attribute."""
    branches: dict[str, dict[Place, Build | str]] = {}
    for (key, *rest), leaf in leaves.items():
        branches.setdefault(key, {})[tuple(rest)] = leaf
    struct = msgspec.defstruct(
        "Shape",
        [f"f{at}" for at in range(len(branches))],
        rename={f"f{at}": key for at, key in enumerate(branches)},
    )
    optional = {field.name for field in structs.fields(event) if UnsetType in get_args(_bare(field.type))}
    attributes = [branch[()] for branch in branches.values() if () in branch]
    names = [name for name in attributes if isinstance(name, str)]
    if len(names) == len(branches) > 1 and not optional.issuperset(names):
        values_of = attrgetter(*names)
        return lambda fact: struct(*values_of(fact))
    builds = [_build(event, branch) for branch in branches.values()]
    if len(names) == len(branches) and optional.issuperset(names):

        def build_if_set(fact: Any) -> Any:
            values = [build(fact) for build in builds]
            return UNSET if all(value is UNSET for value in values) else struct(*values)

        return build_if_set
    match builds:  # the small ones spelled out: they are built for every line
        case [only]:
            return lambda fact: struct(only(fact))
        case [first, second]:
            return lambda fact: struct(first(fact), second(fact))
    return lambda fact: struct(*[build(fact) for build in builds])


def _build(event: type[Fact], branch: Leaves) -> Build:
    leaf = branch.get(())
    if leaf is None:
        return _shape(event, branch)
    return attrgetter(leaf) if isinstance(leaf, str) else leaf


def _bare(type_: Any) -> Any:
    return getattr(type_, "__origin__", type_) if hasattr(type_, "__metadata__") else type_


def _renderer(
    profile: str,
    constants: Callable[[type[Fact]], dict[Place, Any]],
    derived: Mapping[type[Fact], Mapping[Place, Build]],
    head: Callable[[str, str], bytes],
) -> Renderer:
    """Compile `PLACES[profile]`. What every line of an event shares is encoded once, the rest for each line."""
    shapes: dict[type[Fact], tuple[bytes, Build]] = {}
    for event in EVENTS:
        attributes = {field.encode_name: field.name for field in structs.fields(event)}
        leaves: dict[Place, Build | str] = {
            place: attributes[name] for name, place in PLACES[profile][event].items()
        }
        leaves |= derived.get(event, {})
        varying = {place[0] for place in leaves}
        own = {place: value for place, value in constants(event).items() if place not in leaves}
        fixed: dict[str, Any] = {}
        for place, value in own.items():
            if place[0] not in varying:
                _put(fixed, place, value)
        shared = {place: _constant(value) for place, value in own.items() if place[0] in varying}
        shapes[event] = (_encode(fixed)[1:-1] + b",", _shape(event, {**shared, **leaves}))

    def render(fact: Fact, timestamp: str, level: str) -> bytes:
        shared, shape = shapes[type(fact)]
        return b"%b%b%b" % (head(timestamp, level), shared, _encode(shape(fact))[1:])

    return render


def _put(tree: dict[str, Any], place: Place, value: Any) -> None:
    *outer, last = place
    for key in outer:
        tree = tree.setdefault(key, {})
    tree[last] = value


def _constant(value: Any) -> Build:
    return lambda _: value


@lru_cache(maxsize=64)
def _ecs_head(timestamp: str, level: str) -> bytes:
    return b'{"@timestamp":"%b","log.level":"%b",' % (timestamp.encode(), level.encode())


@lru_cache(maxsize=64)
def _otel_head(timestamp: str, level: str) -> bytes:
    milliseconds = round(datetime.fromisoformat(timestamp).timestamp() * 1000) if timestamp else 0
    return b'{"timestamp":"%d000000","severityNumber":%d,"severityText":"%b",' % (
        milliseconds,
        SEVERITY_NUMBERS.get(level, 0),
        level.encode(),
    )


render: dict[str, Renderer] = {
    "plain": plain,
    "ecs": _renderer("ecs", _ecs_constants, _ECS_DERIVED, _ecs_head),
    "otel": _renderer("otel", _otel_constants, {}, _otel_head),
}
"""The renderers by the value of `output.profile`."""

assert set(SEVERITY_NUMBERS) == set(get_args(Level))  # noqa: S101 - a level without a number is a defect here
