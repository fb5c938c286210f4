"""docs/tailing.md: every block is run as it stands there, in a box with the daemon's real output."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.processes import until

from .box import Box, journalled
from .tools import LNAV_FORMAT, REPOSITORY, need, parse, same, with_rejects

DOC = REPOSITORY / "docs" / "tailing.md"
FILE = "var/log/queuetick/queuetick.jsonl"

Facts = list[dict[str, Any]]


def blocks(language: str) -> dict[str, list[str]]:
    """Return the blocks of `language` by their heading."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", DOC.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if taken := re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            found[heading] = [block.strip() for block in taken]
    return found


@pytest.fixture(scope="module")
def tailing(shared_box: Box, output: list[bytes]) -> Box:
    """A box with the output in its file and, foreign lines amid it, in its journal; lnav's format installed."""
    for program, package in {"jq": "jq", "lnav": "lnav", "mlr": "miller"}.items():
        need(program, package=package)
    text = b"".join(line + b"\n" for line in output)
    shared_box.sh(f"mkdir -p /var/log/queuetick /etc/lnav/formats/queuetick && cat > /{FILE}", stdin=text)
    shared_box.sh("cat > /etc/lnav/formats/queuetick/queuetick.json", stdin=LNAV_FORMAT.read_bytes())
    journalled(shared_box, with_rejects(output))
    return shared_box


@pytest.fixture
def facts(output: list[bytes]) -> Facts:
    return [parse(line) for line in output]


def of(facts: Facts, *events: str) -> Facts:
    return [fact for fact in facts if fact["event"] in events]


def last_by_queue(facts: Facts) -> Facts:
    return list({fact["queue_id"]: fact for fact in facts}.values())


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.split("\n")[:-1]]


def tsv(value: Any) -> str:
    """Write `value` as jq's @tsv does."""
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def five_worst(text: str, facts: Facts) -> None:
    found = rows(text)
    last = last_by_queue(of(facts, "queue.snapshot"))
    expected = sorted((fact["waiting"] for fact in last if fact["waiting"] is not None), reverse=True)[:5]
    assert [row[0] for row in found] == list(map(tsv, expected))
    columns = ("waiting", "agents_available", "longest_wait_seconds", "queue_name")
    told = [[tsv(fact[column]) for column in columns] for fact in last]
    assert all(row in told for row in found)


def errors(text: str, facts: Facts) -> None:
    columns = ("timestamp", "event", "reason", "status", "correlation_id")
    expected = [
        {column: fact.get(column) for column in columns} for fact in facts if fact["level"] == "error"
    ]
    assert expected
    assert same(expected, list(map(json.loads, text.splitlines())))


def to_read(text: str, facts: Facts) -> None:
    shown = [line.split()[1:3] for line in text.splitlines()]
    assert shown == [[fact["level"].upper(), fact["event"]] for fact in facts if fact["level"] != "info"]


def gaps(text: str, facts: Facts) -> None:
    skipped = of(facts, "cycle.skipped")
    assert skipped
    columns = ("timestamp", "cycle", "reason", "until")
    assert rows(text) == [[tsv(fact[column]) for column in columns] for fact in skipped]


def one_queue(text: str, facts: Facts) -> None:
    heading, *shown = [line.split() for line in text.splitlines()]
    assert heading == ["timestamp", "waiting", "agents_available", "longest_wait_seconds"]
    expected = [fact for fact in of(facts, "queue.snapshot") if fact["queue_name"] == "Sales US"]
    assert expected
    assert [row[0] for row in shown] == [fact["timestamp"] for fact in expected]
    assert [row[1] for row in shown] == [str(fact["waiting"]) for fact in expected]


def missing_now(text: str, facts: Facts) -> None:
    last = last_by_queue(of(facts, "queue.missing", "queue.invalid", "queue.recovered"))
    gone = [fact for fact in last if fact["event"] != "queue.recovered"]
    assert 0 < len(gone) < len(last)
    columns = ("timestamp", "event", "queue_name", "reason")
    assert rows(text) == [[fact[column] for column in columns] for fact in gone]


def budget(text: str, facts: Facts) -> None:
    worst: dict[str, dict[str, Any]] = {}
    for fact in of(facts, "cycle.completed"):
        if limit := fact.get("rate_limit"):
            minute = worst.setdefault(fact["timestamp"][:16], limit)
            if limit["used"] > minute["used"]:
                worst[fact["timestamp"][:16]] = limit
    assert worst
    expected = [
        [minute, str(limit["used"]), str(limit["allowed"]), str(100 * limit["used"] // limit["allowed"])]
        for minute, limit in worst.items()
    ]
    assert rows(text) == expected


def durations(text: str, facts: Facts) -> None:
    found = {name: float(value) for name, value in (line.split() for line in text.splitlines())}
    seconds = sorted(fact["duration_seconds"] for fact in of(facts, "cycle.completed"))
    assert found["duration_seconds_count"] == len(seconds)
    assert found["duration_seconds_max"] == seconds[-1]
    # Miller takes the value at this place, without interpolation
    assert found["duration_seconds_p95"] == seconds[min(int(0.95 * len(seconds)), len(seconds) - 1)]
    assert {"lateness_seconds_p50", "lateness_seconds_p95"} <= found.keys()


def snapshots_as_csv(text: str, facts: Facts) -> None:
    found = list(csv.DictReader(io.StringIO(text)))
    snapshots = of(facts, "queue.snapshot")
    numbers = ["waiting", "agents_available", "interacting", "longest_wait_seconds"]
    assert list(found[0]) == ["timestamp", "cycle", "queue_id", "queue_name", "division", *numbers]
    for row, fact in zip(found, snapshots, strict=True):
        assert row["queue_name"] == fact["queue_name"]
        for number in ["cycle", *numbers]:
            assert (float(row[number]) if row[number] else None) == fact[number]


CHECKS: dict[str, Callable[[str, Facts], None]] = {
    "The five worst queues now": five_worst,
    "Errors of the last hour": errors,
    "What went wrong, to read": to_read,
    "Gaps: cycles that polled nothing": gaps,
    "One queue over time": one_queue,
    "Queues missing now": missing_now,
    "How much of the rate limit is used": budget,
    "How long cycles take": durations,
    "Snapshots as CSV": snapshots_as_csv,
}
LIVE = "Watch every queue"


def test_every_line_of_the_page_is_run_here() -> None:
    """The page has ten one-liners, each of one line, and each has its check."""
    found = blocks("sh")
    assert set(found) == {LIVE, *CHECKS}
    lines = [line for taken in found.values() for line in taken]
    assert len(lines) == 10
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("heading", list(CHECKS))
def test_one_liner(heading: str, tailing: Box, facts: Facts) -> None:
    """The line under this heading does what the heading says."""
    [line] = blocks("sh")[heading]
    CHECKS[heading](tailing.sh(line), facts)


def test_watch_every_queue(box: Box, output: list[bytes], facts: Facts) -> None:
    """`queuetick watch` shows the journal's queues on a terminal, then a line written while it runs."""
    [line] = blocks("sh")[LIVE]
    on_a_terminal = f"TERM=xterm-256color script -qefc {quoted('stty cols 220 rows 40; ' + line)} /run/screen"
    snapshots = of(facts, "queue.snapshot")
    last = snapshots[-1]
    journalled(box, with_rejects(output))

    def shown(text: str) -> Callable[[], bool]:
        return lambda: text in box.sh("cat /run/screen", check=False)

    with subprocess.Popen(
        box.inside(on_a_terminal), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        try:
            for name in {fact["queue_name"] for fact in snapshots if fact["cycle"] == last["cycle"]}:
                until(shown(name), 30, f"{name} on the screen")
            later = datetime.fromisoformat(last["scheduled_at"]) + timedelta(seconds=1)  # else it is a double
            stamps = dict.fromkeys(
                ("timestamp", "scheduled_at", "observed_at"),
                later.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            )
            newest = {**last, **stamps, "cycle": last["cycle"] + 1, "queue_name": "Brand new name"}
            journalled(box, [json.dumps(newest, separators=(",", ":")).encode()])
            until(shown("Brand new name"), 30, "new line on the screen")
        finally:
            process.kill()


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.mark.parametrize("number", range(3))
def test_lnav_sql(number: int, tailing: Box, facts: Facts) -> None:
    """The page's SQL runs in lnav and returns the lines' own numbers."""
    statement = blocks("sql")["More with lnav"][number]
    command = f"lnav -n -c {quoted(';' + statement)} -c ':write-json-to -' /{FILE}"
    found = [list(row.values()) for row in json.loads(tailing.sh(command))]
    assert found
    snapshots = of(facts, "queue.snapshot")
    if number == 0:
        most = {fact["queue_name"]: 0 for fact in snapshots}
        for fact in snapshots:
            most[fact["queue_name"]] = max(most[fact["queue_name"]], fact["waiting"] or 0)
        assert {row[0]: row[1] or 0 for row in found} == most
    elif number == 1:
        ours = [fact for fact in snapshots if fact["queue_name"] == "Sales US"]
        assert [row[1] for row in found] == [fact["media"].get("voice", {}).get("waiting") for fact in ours]
    else:
        ours = [fact for fact in of(facts, "cycle.completed") if "rate_limit" in fact]
        assert [row[1:] for row in found] == [
            [fact["rate_limit"]["used"], fact["duration_seconds"]] for fact in ours
        ]


def test_what_miller_does_to_the_lines(output: list[bytes]) -> None:
    """Miller's exception that the page names: a control character comes out unescaped; null is `null` in CSV."""
    mlr = need("mlr", package="miller")
    line = b'{"queue_name":"a\\u001bb","waiting":null}\n'

    def through(*options: str) -> bytes:
        return subprocess.run(
            [mlr, "--ijsonl", *options, "cat"], input=line, capture_output=True, check=True
        ).stdout

    assert b"\x1b" in through("--ojsonl")
    assert through("--ocsv").endswith(b",null\n")
