"""The line contract as JSON Schema, made from the types and their descriptions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, UnsetType, json, structs

from queuetick.events.base import Level
from queuetick.events.events import EVENTS, Fact
from queuetick.events.examples import LINES
from queuetick.events.model import SCHEMA_VERSION

SCHEMA_ID = f"urn:queuetick:lines:{SCHEMA_VERSION}"
DATE_TIMES = frozenset(
    {"timestamp", "observed_at", "scheduled_at", "until", "interval_start", "interval_end"}
)
"""Fields that hold a UTC time in RFC 3339."""

DESCRIPTIONS = {
    "timestamp": "when the line was written (UTC, RFC 3339, milliseconds)",
    "level": "severity; `log.level` decides which operational events are written",
    "event": "what the line is about; decides its other fields",
    "org": "name of the organisation (genesys.org); absent where none is set",
    "cycle": "number of the cycle; it never decreases",
    "batch": "number of the batch within the cycle, from 1",
    "batches": "requests that the cycle's queues are spread over",
    "batches_failed": "batches without a usable answer",
    "queue_id": "id of the queue (UUID)",
    "queue_ids": "ids of the queues in the batch",
    "queue_name": "name of the queue; absent until a discovery has named it",
    "division": "name of the queue's division; absent until known",
    "status": "HTTP status; null when there was no answer",
    "code": "the API's own error code; null when it gave none",
    "correlation_id": "ININ-Correlation-Id of the answer, for Genesys support",
    "reason": "the reason, as text",
    "error": "type and message of the exception",
    "traceback": "Python traceback; of a long one the end",
    "attempts": "requests sent for it",
    "duration_seconds": "seconds from the start of the cycle to its end",
    "version": "version of queuetick",
    "requests_per_minute": "the budget's sum; null like queues",
    "needed": "requests a minute that queues, batch size and interval need",
    "allowed": "requests a minute that the token may send",
    "added": "queues that are new",
    "removed": "queues that are no longer polled",
    "renamed": "queues with a new name",
    "removed_ids": "ids of the queues that are no longer polled",
    "until": "when it ends (UTC)",
    "was": "what it was before",
    "retry_after_seconds": "seconds until something may be sent again",
    "source": "where the length of the pause came from",
    "why": "the sum that decided it, as text",
    "outage_seconds": "seconds since the last answer before the outage",
    "expires_in_seconds": "seconds until the token expires",
    "key": "the key, as section.key",
    "problem": "what is wrong, as text",
    "problems": "every problem of the new configuration",
    "fix": "what to do about it",
    "logger": "name of the logger, usually the module's",
    "message": "the message",
    "uptime_seconds": "seconds since the start",
    "offered": "contacts offered to the queue",
    "answered": "contacts that an agent answered",
    "abandoned": "contacts that gave up, short ones included",
    "abandoned_short": "contacts that gave up within the org's short limit",
    "flowed_out": "contacts that left the queue without answer or abandon",
    "transferred": "contacts that an agent transferred",
    "answer_seconds": "waits that ended with an answer",
    "wait_seconds": "all waits that ended",
    "service_level": "the API's own service level",
    "ratio": "the API's own ratio",
    "numerator": "contacts within the target",
    "denominator": "contacts that count",
    "mean": "mean, in seconds: sum / count",
    "max": "the longest, in seconds",
    "waiting": "contacts waiting, of this media type",
    "interacting": "contacts connected with an agent, of this media type",
    "alerting": "contacts ringing at an agent, of this media type",
}
"""Fields without a description of their own, by name: they mean the same in every event."""


def event_name(event: type[Fact]) -> str:
    return str(event.__struct_config__.tag)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a line in the plain profile; `$defs` has one schema per event, by its name."""
    _, components = json.schema_components(EVENTS, ref_template="#/$defs/{name}")
    for type_ in _structs():
        component = components[type_.__name__]
        if "description" in component:  # a docstring, which Python strips of its indentation since 3.13
            component["description"] = inspect.cleandoc(component["description"])
        for name, field in component["properties"].items():
            if name in DESCRIPTIONS:
                field.setdefault("description", DESCRIPTIONS[name])
            if name in DATE_TIMES:
                _add_format(field)
        component["required"] = [
            *(name for name in component["properties"] if name == "event"),
            *(field.encode_name for field in structs.fields(type_) if _always_written(type_, field)),
        ]
    definitions = {}
    for event, example in zip(EVENTS, LINES, strict=True):
        component = components.pop(event.__name__)
        own = component["properties"]
        component["title"] = event_name(event)
        component["properties"] = {
            "timestamp": {"description": DESCRIPTIONS["timestamp"], "type": "string", "format": "date-time"},
            "level": {
                "description": DESCRIPTIONS["level"],
                "enum": list(get_args(Level)),
                "default": event.level,
            },
            "event": {"description": DESCRIPTIONS["event"], "const": event_name(event)},
            "org": {"description": DESCRIPTIONS["org"], "type": "string"},
            **{name: field for name, field in own.items() if name != "event"},
        }
        component["required"] = ["timestamp", "level", *component["required"]]
        component["examples"] = [json.decode(example)]
        definitions[event_name(event)] = component
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "A line of queuetick",
        "description": "Within a major version no field is removed or changes its type; new ones may come.",
        "type": "object",
        "required": ["timestamp", "level", "event"],
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in definitions],
        "$defs": {**definitions, **components},
    }


def _structs() -> Iterator[type[msgspec.Struct]]:
    """The events and the structs inside them, in the order of their schemas."""
    seen: dict[type[msgspec.Struct], None] = dict.fromkeys(EVENTS)
    yield from EVENTS
    for info in msgspec.inspect.multi_type_info(EVENTS):
        for inner in _inner_structs(info):
            if inner not in seen:
                seen[inner] = None
                yield inner


def _inner_structs(info: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(info, msgspec.inspect.StructType):
        yield info.cls
        for field in info.fields:
            yield from _inner_structs(field.type)
    for part in ("type", "item_type", "value_type"):
        if (inner := getattr(info, part, None)) is not None:
            yield from _inner_structs(inner)
    for inner in getattr(info, "types", ()):
        yield from _inner_structs(inner)


def _always_written(type_: type[msgspec.Struct], field: structs.FieldInfo) -> bool:
    """Whether a line always has `field`: it cannot be UNSET, and the struct does not leave out defaults."""
    if UnsetType in get_args(field.type) or UnsetType in get_args(getattr(field.type, "__origin__", None)):
        return False
    return not (type_.__struct_config__.omit_defaults and field.default is not NODEFAULT)


def _add_format(field: dict[str, Any]) -> None:
    for alternative in field.get("anyOf", [field]):
        if alternative.get("type") == "string":
            alternative["format"] = "date-time"
