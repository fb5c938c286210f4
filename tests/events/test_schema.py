"""The contract as others read it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from queuetick.events import EVENTS, SCHEMA_VERSION
from queuetick.events.examples import EXAMPLES, LINES
from queuetick.events.schema import event_name, json_schema
from support.collect import emitter, written
from support.facts import facts

ROOT = Path(__file__).parents[2]
FROZEN = {path.stem.partition("-")[2]: path for path in Path(__file__).parent.glob("schema-*.json")}
"""By version of the contract, the schema that `queuetick schema` gave."""
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def test_the_schema_is_valid_and_names_its_version():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith(SCHEMA_VERSION)


def test_there_is_one_definition_per_event_under_its_name():
    assert [name for name in SCHEMA["$defs"] if "." in name] == [event_name(event) for event in EVENTS]


def test_there_is_an_example_of_every_event_in_their_order():
    assert tuple(type(example) for example in EXAMPLES) == EVENTS


def test_the_examples_are_lines_as_they_are_written():
    for line, example in zip(map(json.loads, LINES), EXAMPLES, strict=True):
        (again,) = written(example, level="debug", org="emea")
        assert list(again.items()) == list(line.items())


@settings(deadline=None)
@given(facts())
def test_every_line_of_every_event_is_valid(fact):
    for line in written(fact, level="debug"):
        (definition,) = [one for one in SCHEMA["oneOf"] if one["$ref"] == f"#/$defs/{line['event']}"]
        VALIDATOR.evolve(schema=definition | {"$defs": SCHEMA["$defs"]}).validate(line)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_line_is_of_one_event_only(example):
    VALIDATOR.validate(written(example, level="debug")[0])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_required_are_exactly_the_fields_that_are_always_there(example):
    """Each required field is missed, and no line lacks one."""
    (line,) = written(example, level="debug")
    for name in SCHEMA["$defs"][line["event"]]["required"]:
        assert name in line
        without = {key: value for key, value in line.items() if key != name}
        assert not VALIDATOR.is_valid(without)


def test_every_field_is_described():
    for name, definition in SCHEMA["$defs"].items():
        assert definition.get("description"), name
        for field_name, field in definition["properties"].items():
            assert field.get("description"), f"{name}.{field_name}"


def test_docs_events_is_what_the_types_say():
    """If this fails: `make docs`, and read the difference."""
    page = subprocess.run(
        [sys.executable, ROOT / "release/events_page.py"], check=True, capture_output=True
    ).stdout
    assert (ROOT / "docs" / "events.md").read_bytes() == page


def test_lnav_has_a_column_for_every_field_but_those_that_are_words_of_sql():
    columns = json.loads((ROOT / "deploy/lnav/queuetick.json").read_text())["queuetick_log"]["value"]
    events = [event for name, event in SCHEMA["$defs"].items() if "." in name]
    fields = {field for event in events for field in event["properties"]}
    assert {column.partition("/")[0] for column in columns} == fields - {"timestamp", "level", "from", "to"}


# Compatibility


def breaks(old, new):
    """What a reader of lines valid by `old` could miss or misread in lines valid by `new`."""
    for name, definition in old["$defs"].items():
        if name not in new["$defs"]:
            yield f"{name} is gone"
            continue
        other = new["$defs"][name]
        for field, was in definition["properties"].items():
            now = other["properties"].get(field)
            if now is None:
                yield f"{name}.{field} is gone"
            elif not kinds(now) <= kinds(was):
                yield f"{name}.{field} was {sorted(kinds(was))}, is {sorted(kinds(now))}"
        for field in definition["required"]:
            if field not in other["required"]:
                yield f"{name}.{field} is not always there any more"


def kinds(field):
    """The types that a field may have, comparable."""
    if "anyOf" in field:
        return {kind for alternative in field["anyOf"] for kind in kinds(alternative)}
    if "items" in field:
        return {f"array of {kind}" for kind in kinds(field["items"])}
    if field.get("additionalProperties"):
        return {f"object of {kind}" for kind in kinds(field["additionalProperties"])}
    if "enum" in field:
        return {"string"}  # new values may come
    return {field.get("$ref") or field.get("type") or json.dumps(field.get("const", "any"))}


@pytest.mark.parametrize("version", sorted(FROZEN))
def test_no_field_of_an_earlier_version_disappeared_or_changed_its_type(version):
    assert list(breaks(json.loads(FROZEN[version].read_text(encoding="utf-8")), SCHEMA)) == []


def test_a_new_event_or_field_raises_the_version():
    """If this fails: docs/architecture.md, Add a metric, 4."""
    frozen = json.loads(FROZEN[SCHEMA_VERSION].read_text(encoding="utf-8"))
    assert list(breaks(SCHEMA, frozen)) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda schema: schema["$defs"].pop("api.lost"), ["api.lost is gone"]),
        (
            lambda schema: schema["$defs"]["queue.snapshot"]["properties"].pop("waiting"),
            ["queue.snapshot.waiting is gone"],
        ),
        (
            lambda schema: schema["$defs"]["cycle.completed"]["properties"].update(cycle={"type": "string"}),
            ["cycle.completed.cycle was ['integer'], is ['string']"],
        ),
        (
            lambda schema: schema["$defs"]["batch.failed"]["properties"].update(
                attempts={"anyOf": [{"type": "integer"}, {"type": "null"}]}
            ),
            ["batch.failed.attempts was ['integer'], is ['integer', 'null']"],
        ),
        (
            lambda schema: schema["$defs"]["batch.failed"]["required"].remove("batch"),
            ["batch.failed.batch is not always there any more"],
        ),
        (lambda schema: schema["$defs"]["api.lost"]["properties"].update(new={"type": "string"}), []),
        (lambda schema: schema["$defs"].update({"new.event": {"properties": {}, "required": []}}), []),
    ],
)
def test_the_comparison_sees_what_breaks_a_reader_and_nothing_else(change, found):
    changed = json_schema()
    change(changed)
    assert list(breaks(SCHEMA, changed)) == found


def test_the_first_line_of_a_run_says_which_version_its_lines_have():
    writer, output = emitter()
    writer.emit(EXAMPLES[0])
    assert output.objects[0]["schema_version"] == SCHEMA_VERSION
