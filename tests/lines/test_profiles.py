"""The same facts under other names: nothing is lost, and the names are the published ones."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from queuetick.events import EVENTS, BatchFailed, CycleReport
from queuetick.events.examples import EXAMPLES
from queuetick.events.schema import event_name
from queuetick.lines.profiles import ORG_PLACES, PLACES, SEVERITY_NUMBERS, render
from support.collect import STAMP
from support.facts import SHORT, facts

with (Path(__file__).parent / "ecs_8_11.csv").open(newline="") as table:
    ECS_FIELDS = {row["field"]: row["type"] for row in csv.DictReader(table)}
"""Name and type of each field in the sets base, ecs, error, event, http, log, organization and service of ECS 8.11.

They come from the mappings that the schema publishes (generated/elasticsearch/composable/component of elastic/ecs; as
8.11.0 in its fork exsolvi/ecs, base and error as 8.6.0 in elastic/ecs itself: the same there).
"""
ECS_KINDS = {"alert", "asset", "enrichment", "event", "metric", "pipeline_error", "signal", "state"}
ECS_OUTCOMES = {"success", "failure", "unknown"}
JSON_TYPES = {"keyword": str, "match_only_text": str, "wildcard": str, "date": str, "long": int}
OWN = ("genesys.", "queuetick.")

OTEL_FIELDS = {
    "timestamp",
    "severityNumber",
    "severityText",
    "body",
    "resource",
    "instrumentationScope",
    "attributes",
    "eventName",
}
"""opentelemetry.io/docs/specs/otel/logs/data-model, spelled as in OTLP/JSON."""
OTEL_ATTRIBUTES = {
    "http.response.status_code",
    "error.type",
    "error.message",
    "exception.message",
    "exception.stacktrace",
}
"""Of the semantic conventions; the rest is in namespaces of our own."""


def rendered(fact, profile, level=None, org=None):
    return msgspec.json.decode(render[profile](fact, STAMP, level or fact.severity, org))


def plain_again(line, profile):
    """The plain line back from another profile's, by PLACES."""
    if profile == "ecs":
        event, stamp, level = line["event"]["action"], line["@timestamp"], line["log.level"]
    else:
        moment = datetime.fromtimestamp(int(line["timestamp"]) / 1e9, UTC)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event, level = line["eventName"], line["severityText"]
    plain = {"timestamp": stamp, "level": level, "event": event}
    (type_,) = [known for known in EVENTS if event_name(known) == event]
    for name, place in {"org": ORG_PLACES[profile], **PLACES[profile][type_]}.items():
        value = line
        for key in place:
            value = value.get(key, KeyError) if isinstance(value, dict) else KeyError
        if value is not KeyError:
            plain[name] = value
    return plain


@pytest.mark.parametrize("profile", sorted(PLACES))
@given(fact=facts(text=SHORT), org=st.none() | SHORT)
def test_every_profile_gives_the_plain_line_back(profile, fact, org):
    assert plain_again(rendered(fact, profile, org=org), profile) == rendered(fact, "plain", org=org)


@pytest.mark.parametrize("profile", sorted(PLACES))
def test_no_two_fields_of_an_event_share_a_place(profile):
    for places in PLACES[profile].values():
        assert len(set(places.values())) == len(places)
        for place in places.values():
            assert not any(place != other and place == other[: len(place)] for other in places.values())


def leaves(value, at=""):
    if not isinstance(value, dict) or at.startswith(OWN):
        yield at, value
        return
    for key, child in value.items():
        yield from leaves(child, f"{at}.{key}" if at else key)


@given(fact=facts(text=SHORT))
def test_every_ecs_field_is_a_published_one_with_its_type(fact):
    for name, value in leaves(rendered(fact, "ecs", org="emea")):
        if name.startswith(OWN):
            continue
        assert value is None or type(value) is JSON_TYPES[ECS_FIELDS[name]], name


@given(fact=facts(text=SHORT))
def test_ecs_categories_have_published_values(fact):
    event = rendered(fact, "ecs")["event"]
    assert event["kind"] in ECS_KINDS
    assert event.get("outcome", "unknown") in ECS_OUTCOMES


@given(fact=facts(text=SHORT))
def test_ecs_lines_start_as_elastics_logging_specification_says(fact):
    """spec/spec.json of elastic/ecs-logging: four required fields, the level as a dotted key."""
    line = rendered(fact, "ecs")
    assert list(line)[:2] == ["@timestamp", "log.level"]
    assert {"message", "ecs.version"} <= line.keys()


def test_ecs_puts_a_failure_where_kibana_looks_for_it():
    line = rendered(next(fact for fact in EXAMPLES if isinstance(fact, BatchFailed)), "ecs")
    assert line["error"] == {"code": "service.unavailable", "message": "the API answered 503 three times"}
    assert line["http"]["response"] == {"status_code": 503}
    assert line["event"]["outcome"] == "failure"


def test_ecs_durations_are_nanoseconds():
    report = next(fact for fact in EXAMPLES if isinstance(fact, CycleReport))
    assert (
        rendered(structs.replace(report, duration_seconds=1.25), "ecs")["event"]["duration"] == 1_250_000_000
    )


@given(fact=facts(text=SHORT))
def test_otel_records_have_the_data_models_fields_and_no_others(fact):
    line = rendered(fact, "otel", org="emea")
    assert line.keys() <= OTEL_FIELDS
    assert all(name in OTEL_ATTRIBUTES or name.startswith(OWN) for name in line.get("attributes", {}))
    assert all(isinstance(value, str) for value in line["resource"].values())


def test_otel_severities_are_in_the_published_ranges():
    ranges = {"debug": (5, 8), "info": (9, 12), "warning": (13, 16), "error": (17, 20), "critical": (21, 24)}
    for level, (low, high) in ranges.items():
        line = rendered(EXAMPLES[-1], "otel", level)
        assert low <= line["severityNumber"] == SEVERITY_NUMBERS[level] <= high
        assert line["severityText"] == level


def test_otel_time_is_in_nanoseconds_without_loss():
    assert rendered(EXAMPLES[1], "otel")["timestamp"] == "1795492815412000000"
