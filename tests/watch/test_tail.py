"""`queuetick tail`: one short line for each change that matters, and every event in words."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screens import viewer
from watch_lines import START, completed, line, snapshot, stamp

from queuetick.events import EVENTS, CycleReport, QueueSnapshot
from queuetick.events.examples import EXAMPLES
from queuetick.events.thresholds import Threshold
from queuetick.watch.moments import moment
from queuetick.watch.tail import Printer
from queuetick.watch.text import UNKNOWN
from support.processes import until

MEDIA = {
    "voice": {"waiting": 4, "interacting": 1, "alerting": 0, "longest_wait_seconds": 527.0,
              "wait_target_seconds": 20.0},
    "email": {"waiting": 3, "interacting": 1, "alerting": 0, "longest_wait_seconds": 60.0},
    "chat": {"waiting": 0, "interacting": 1, "alerting": 0},
}  # fmt: skip
BUSY: dict[str, Any] = {
    "queue_name": "Support EMEA",
    "waiting": 7,
    "agents_available": 0,
    "agents_on_queue": 9,
    "longest_wait_seconds": 527.0,
    "over_target": True,
    "media": MEDIA,
}
CALM: dict[str, Any] = {"queue_name": "Support EMEA", "waiting": 0}


def printed(*lines: bytes, thresholds: tuple[Threshold, ...] = (), **options: Any) -> list[str]:
    """What stands on paper, in UTC."""
    stream = io.StringIO()
    Printer(stream, thresholds, zone=UTC, **options).append(lines)
    return stream.getvalue().splitlines()


def cycles(*queues: dict[str, Any]) -> list[bytes]:
    """One snapshot of one queue for each cycle."""
    return [snapshot(at=START + 15 * n, cycle=n + 1, **fields) for n, fields in enumerate(queues)]


def test_a_queue_over_its_target_is_one_short_line() -> None:
    assert printed(*cycles(CALM, BUSY, BUSY)) == [
        "04:00:15Z !! Support EMEA  7 waiting  8m47s (target 20s)  0/9 free  voice 4 email 3"
    ]


def test_a_change_is_a_line_and_no_change_is_none() -> None:
    """Waiting from or to 0, over or back under the target, staffed from or to nobody."""
    over = BUSY | {"media": {"voice": MEDIA["voice"] | {"longest_wait_seconds": 30.0}}}
    under = BUSY | {"media": {"voice": MEDIA["voice"] | {"longest_wait_seconds": 3.0}}, "over_target": False}
    gone = CALM | {"agents_on_queue": 0, "agents_available": 0}
    said = printed(*cycles(CALM, under, under, over, over, BUSY, under, CALM, CALM, gone, gone, CALM))
    assert [row[10:] for row in said] == [
        "   Support EMEA  7 waiting  3s (target 20s)  0/9 free  voice 4",
        "!  Support EMEA  7 waiting  30s (target 20s)  0/9 free  voice 4",
        "!! Support EMEA  7 waiting  8m47s (target 20s)  0/9 free  voice 4 email 3",
        "ok Support EMEA  7 waiting  3s (target 20s)  0/9 free  voice 4",
        "   Support EMEA  0 waiting  3/9 free",
        "   Support EMEA  0 waiting  0/0 free  nobody on the queue",
        "   Support EMEA  0 waiting  3/9 free  staffed again",
    ]


def test_a_threshold_replaces_the_target() -> None:
    said = printed(*cycles(CALM, BUSY), thresholds=(Threshold(longest_wait=(300.0, 600.0)),))
    assert said == ["04:00:15Z !  Support EMEA  7 waiting  8m47s (limit 5m)  0/9 free  voice 4 email 3"]


def test_the_thresholds_of_the_daemon_itself_count_where_the_reader_has_none() -> None:
    """`daemon.started` names them, each organisation its own; garbage there is none."""
    table = {"longest_wait": [300, 600]}
    for config, mark in (
        ({"thresholds": [table]}, "! "), ({"thresholds": [{"longest_wait": "x"}]}, "!!"), ({}, "!!"), (None, "!!"),
    ):  # fmt: skip
        started = line("daemon.started", START, config=config)
        assert printed(started, *cycles(CALM, BUSY))[-1][10:12] == mark
    two = [
        line("daemon.started", START, org="apac", config={"thresholds": [table]}),
        snapshot(org="emea", **BUSY),
    ]
    assert " !! " in printed(*two)[-1]
    mine = (Threshold(waiting=7.0),)
    assert printed(two[0], snapshot(org="apac", **BUSY), thresholds=mine)[-1][10:12] == "!!"


def test_all_prints_every_line() -> None:
    assert len(printed(*cycles(CALM, CALM, BUSY, BUSY), everything=True)) == 4


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_every_event_is_one_line_in_words(fact: Any) -> None:
    """No bare JSON, no None, no line break."""
    raw = msgspec.json.encode(msgspec.to_builtins(fact) | {"timestamp": stamp(START), "level": fact.severity})
    (row,) = printed(raw, everything=True)
    assert re.fullmatch(r"04:00:00Z (!!|! |ok|  ) \S.*", row)
    assert not re.search(r"None|UNSET|[{}\[\]]", row.replace("[...]", ""))


def test_events_of_a_bare_line_are_words_too() -> None:
    """An older daemon may write fewer fields."""
    for kind in EVENTS:
        if kind in {QueueSnapshot, CycleReport}:
            continue
        raw = line(kind.__struct_config__.tag, START, queue_id="q1")
        (row,) = printed(raw, everything=True)
        assert "None" not in row, row
    (row,) = printed(line("cycle.completed", START, cycle=1, outcome="ok"))
    assert row.endswith(f"cycle 1 ok: {UNKNOWN} of {UNKNOWN} queues answered, in {UNKNOWN} s")


def test_a_cycle_is_a_line_when_its_outcome_changes() -> None:
    outcomes = ["ok", "ok", "partial", "partial", "failed", "ok", "ok"]
    rows = printed(*(completed(n, at=START + n, outcome=outcome) for n, outcome in enumerate(outcomes)))
    assert [row[10:13] + row.split(":")[2].split()[-1] for row in rows] == [
        "   ok", "!  partial", "!! failed", "ok ok",
    ]  # fmt: skip


def test_errors_are_errors_and_critical_queues() -> None:
    warning = line("queues.refresh_failed", START, "warning", reason="x")
    lost = line("api.lost", START, "error", reason="connection refused")
    rows = printed(*cycles(CALM, BUSY), warning, lost, errors=True)
    assert [row[10:].split()[:3] for row in rows] == [["!!", "Support", "EMEA"], ["!!", "API", "LOST:"]]


def test_queue_chooses_by_glob_and_keeps_what_concerns_the_daemon() -> None:
    """By name, in any case, or by id; a failed batch that names the queue too."""
    lines = [
        snapshot("q1", **BUSY),
        snapshot("q2", **BUSY | {"queue_name": "Sales"}),
        line("queue.missing", START, "warning", queue_id="q3", queue_name="Sales two"),
        line("batch.failed", START, "error", queue_ids=["q2"], queue_names=["Sales"], status=503),
        line("batch.failed", START, "error", queue_ids=["q1"], queue_names=["Support EMEA"], status=503),
        line("api.lost", START, "error", reason="refused"),
    ]
    rows = printed(*lines, globs=("support*",))
    assert [row[13:].split()[0] for row in rows] == ["Support", "batch", "API"]
    assert len(printed(*lines, globs=("q2",))) == 3
    assert len(printed(*lines, globs=("s*", "nobody"))) == 6


def test_the_org_is_shown_once_there_are_two() -> None:
    one = snapshot(org="emea", **BUSY)
    two = snapshot(org="apac", **BUSY)
    assert [row[13:].split()[0] for row in printed(one, two)] == ["Support", "apac"]
    assert len(printed(one, two)) == 2


def test_the_double_of_a_second_daemon_is_no_change() -> None:
    """Two daemons poll the same queues: (queue_id, scheduled_at) is the key."""
    tick = {"scheduled_at": stamp(START)}
    assert len(printed(snapshot(**BUSY | tick), snapshot(at=START + 0.2, **CALM | tick))) == 1


def test_another_day_is_said() -> None:
    """Once, before its first line."""
    queues = (BUSY, CALM, BUSY)
    rows = printed(*(snapshot(at=START + 86_400 * n, cycle=n, **queue) for n, queue in enumerate(queues)))
    assert [row for row in rows if row.startswith("--")] == ["-- Wed 25 Nov 2026 --", "-- Thu 26 Nov 2026 --"]


@given(st.lists(st.binary(max_size=60) | st.sampled_from([*cycles(CALM, BUSY), completed(), b'{"event":'])))
def test_no_bytes_stop_it(lines: list[bytes]) -> None:
    """Garbage, half lines, other programs' lines."""
    for row in printed(*lines):
        assert re.match(r"\d\d:\d\d:\d\dZ (!!|! |ok|  ) \S", row)


@given(st.text(min_size=1, max_size=30))
def test_a_name_of_any_characters_stays_on_its_line(name: str) -> None:
    """Names come from an organisation's settings."""
    (row,) = printed(snapshot(**BUSY | {"queue_name": name}))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", row)


def test_the_command_reads_a_pipe_to_its_end() -> None:
    done = viewer("tail", "--utc", "-", lines=b"junk\n" + b"\n".join(cycles(CALM, BUSY)) + b"\n{half")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == (
        "04:00:15Z !! Support EMEA  7 waiting  8m47s (target 20s)  0/9 free  voice 4 email 3\n"
    )


def test_times_are_local_unless_utc_is_asked_for() -> None:
    lines = b"\n".join(cycles(CALM, BUSY))
    assert viewer("tail", "-", lines=lines, TZ="Europe/Berlin").stdout.startswith(b"05:00:15 !! ")
    assert viewer("tail", "-", "--utc", lines=lines, TZ="Europe/Berlin").stdout.startswith(b"04:00:15Z !! ")


def test_since_leaves_out_what_is_older_but_knows_it() -> None:
    """The queue was over its target before: that is no change after."""
    lines = b"\n".join(cycles(BUSY, BUSY, CALM))
    done = viewer("tail", "--utc", "--since", "2026-11-24T04:00:10Z", "-", lines=lines)
    assert [row.split()[1] for row in done.stdout.decode().splitlines()] == ["ok"]


@pytest.mark.parametrize("since", ["yesterday", "25:00x", "", "15 parsecs"])
def test_a_time_that_is_none_is_a_usage_error(since: str) -> None:
    done = viewer("tail", "--since", since, "-")
    assert done.returncode == 2 and b"--since" in done.stderr


def test_moments_are_ages_times_of_day_and_dates() -> None:
    assert moment("15m", START, UTC) == START - 900
    assert moment("1.5h", START, UTC) == START - 5400
    assert moment("03:59:30", START, UTC) == START - 30
    assert moment("04:30", START, UTC) == START - 86_400 + 1800
    assert moment("2026-11-24T04:00", 0.0, UTC) == START
    assert moment("2026-11-24T05:00+01:00", 0.0, None) == START


def test_a_file_is_followed_when_it_is_rotated(tmp_path: Path) -> None:
    """As watch does, until it is told to stop."""
    log, out = tmp_path / "log", tmp_path / "out"
    calm, busy = cycles(CALM, BUSY)
    log.write_bytes(calm + b"\n")
    with out.open("wb") as stdout:
        process = subprocess.Popen([sys.executable, "-m", "queuetick", "tail", str(log)], stdout=stdout)
    with log.open("ab") as file:
        file.write(busy + b"\n")
    until(lambda: b"!!" in out.read_bytes(), 20)
    log.rename(tmp_path / "log.1")
    log.write_bytes(snapshot(at=START + 60, cycle=9, **CALM) + b"\n")
    until(lambda: b"ok" in out.read_bytes(), 20)
    process.terminate()
    assert process.wait(20) == 0


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\n".join(snapshot(f"q{n}", **BUSY) for n in range(4000)))
    command = f"'{sys.executable}' -m queuetick tail '{log}' | head -2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 2)


def test_lines_of_another_profile_are_told() -> None:
    done = viewer("tail", "-", lines=b'{"@timestamp":"x","event":{"action":"queue.snapshot"}}\n')
    assert done.returncode == 1 and b'profile = "plain"' in done.stderr


def test_thresholds_come_from_the_configuration_where_there_is_one(tmp_path: Path) -> None:
    """An invalid table is left out; where the file is none at all, the targets count."""
    lines = b"\n".join(cycles(CALM, BUSY))
    for text, mark in (
        ("[[thresholds]]\nlongest_wait = [300, 600]\n", b" !  "),
        ("[[thresholds]]\nwaiting = 100\n", b"    "),
        ("[[thresholds]]\nlongest_wait = 'x'\n[[thresholds]]\nwaiting = 100\n", b"    "),
        ("not toml", b" !! "),
    ):
        (tmp_path / "config.toml").write_text(text)
        done = viewer("tail", "-", lines=lines, cwd=tmp_path)
        assert (done.returncode, done.stdout[8:12]) == (0, mark), done.stdout
