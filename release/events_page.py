"""Write docs/events.md, made of the types' JSON Schema, to stdout: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from queuetick.events import EVENTS, SCHEMA_VERSION
from queuetick.events.examples import LINES
from queuetick.events.schema import event_name, json_schema

_EVERY: dict[str, dict[str, Any]] = {"timestamp": {}, "level": {}, "event": {"const": None}, "org": {}}
_PARTS = {"part", "parts"}


def events_markdown() -> str:
    """docs/events.md."""
    schema = json_schema()
    lines = [
        "# Events",
        "",
        "<!-- Generated from the types by `make docs`; a test compares. -->",
        "",
        "Look up here what each line and each field means. What to do about an event is in",
        "[operations](operations.md#events). `queuetick schema` prints this page as JSON Schema.",
        "",
        f"This is version {SCHEMA_VERSION} of the lines, with the field names of the profile `plain`. Within a major",
        "version no field is removed and none changes its type. New fields and events may come: a program that",
        "reads the lines must ignore what it does not know. `null` means not known. An absent field does not apply.",
        "",
        "Every line begins with these fields, in this order:",
        "",
        *_table(
            (name, {**schema["$defs"]["daemon.stopped"]["properties"][name], **type_}, name != "org")
            for name, type_ in _EVERY.items()
        ),
        "",
        "A line has at most 4,095 bytes. A longer event is written as several lines: each has a piece of the long",
        "list, all other fields, and `part` and `parts` (1 of 3, 2 of 3, 3 of 3). A string that was cut ends in `…`;",
        "of a traceback the end is kept. A snapshot is always one line.",
        "",
        "| event | level | what |",
        "|---|---|---|",
        *(
            f"| [`{name}`](#{name.replace('.', '')}) | {event.level} | {_summary(schema['$defs'][name])} |"
            for event in EVENTS
            for name in [event_name(event)]
        ),
    ]
    for event, example in zip(EVENTS, LINES, strict=True):
        definition = schema["$defs"][event_name(event)]
        own = {
            name: field
            for name, field in definition["properties"].items()
            if name not in _PARTS and name not in _EVERY
        }
        lines += [
            "",
            f"## {event_name(event)}",
            "",
            f"Level `{event.level}`. {definition['description']}",
            "",
        ]
        lines += _table((name, field, name in definition["required"]) for name, field in own.items())
        lines += ["", "```json", example.decode(), "```"]
    lines += ["", "# Parts of events"]
    for name, definition in schema["$defs"].items():
        if "." not in name:
            lines += ["", f"## {name}", "", definition.get("description", ""), ""]
            lines += _table(
                (field_name, field, field_name in definition["required"])
                for field_name, field in definition["properties"].items()
            )
    return "\n".join(lines) + "\n"


def _summary(definition: dict[str, Any]) -> str:
    return str(definition["description"]).split("\n")[0]


def _table(rows: Iterable[tuple[str, dict[str, Any], bool]]) -> list[str]:
    rendered = [
        f"| `{name}` | {_type(field)} | {'yes' if always else 'no'} | {field.get('description', '')} |"
        for name, field, always in rows
    ]
    return ["| field | type | always there | meaning |", "|---|---|---|---|", *rendered]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(alternative) for alternative in field["anyOf"])
    if "const" in field:
        return "string"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if field.get("type") == "array":
        return f"array of {_type(field['items'])}"
    if "additionalProperties" in field:
        values = field["additionalProperties"]
        return f"object of {_type(values)}" if isinstance(values, dict) and values else "object"
    if "format" in field:
        return f"{field['type']} ({field['format']})"
    return str(field.get("type", "any"))


if __name__ == "__main__":
    sys.stdout.write(events_markdown())
