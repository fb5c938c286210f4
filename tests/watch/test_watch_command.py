"""`queuetick watch` as a process: one table for a pipe, exit codes, and words for what is wrong."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from screens import viewer
from watch_lines import START, completed, line, snapshot, stream

from queuetick import watch

ROOT = Path(__file__).parents[2]

BUSY = b"\n".join(stream(30, 120, start=START)) + b"\n"


def test_once_prints_one_line_a_queue_worst_first() -> None:
    """The newest snapshot of each; plain text of any width, no escape sequence."""
    done = viewer("watch", "--once", lines=BUSY)
    head, *table = done.stdout.decode().splitlines()[4:]
    end = head.index("LONGEST") + len("LONGEST")
    assert (done.returncode, done.stderr, len(table)) == (0, b"", 30)
    assert b"\x1b" not in done.stdout
    marks = [row[:2].strip() for row in table]
    assert [*dict.fromkeys(marks)] == ["!!", "!", "?", ""]
    critical = [row[end - 8 : end] for row in table if row.startswith("!!")]
    assert critical == sorted(critical, reverse=True)


def test_names_are_not_cut_where_there_is_no_width() -> None:
    """A script greps for them."""
    name = "A queue with a name that is longer than any terminal column ever was made for"
    assert name in viewer("watch", "--once", lines=snapshot(queue_name=name)).stdout.decode()


def test_without_a_terminal_a_table_is_printed_and_that_is_all(tmp_path: Path) -> None:
    """In a cron job nobody presses q; a file is not followed for ever."""
    (tmp_path / "log").write_bytes(BUSY)
    named = [row[:30] for row in viewer("watch", str(tmp_path / "log")).stdout.splitlines()]
    piped = [row[:30] for row in viewer("watch", "--once", lines=BUSY).stdout.splitlines()]
    assert named[4:] == piped[4:] and len(named) == 35


def test_sort_filter_and_thresholds_come_as_options() -> None:
    """The same as the keys."""
    lines = b"\n".join(snapshot(f"q{n}", queue_name=f"Team {n}", waiting=n) for n in range(20))
    out = viewer(
        "watch", "--sort", "name", "--filter", "team 1", "--waiting-at", "3,11", lines=lines
    ).stdout.decode()
    rows = [row[:12].rstrip() for row in out.splitlines()[5:]]
    assert rows[:3] == ["   Team 1", "!  Team 10", "!! Team 11"] and len(rows) == 11
    assert "/team 1 11 of 20" in out


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"", "0 lines read: no queue.snapshot among them"),
        (b"Started queuetick.service\n", "1 lines read: no queue.snapshot among them"),
        (
            b'{"@timestamp":"x","event":{"action":"queue.snapshot"}}\n',
            'read plain ones: [output] profile = "plain"',
        ),
        (b'{"severityNumber":9,"attributes":{}}\n', "these lines are in the profile otel"),
        (b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"{}"}\n', "journalctl -o cat"),
    ],
)
def test_input_without_snapshots_is_a_fault_in_words(lines: bytes, words: str) -> None:
    """An empty table would look as if nobody waited."""
    done = viewer("watch", "--once", lines=lines)
    assert (done.returncode, done.stdout) == (1, b"")
    assert words.replace("read plain", "reads plain") in done.stderr.decode()


def test_a_closed_stdin_is_an_empty_input() -> None:
    """As a service manager or `<&-` leaves it."""
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "queuetick"]
    for command, code, words in ((["watch"], 1, b"0 lines read"), (["tail"], 0, b"")):
        done = subprocess.run([*closed, *command], capture_output=True, timeout=30, check=False)
        assert (done.returncode, done.stdout) == (code, b"")
        assert words in done.stderr and b"Traceback" not in done.stderr


def test_a_daemon_without_answers_still_has_a_table() -> None:
    """Its header says why there is nothing in it."""
    lines = completed(1, snapshots=0, failed=3, outcome="failed") + b"\n" + line("api.lost", START)
    done = viewer("watch", "--once", lines=lines)
    assert done.returncode == 0
    for words in (b"API LOST", b"cycle 1 failed", b"STALE: the newest line is"):
        assert words in done.stdout


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """With its name."""
    done = viewer("watch", str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert done.stderr.decode() == f"queuetick watch: there is no file {tmp_path / 'nothing'}\n"
    done = viewer("watch", str(tmp_path))
    assert (done.returncode, b"is a directory" in done.stderr) == (2, True)


@pytest.mark.parametrize("thresholds", ["5", "9,5", "a,b", "0,5", "1,2,3", "1,inf", "nan,nan"])
def test_thresholds_that_make_no_sense_are_refused(thresholds: str) -> None:
    """As usage errors, with an example or the rule."""
    done = viewer("watch", "--waiting-at", thresholds)
    assert done.returncode == 2 and b"--waiting-at" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path: Path) -> None:
    """`queuetick watch --once FILE | head -3`."""
    (tmp_path / "log").write_bytes(b"\n".join(stream(4000, 1, start=START)))
    once = f"'{sys.executable}' -m queuetick watch --once '{tmp_path / 'log'}'"
    command = f"{once} | head -3; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 3)


def test_an_output_that_cannot_write_a_character_gets_another() -> None:
    """An old locale must not cost the table."""
    done = viewer("watch", "--once", lines=BUSY, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and b"?" in done.stdout


def test_without_rich_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """rich is the extra `viewers`."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "rich" or name.startswith("queuetick.watch."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(watch, "command", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    parser = argparse.ArgumentParser()
    watch.add_arguments(parser)
    assert watch.run("command", parser.parse_args(["--once"]), ()) == 1
    said = capsys.readouterr().err
    assert "pip install 'queuetick[viewers]'" in said and said.count("\n") == 1


def test_declaring_the_options_does_not_import_rich() -> None:
    """Every other command starts without it."""
    code = (
        "import argparse, sys, queuetick.watch as watch;"
        "watch.add_arguments(argparse.ArgumentParser()); print('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_the_picture_command_writes_an_svg(tmp_path: Path) -> None:
    """`make` draws the README's with it."""
    (tmp_path / "log").write_bytes(BUSY)
    command = [sys.executable, ROOT / "release/picture.py", tmp_path / "log", tmp_path / "out.svg"]
    subprocess.run(command, check=True, timeout=30)
    picture = (tmp_path / "out.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg") and "WAITING" in picture
