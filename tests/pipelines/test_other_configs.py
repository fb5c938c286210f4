"""Configs of shippers that cannot be installed here: checked as far as a parser goes."""

from __future__ import annotations

import configparser
import importlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from queuetick.events.schema import json_schema

from .hostile import with_hostile_names
from .tools import REJECTS, REPOSITORY, SHIPPERS, Table, missing, parse

RUN = {"rsyslog", "syslog-ng", "mtail"}
NOT_RUN = {"vector", "fluent-bit", "filebeat", "alloy", "promtail", "splunk", "otel-collector", "datadog"}
YAML = sorted(path for path in SHIPPERS.glob("*/*") if path.suffix in {".yaml", ".yml"})


def module(name: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        missing(f"{name} is not installed: pip install {package}")


def config(path: str) -> Any:
    """Read a YAML config; a key given twice is an error."""
    yaml = module("yaml", "PyYAML")

    class Strict(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"a key twice in {path}: {keys}"
            return super().construct_mapping(node, deep)

    return yaml.load((SHIPPERS / path).read_text(), Strict)


def ini(name: str) -> configparser.ConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string((SHIPPERS / "splunk" / name).read_text())
    return parser


def test_docs_say_which_are_run() -> None:
    """docs/shipping.md has a row for each config file, and says of each whether it is run here."""
    assert {path.name for path in SHIPPERS.iterdir()} == RUN | NOT_RUN
    page = (REPOSITORY / "docs" / "shipping.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("|") and "deploy/shippers/" in row]
    for config_file in SHIPPERS.glob("*/*"):
        [row] = [row for row in rows if f"(../deploy/shippers/{config_file.relative_to(SHIPPERS)})" in row]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[2].startswith("no") == (config_file.parent.name in NOT_RUN), row


@pytest.mark.parametrize("path", sorted(SHIPPERS.glob("*/*")), ids=lambda path: path.name)
def test_every_config_covers_the_instances(path: Path) -> None:
    """queuetick@ORG writes to /var/log/queuetick-ORG/ and logs as queuetick-ORG."""
    text = path.read_text()
    if path.name == "props.conf":
        return  # says nothing of files
    if "imjournal" in path.name:
        assert '$programname startswith "queuetick-"' in text
    elif path.parent.name == "syslog-ng":
        pattern = re.search(r'match\("(.*)" value\("FILE_NAME"\)', text)
        assert pattern
        for directory in ("queuetick", "queuetick-emea", "private/queuetick", "private/queuetick-emea"):
            assert re.match(pattern[1], f"/var/log/{directory}/queuetick.jsonl")
        assert not re.match(pattern[1], "/var/log/queueticker/queuetick.jsonl")
    else:
        assert "/var/log/queuetick/*.jsonl" in text
        assert "/var/log/queuetick-*/*.jsonl" in text


def test_logrotate_covers_the_instances() -> None:
    text = (REPOSITORY / "deploy" / "logrotate" / "queuetick").read_text()
    assert "/var/log/queuetick/*.jsonl /var/log/queuetick-*/*.jsonl {" in text


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.parent.name)
def test_yaml(path: Path) -> None:
    """Each YAML config is YAML, no key twice, and reads the file output."""
    assert isinstance(config(str(path.relative_to(SHIPPERS))), dict)
    assert "/var/log/queuetick/*.jsonl" in path.read_text()


def test_vector_program_on_the_real_output(output: list[bytes], table: Table) -> None:
    """Vector's own VRL compiler takes the program; it makes each line its object and fails on what is none."""
    vrl = module("vrl_python", "vrl-python")
    transform = config("vector/queuetick.yaml")["transforms"]["queuetick_lines"]
    assert transform["drop_on_error"]
    assert transform["reroute_dropped"]
    program, runtime = transform["source"], vrl.VRLRuntime()
    assert vrl.VRLRuntime.check_syntax(program) is None
    shipped, rejected = [], []
    sent = [*output, *with_hostile_names(output)]
    for line in [*sent, *REJECTS]:
        try:
            event = runtime.execute(program, {"message": line.decode()}).processed_event
        except RuntimeError:
            rejected.append(line)
        else:
            shipped.append(json.dumps(event))
    table.judge("line > Vector's VRL compiler, not Vector", sent, shipped, rejected=rejected)


def go_layout(text: str, layout: str) -> datetime:
    """Read `text` by a layout of Go's time package, of which we use this much."""
    assert layout in {"2006-01-02T15:04:05.999Z", "2006-01-02T15:04:05.000Z", "RFC3339Nano"}
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def strptime(text: str, layout: str) -> datetime:
    """Read `text` by a strptime format with the extensions %L (Fluent Bit) and %3N (Splunk)."""
    portable = layout.replace("%L", "%f").replace("%3N", "%f")
    return datetime.strptime(text, portable).replace(tzinfo=UTC)


def layouts() -> dict[str, tuple[Callable[[str, str], datetime], str]]:
    filebeat = config("filebeat/queuetick.yml")["filebeat.inputs"][0]["processors"][0]["timestamp"]
    collector = config("otel-collector/queuetick.yaml")["receivers"]["filelog/queuetick"]["operators"][0]
    promtail = config("promtail/queuetick.yaml")["scrape_configs"][0]["pipeline_stages"][1]["timestamp"]
    return {
        "filebeat": (go_layout, filebeat["layouts"][0]),
        "otel-collector": (go_layout, collector["timestamp"]["layout"]),
        "promtail": (go_layout, promtail["format"]),
        "fluent-bit": (strptime, config("fluent-bit/queuetick.yaml")["parsers"][0]["time_format"]),
        "splunk": (strptime, ini("props.conf")["queuetick:json"]["TIME_FORMAT"]),
    }


@pytest.mark.parametrize("name", ["filebeat", "fluent-bit", "otel-collector", "promtail", "splunk"])
def test_time_formats(name: str, output: list[bytes]) -> None:
    """Each config's time format reads the lines' timestamps to the millisecond."""
    read, layout = layouts()[name]
    for fact in map(parse, output):
        expected = datetime.fromisoformat(fact["timestamp"])
        assert read(fact["timestamp"], layout) == expected


def test_loki_streams_do_not_explode(output: list[bytes]) -> None:
    """Labels are org, event and level: as many streams as there are such pairs, whatever the number of queues."""
    stages = config("promtail/queuetick.yaml")["scrape_configs"][0]["pipeline_stages"]
    [labels] = [stage["labels"] for stage in stages if "labels" in stage]
    alloy = (SHIPPERS / "alloy" / "queuetick.alloy").read_text()
    [in_alloy] = re.findall(r"stage\.labels \{\s+values = \{(.*?)\}", alloy)
    assert set(labels) == {"event", "level", "org"} == set(re.findall(r"(\w+) =", in_alloy))
    pairs = {(fact["event"], fact["level"]) for fact in map(parse, output)}
    events = [name for name in json_schema()["$defs"] if "." in name]
    assert len(pairs) <= len(events) <= 40


def test_splunk_cuts_and_dates_the_lines(output: list[bytes]) -> None:
    """The line breaker gives back the lines; the time stands where TIME_PREFIX ends, within the lookahead."""
    settings = ini("props.conf")["queuetick:json"]
    for breaker in ("LINE_BREAKER", "EVENT_BREAKER"):
        cut = re.sub(settings[breaker], "\n", b"\r\n".join(output).decode())
        assert cut.encode().split(b"\n") == output
    lookahead = int(settings["MAX_TIMESTAMP_LOOKAHEAD"])
    for line in output:
        start = re.match(settings["TIME_PREFIX"], line.decode())
        assert start
        assert line.decode()[start.end() :][:lookahead] == parse(line)["timestamp"]
    assert max(map(len, output)) < int(settings["TRUNCATE"])
    assert ini("inputs.conf")["monitor:///var/log/queuetick/*.jsonl"]["sourcetype"] == "queuetick:json"
