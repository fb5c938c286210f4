"""The live table in a real terminal: tmux, keys sent, screens captured."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watch_lines import completed, line, snapshot, stamp, stream

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to try"
)
DEADLINE = 20.0
"""Seconds until a screen must show what it should; a loaded machine needs some."""


LOUD = {
    "waiting": 99,
    "longest_wait_seconds": 9000.0,
    "media": {"voice": {"waiting": 99, "longest_wait_seconds": 9000.0, "wait_target_seconds": 20.0}},
}


class Tmux:
    """One window of a tmux server of its own."""

    def __init__(self) -> None:
        self._socket = f"queuetick-{uuid.uuid4().hex[:8]}"

    def call(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def start(self, command: str, *, width: int = 80, height: int = 24) -> None:
        """Run a shell command; its exit code is the last thing on the screen."""
        shell = f"{command}; printf 'exit %s\\n' $?; exec cat"
        self.call("new-session", "-d", "-x", str(width), "-y", str(height), "bash", "-c", shell)

    def keys(self, *keys: str) -> None:
        self.call("send-keys", *keys)

    def screen(self, *, styles: bool = False) -> str:
        return self.call("capture-pane", "-p", *(["-e"] if styles else []))

    def until(self, *words: str, without: str = "\0") -> str:
        """The first screen that has all the words and not the one that must be gone.

        It has to be seen twice: tmux may be asked while it has taken in only half of a frame.
        """
        deadline = time.monotonic() + DEADLINE
        before = ""
        while True:
            screen = self.screen()
            if screen == before and all(word in screen for word in words) and without not in screen:
                return screen
            before = screen
            assert time.monotonic() < deadline, f"no {words} (or still {without!r}) in\n{screen}"
            time.sleep(0.05)

    def wait_for(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not seen():
            assert time.monotonic() < deadline, self.screen()
            time.sleep(0.05)

    def mouse(self, button: int, column: int, row: int) -> None:
        """What a terminal sends for a press at a cell, counted from 0."""
        self.call("send-keys", "-l", f"\x1b[<{button};{column + 1};{row + 1}M")

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    tmux = Tmux()
    yield tmux
    tmux.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Sixty queues and a quarter of an hour that ends now."""
    path = tmp_path / "queuetick.jsonl"
    path.write_bytes(b"\n".join(stream(60, 60, start=time.time() - 59 * 15)) + b"\n")
    return path


def append(log: Path, line: bytes) -> None:
    with log.open("ab") as file:
        file.write(line + b"\n")


def watch(*arguments: object) -> str:
    return shlex.join([sys.executable, "-m", "queuetick", "watch", *map(str, arguments)])


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 40), (200, 60)])
def test_the_table_fills_the_terminal_worst_first(tmux: Tmux, log: Path, width: int, height: int) -> None:
    """Header, columns, rows and keys at each size; `!!` above `!`, within that the longest wait."""
    tmux.start(watch(log), width=width, height=height)
    rows = tmux.until("OK   cycle 60", "q quit").splitlines()
    assert len(rows) == height
    assert "budget 12/300" in rows[0] and "late 0.0 s" in rows[0]
    assert "1 missing" in rows[1]
    assert ("ALERTING" in rows[3], "TARGET" in rows[3]) == (width >= 140, width >= 100)
    marks = [row[:2].strip() for row in rows[4:-1]]
    assert [*dict.fromkeys(marks)][:3] == ["!!", "!", "?"]
    waits = [row.split("0:")[1][:5] for row in rows[4:-1] if row.startswith("!!")]
    assert waits == sorted(waits, reverse=True)
    shown = min(60, height - 5)
    assert ("60 queues" if shown == 60 else f"1-{shown} of 60") in rows[-1]
    assert rows[min(height - 2, 63)].strip()


def cursor_row(tmux: Tmux) -> str:
    """The row in reverse video, without its colours."""
    rows = [
        row for row in tmux.screen(styles=True).splitlines()[4:-1] if re.search(r"\x1b\[[\d;]*7[;m]", row)
    ]
    assert len(rows) <= 1
    return re.sub(r"\x1b\[[\d;]*m", "", rows[0]) if rows else ""


def test_the_cursor_follows_its_queue_and_enter_shows_it_in_full(tmux: Tmux, log: Path) -> None:
    """Down twice, a cycle that makes the queue the worst of all, then its detail, and back."""
    tmux.start(watch(log), width=120, height=40)
    rows = tmux.until("cycle 60").splitlines()
    name = rows[5][3:30].strip()
    tmux.keys("Down", "Down")
    tmux.wait_for(lambda: name in cursor_row(tmux))
    last = [json.loads(raw) for raw in log.read_bytes().splitlines() if b"queue.snapshot" in raw]
    queue = next(one for one in reversed(last) if one["queue_name"] == name)
    voice = {"waiting": 99, "interacting": 0, "alerting": 0, "longest_wait_seconds": 7000.0}
    queue |= {"timestamp": stamp(time.time()), "scheduled_at": stamp(time.time()), "waiting": 99}
    queue |= {"media": {"voice": voice | {"wait_target_seconds": 20.0}}, "longest_wait_seconds": 7000.0}
    queue |= {"off_queue_by_presence": {"meal": 2, "on_break": 1}, "cycle": 61}
    append(log, json.dumps(queue).encode())
    tmux.wait_for(lambda: name in tmux.screen().splitlines()[4])
    assert name in cursor_row(tmux)
    tmux.keys("Enter")
    screen = tmux.until("LAST EVENTS", "WAITING, THE LAST 60 MINUTES")
    for words in (
        name, queue["queue_id"], queue["division"], "99 waiting", "target 20s", "not responding 1", "on break 1",
        "MEDIUM", "voice", f"!! {name}  ",
    ):  # fmt: skip
        assert words in screen, words
    tmux.keys("Down")
    other = tmux.until("LAST EVENTS", without=queue["queue_id"])
    assert name not in other.splitlines()[3]
    tmux.keys("Escape")
    tmux.until("QUEUE", without="LAST EVENTS")


def test_the_events_pane_shows_what_changed(tmux: Tmux, log: Path) -> None:
    """Below the table, the newest last; new ones come in."""
    tmux.start(watch(log), width=120, height=40)
    tmux.until("cycle 60")
    tmux.keys("e")
    tmux.until("EVENTS", "waiting  ")
    append(log, line("api.lost", time.time(), "error", reason="connection refused"))
    append(log, line("token.renewed", time.time(), reason="rejected", expires_in_seconds=3600))
    rows = tmux.until("API LOST: connection refused", "access token renewed (rejected)").splitlines()
    assert "access token renewed" in rows[-2] and "!! API LOST" in rows[-3]
    assert rows[0].startswith(" API LOST ")
    tmux.keys("e")
    tmux.until("QUEUE", without="EVENTS")


def test_a_file_is_played_again(tmux: Tmux, log: Path) -> None:
    """From two minutes before its end, a hundred times as fast; then it says that it has ended."""
    tmux.start(watch("--from", "2m", "--speed", "20", log), width=120, height=30)
    tmux.until("replay x20", "cycle 5", without="cycle 60")
    tmux.until("REPLAY ENDED", "cycle 60", " ENDED ")


def test_a_replay_needs_a_file(tmux: Tmux) -> None:
    tmux.start(f"echo | {watch('--speed', '10')}")
    tmux.until("need a FILE", "exit 2")


def test_two_organisations_have_a_badge_and_a_column_each(tmux: Tmux, tmp_path: Path) -> None:
    """One has lost the API: it is first. Queues of the same id are two rows."""
    now = time.time()
    log = tmp_path / "two.jsonl"
    lines = []
    for cycle in range(1, 5):
        at = now - 60 + 15 * cycle
        for org, number in (("emea", cycle + 700), ("apac", cycle)):
            tick = {"org": org, "scheduled_at": stamp(at), "cycle": number}
            lines.append(snapshot("same", at=at, queue_name=f"Support {org}", waiting=cycle, **tick))
            lines.append(completed(number, at=at, org=org, scheduled_at=stamp(at)))
    lines.append(line("api.lost", now, "error", org="apac", reason="refused"))
    log.write_bytes(b"\n".join(lines) + b"\n")
    tmux.start(watch(log), width=120, height=24)
    rows = tmux.until("Support emea", "Support apac", "apac: API LOST").splitlines()
    assert rows[0].index("API LOST  apac") < rows[0].index("OK  emea")
    assert "ORG" in rows[3] and "2 queues" in rows[-1]
    assert all("▃▄▆▇" in row for row in rows[4:6])
    tmux.keys("/", "o", "r", "g", ":", "e", "m", "Enter")
    tmux.until("/org:em 1 of 2", without="Support apac")


def test_an_outage_is_told_from_its_first_to_its_last_line(tmux: Tmux, log: Path) -> None:
    """The badge is never OK beside API LOST or DAEMON STOPPED."""
    tmux.start(watch(log), width=120)
    tmux.until(" OK ", "cycle 60")
    for news, badge, words in (
        (line("api.lost", time.time(), "error", reason="refused"), "API LOST", "API LOST since"),
        (line("api.recovered", time.time(), outage_seconds=9.0, cycles=1), "OK", "cycle 60"),
        (
            line("queues.none_selected", time.time(), "error", reason="no match"),
            "NO QUEUES",
            "NO QUEUES SELECTED",
        ),
        (line("daemon.stopped", time.time(), reason="SIGTERM"), "STOPPED", "DAEMON STOPPED since"),
    ):
        append(log, news)
        rows = tmux.until(f" {badge} ", words).splitlines()
        assert rows[0].startswith(f" {badge} ")
    assert rows[2].strip().startswith(("NO QUEUES", "DAEMON STOPPED"))


def test_divisions_are_groups_with_subtotals(tmux: Tmux, log: Path) -> None:
    tmux.start(watch("--group", log), width=100, height=70)
    rows = tmux.until("── Home", "── Insurance", "── Retail Banking").splitlines()
    heads = [row for row in rows if row.startswith("── ")]
    assert len(heads) == 3 and all("20 queues" in head for head in heads)
    tmux.keys("d")
    tmux.until("cycle 60", without="── Home")


def test_the_mouse_sorts_scrolls_and_chooses(tmux: Tmux, log: Path) -> None:
    """As a terminal reports it: a click on a head, on a row, and the wheel."""
    tmux.start(watch(log))
    head = tmux.until("cycle 60").splitlines()[3]
    tmux.mouse(0, head.index("WAIT") + 1, 3)
    tmux.until("WAIT▾")
    tmux.mouse(0, head.index("WAIT") + 1, 3)
    tmux.until("WAIT▴")
    tmux.mouse(0, 5, 6)
    tmux.wait_for(lambda: cursor_row(tmux) == tmux.screen().splitlines()[6])
    tmux.mouse(65, 5, 6)
    tmux.wait_for(lambda: cursor_row(tmux) == tmux.screen().splitlines()[9])


def test_keys_sort_filter_and_quit(tmux: Tmux, log: Path) -> None:
    """From the terminal while the lines come through stdin."""
    tmux.start(f"cat {shlex.quote(str(log))} | {watch()}")
    tmux.until("INPUT ENDED", "▾  QUEUE")
    tmux.keys("l")
    tmux.until("LONGEST▾")
    tmux.keys(">")
    tmux.until("AVAIL▾")
    tmux.keys("n")
    rows = tmux.until("QUEUE▾").splitlines()
    names = [row[3:24].strip() for row in rows[4:23]]
    assert names == sorted(names, key=str.casefold)
    tmux.keys("/", "v", "i", "p", "Space", "w")
    tmux.until("filter: vip w")
    tmux.keys("BSpace", "BSpace", "Enter")
    rows = tmux.until("/vip", without="filter:").splitlines()
    shown = [row for row in rows[4:23] if row.strip()]
    assert shown and all("VIP" in row for row in shown)
    tmux.keys("Escape")
    tmux.until("of 60", without="/vip")
    tmux.keys("p")
    tmux.until("problems only")
    tmux.keys("?")
    tmux.until("worst first: critical")
    tmux.keys("x")
    tmux.until("problems only", without="worst first: critical")
    tmux.keys("q")
    assert "QUEUE" not in tmux.until("exit 0")


def test_the_table_follows_a_resize(tmux: Tmux, log: Path) -> None:
    """Wider, narrower, and down to a strip."""
    tmux.start(watch(log))
    tmux.until("cycle 60", "LAST 17 CYCLES", without="DIVISION")
    tmux.call("resize-window", "-x", "160", "-y", "30")
    tmux.until("DIVISION", "SEEN", "1-25 of 60")
    tmux.call("resize-window", "-x", "50", "-y", "10")
    rows = tmux.until("TREND", without="SEEN").splitlines()
    assert len(rows) == 10 and rows[0].startswith(" OK") and rows[-1].startswith("q quit")


def test_a_rotated_file_is_followed(tmux: Tmux, log: Path) -> None:
    """logrotate moves it away; the next cycle stands in the new one."""
    tmux.start(watch(log))
    tmux.until("cycle 60")
    log.rename(log.with_suffix(".1"))
    log.write_bytes(snapshot("new", at=time.time(), cycle=61, queue_name="After rotation", **LOUD) + b"\n")
    assert "After rotation" in tmux.until("After rotation").splitlines()[4]


def test_a_paused_screen_stands_still_and_goes_on(tmux: Tmux, log: Path) -> None:
    """While the file grows."""
    tmux.start(watch(log))
    tmux.until("cycle 60")
    tmux.keys("Space")
    tmux.until("PAUSED", "0 lines since")
    append(log, snapshot("new", at=time.time(), cycle=61, queue_name="Latecomer", **LOUD))
    assert "Latecomer" not in tmux.until("1 lines since")
    tmux.keys("Space")
    tmux.until("Latecomer", without="PAUSED")


def test_trouble_is_loud_and_says_why(tmux: Tmux, tmp_path: Path) -> None:
    """A lost API, a pause, rows missing, invalid and failed; journald's words and half a line in between."""
    now = time.time()
    log = tmp_path / "trouble.jsonl"
    lines = [
        b"-- Boot 4f1c --",
        b"<6>" + snapshot("a", at=now, queue_name="Fine"),
        b"<6>" + snapshot("b", at=now, queue_name="Failing", waiting=4),
        b"<4>" + line("queue.missing", now, "warning", queue_id="c", queue_name="Gone"),
        b"<3>" + line("queue.invalid", now, "error", queue_id="d", queue_name="Wrong", reason="no such id"),
        b"<3>" + line("batch.failed", now, "error", queue_ids=["b"], status=503, reason="upstream"),
        b"<6>" + completed(1, at=now, outcome="partial", snapshots=1, missing=1, invalid=1, failed=1),
        b"<4>" + line("rate_limit.paused", now, "warning", retry_after_seconds=600, source="retry-after"),
        b"<3>" + line("api.lost", now, "error", reason="connection refused"),
        b'<6>{"timestamp":"2026-11-24T04:00:15.412Z","level":"info","eve',
    ]
    log.write_bytes(b"\n".join(lines) + b"\n")
    tmux.start(watch(log), width=110)
    screen = tmux.until(
        "cycle 1 partial", "API LOST", "connection refused", "RATE LIMIT: paused until", "2 skipped"
    )
    for words in ("MISSING 0:00:", "INVALID 0:00:", "FAILED 0:00:", "503 upstream", "no such id"):
        assert words in screen
    loud = tmux.screen(styles=True).partition(" API LOST since")[0].rpartition("\n")[2]
    assert re.search(r"\x1b\[[\d;]*48[;:]", loud) or "\x1b[41m" in loud


def test_no_color_is_respected(tmux: Tmux, log: Path) -> None:
    """Marks and bold type carry the meaning."""
    tmux.start(f"NO_COLOR=1 {watch(log)}")
    tmux.until("cycle 60")
    drawn = tmux.screen(styles=True)
    assert "\x1b[1m" in drawn
    assert not re.search(r"\x1b\[[\d;]*(3[1-8]|4[1-8])[;m]", drawn)


def test_a_terminal_with_nothing_piped_in_gets_advice(tmux: Tmux) -> None:
    """Instead of a screen that waits for lines to be typed."""
    tmux.start(watch())
    assert "journalctl -t queuetick -f -n 2000 -o cat | queuetick watch" in tmux.until("exit 2")


def test_ctrl_c_gives_the_terminal_back(tmux: Tmux, log: Path) -> None:
    """Echo works, the shell's own lines are there again, exit 0."""
    tmux.start(f"echo before; (cat {shlex.quote(str(log))}; exec sleep 600) | {watch()}")
    tmux.until("cycle 60")
    tmux.keys("C-c")
    tmux.until("before", "exit 0", without="QUEUE")
    tmux.keys("echoed")
    tmux.until("echoed")


def test_ctrl_z_and_fg_bring_the_table_back(tmux: Tmux, log: Path) -> None:
    """With job control, as in a shell that somebody sits at."""
    tmux.call("new-session", "-d", "-x", "80", "-y", "24", "bash", "--norc", "-i")
    tmux.keys(watch(log), "Enter")
    tmux.until("cycle 60")
    tmux.keys("C-z")
    tmux.until("Stopped", without="QUEUE")
    tmux.keys("fg", "Enter")
    tmux.until("QUEUE", "q quit")
    tmux.keys("q")
    tmux.until("fg", without="q quit")


def test_ctrl_z_stops_tail_and_fg_goes_on(tmux: Tmux, log: Path) -> None:
    """It has no screen to give back: the shell's own way is enough."""
    tmux.call("new-session", "-d", "-x", "120", "-y", "24", "bash", "--norc", "-i")
    tmux.keys(f"{shlex.quote(sys.executable)} -m queuetick tail {shlex.quote(str(log))}", "Enter")
    tmux.until("waiting")
    tmux.keys("C-z")
    tmux.until("Stopped")
    tmux.keys("fg", "Enter")
    tmux.keys("C-c")
    tmux.keys("echo over", "Enter")
    tmux.until("over")


def test_five_thousand_queues_answer_a_key_while_lines_pour_in(tmux: Tmux, tmp_path: Path) -> None:
    """Without a pause, as when a backlog is read."""
    log = tmp_path / "big.jsonl"
    log.write_bytes(b"\n".join(stream(5000, 8, start=time.time() - 7 * 15)) + b"\n")
    tmux.start(f"while cat {shlex.quote(str(log))}; do :; done | {watch()}", width=200, height=50)
    tmux.until("of 5,000")
    tmux.keys("/", "e", "m", "e", "a")
    tmux.until("filter: emea")
