"""The lnav format, without a terminal: valid, right levels, and every line readable again."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .hostile import with_hostile_names
from .tools import LNAV_FORMAT, REJECTS, Table, need, parse, with_rejects


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the format installed as a user would: `lnav -i`."""
    done = subprocess.run(
        [need("lnav"), "-i", LNAV_FORMAT], env=environment(tmp_path), capture_output=True, check=True
    )
    assert b"installed" in done.stdout + done.stderr
    return tmp_path


@pytest.fixture(params=["real output", "hostile names"])
def lines(request: pytest.FixtureRequest, output: list[bytes]) -> list[bytes]:
    """The daemon's lines, and the same with queue names that somebody might well type."""
    return output if request.param == "real output" else with_hostile_names(output)


def environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}


def lnav(home: Path, lines: list[bytes], *commands: str) -> str:
    """Run lnav on `lines` from a file, without a terminal."""
    file = home / "queuetick.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    options = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        ["lnav", "-n", *options, file], env=environment(home), capture_output=True, check=True
    )
    return done.stdout.decode()


def sql(home: Path, lines: list[bytes], statement: str) -> list[dict[str, Any]]:
    """Ask in SQL."""
    answer = lnav(home, lines, f";{statement}", ":write-json-to -")
    return list(json.loads(answer))


def test_the_format_is_valid(home: Path) -> None:
    """lnav's own check has nothing to say."""
    done = subprocess.run(["lnav", "-C"], env=environment(home), capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_every_line_is_there(lines: list[bytes], chain: str, table: Table, home: Path) -> None:
    """Each line is a row and its text comes back equal; what is no JSON object has the level `invalid`."""
    rows = sql(home, with_rejects(lines), "SELECT log_level, log_raw_text FROM queuetick_log")
    kept = [row["log_raw_text"] for row in rows if row["log_level"] != "invalid"]
    aside = [row["log_raw_text"] for row in rows if row["log_level"] == "invalid"]
    table.judge(f"file > lnav (SQL){chain}", lines, kept, rejected=aside)


def test_levels_and_times(output: list[bytes], home: Path) -> None:
    """lnav's level and time of a line are the line's own."""
    rows = sql(home, output, "SELECT log_level, log_time FROM queuetick_log")
    facts = sorted(map(parse, output), key=lambda fact: fact["timestamp"])  # as lnav does
    assert [row["log_level"] for row in rows] == [fact["level"] for fact in facts]
    times = [row["log_time"].replace(" ", "T") + "Z" for row in rows]
    assert times == [fact["timestamp"] for fact in facts]


def test_numbers_are_numbers_and_null_is_null(output: list[bytes], home: Path) -> None:
    """SQL adds up the lines' own counts, and does not take null for 0."""
    statement = "SELECT sum(waiting) AS waiting, count(longest_wait_seconds) AS waits FROM queuetick_log"
    [row] = sql(home, output, statement)
    snapshots = [fact for fact in map(parse, output) if fact["event"] == "queue.snapshot"]
    assert row["waiting"] == sum(fact["waiting"] or 0 for fact in snapshots)
    assert row["waits"] == sum(fact["longest_wait_seconds"] is not None for fact in snapshots)


def test_a_line_reads_well(output: list[bytes], home: Path) -> None:
    """On screen: time, level, event, the three numbers right-aligned, then the queue or the reason."""
    shown = lnav(home, output).splitlines()
    facts = sorted(map(parse, output), key=lambda fact: fact["timestamp"])  # as lnav does
    assert len(shown) == len(facts)
    for text, fact in zip(shown, facts, strict=True):
        assert text.startswith(f"{fact['timestamp'][:-1]} {fact['level'].upper():7} {fact['event']:17} ")
        if fact["event"] == "queue.snapshot":
            words = text.split(maxsplit=6)
            assert words[3:5] == [_shown(fact["waiting"]), _shown(fact["agents_available"])]
            assert words[5] == _shown(fact["longest_wait_seconds"])
            assert words[6].rstrip() == fact["queue_name"]
        if fact["level"] == "error" and "reason" in fact:
            assert text.rstrip().endswith(fact["reason"])


def test_it_reads_a_pipe(output: list[bytes], home: Path) -> None:
    """`… | lnav` finds the format as well, with foreign lines in between."""
    command = ["lnav", "-n", "-c", ";SELECT log_level FROM queuetick_log", "-c", ":write-csv-to -"]
    text = b"".join(line + b"\n" for line in with_rejects(output))
    done = subprocess.run(command, input=text, env=environment(home), capture_output=True, check=True)
    levels = Counter(done.stdout.decode().split()[1:])
    assert levels == Counter(parse(line)["level"] for line in output) + Counter(invalid=len(REJECTS))


def _shown(value: float | None) -> str:
    """Write a value as lnav shows it."""
    if value is None:
        return "null"
    return f"{value:.6f}" if isinstance(value, float) else str(value)
