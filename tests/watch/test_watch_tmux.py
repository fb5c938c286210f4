"""The live table in a real terminal: tmux, keys sent, screens captured."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from watch_lines import completed, line, snapshot, stream

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to try"
)
DEADLINE = 20.0
"""Seconds until a screen must show what it should; a loaded machine needs some."""


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


def watch(*arguments: object) -> str:
    return shlex.join([sys.executable, "-m", "queuetick.watch", *map(str, arguments)])


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_the_table_fills_the_terminal_worst_first(tmux: Tmux, log: Path, width: int, height: int) -> None:
    """Header, columns, rows and keys at both sizes."""
    tmux.start(watch(log), width=width, height=height)
    rows = tmux.until("OK   cycle 60" if width == 200 else "cycle 60", "q quit").splitlines()
    assert len(rows) == height
    assert "budget 12/300" in rows[0] and "late 0.0 s" in rows[0]
    assert "1 missing" in rows[1]
    assert ("INTERACTING" in rows[3]) == (width == 200)
    waiting = [int(row.split("0:")[0].split()[-1]) for row in rows[4:10]]
    assert waiting == sorted(waiting, reverse=True) and waiting[0] > 0
    assert f"1-{height - 5} of 60" in rows[-1]
    assert rows[height - 2].strip()


def test_keys_sort_filter_and_quit(tmux: Tmux, log: Path) -> None:
    """From the terminal while the lines come through stdin."""
    tmux.start(f"cat {shlex.quote(str(log))} | {watch()}")
    tmux.until("INPUT ENDED", "WAIT▾")
    tmux.keys("l")
    tmux.until("LONGEST▾")
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
    tmux.until("worst first by waiting contacts")
    tmux.keys("x")
    tmux.until("problems only", without="worst first by waiting contacts")
    tmux.keys("q")
    assert "QUEUE" not in tmux.until("exit 0")


def test_the_table_follows_a_resize(tmux: Tmux, log: Path) -> None:
    """Wider, narrower, and down to a strip."""
    tmux.start(watch(log))
    tmux.until("cycle 60", "LAST 20 CYCLES", without="DIVISION")
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
    log.write_bytes(
        snapshot("new", at=time.time(), cycle=61, queue_name="After rotation", waiting=99) + b"\n"
    )
    assert "After rotation" in tmux.until("After rotation").splitlines()[4]


def test_a_paused_screen_stands_still_and_goes_on(tmux: Tmux, log: Path) -> None:
    """While the file grows."""
    tmux.start(watch(log))
    tmux.until("cycle 60")
    tmux.keys("Space")
    tmux.until("PAUSED", "0 lines since")
    with log.open("ab") as file:
        file.write(snapshot("new", at=time.time(), cycle=61, queue_name="Latecomer", waiting=99) + b"\n")
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
    screen = tmux.until("PARTIAL", "API LOST", "connection refused", "RATE LIMIT: paused until", "2 skipped")
    for words in ("MISSING 0:00:", "INVALID 0:00:", "FAILED 0:00:", "503 upstream", "no such id"):
        assert words in screen
    loud = tmux.screen(styles=True).partition(" API LOST")[0].rpartition("\n")[2]
    assert "\x1b[41m" in loud


def test_no_color_is_respected(tmux: Tmux, log: Path) -> None:
    """Marks and bold type carry the meaning."""
    tmux.start(f"NO_COLOR=1 {watch(log)}")
    tmux.until("cycle 60")
    drawn = tmux.screen(styles=True)
    assert "\x1b[1m" in drawn
    assert not any(f"\x1b[{code}m" in drawn for code in (31, 32, 33, 35, 36, 41, 42, 43))


def test_a_terminal_with_nothing_piped_in_gets_advice(tmux: Tmux) -> None:
    """Instead of a screen that waits for lines to be typed."""
    tmux.start(watch())
    assert "journalctl -fu queuetick -o cat | queuetick watch" in tmux.until("exit 2")


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


def test_five_thousand_queues_answer_a_key_while_lines_pour_in(tmux: Tmux, tmp_path: Path) -> None:
    """Without a pause, as when a backlog is read."""
    log = tmp_path / "big.jsonl"
    log.write_bytes(b"\n".join(stream(5000, 8, start=time.time() - 7 * 15)) + b"\n")
    tmux.start(f"while cat {shlex.quote(str(log))}; do :; done | {watch()}", width=200, height=50)
    tmux.until("of 5,000")
    tmux.keys("/", "e", "m", "e", "a")
    tmux.until("filter: emea")
