"""What `queuetick watch` costs with 5,000 queues: `python bench/watch.py [--queues N] [--seconds S]`.

Prints lines read a second (from memory, a file and a pipe), the cost of a redraw in three situations, and
what the command takes of one core on a 200x50 pseudo-terminal: once with a quarter of the queues changing
before each of four redraws a second, once with nothing changing. CPU time is counted, not wall time.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.color import ColorSystem

from queuetick.watch import command
from queuetick.watch.follow import LineSplitter, Stream, open_source
from queuetick.watch.header import Scene
from queuetick.watch.once import read_all
from queuetick.watch.screen import Screen
from queuetick.watch.state import Board
from queuetick.watch.terminal import Painter, wait_readable
from queuetick.watch.view import View

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "watch"))
from watch_lines import START, ContactCentre, completed, stream

SIZES = ((80, 24), (200, 50))
REDRAWS_A_SECOND = 4


def reading(lines: bytes, number: int) -> None:
    def memory() -> None:
        board, splitter = Board(), LineSplitter()
        for start in range(0, len(lines), 1 << 16):
            board.feed(splitter.feed(lines[start : start + (1 << 16)]))

    def pipe() -> None:
        # From another process: a thread would share this one's interpreter lock.
        with tempfile.NamedTemporaryFile() as file:
            file.write(lines)
            file.flush()
            with subprocess.Popen(["cat", file.name], stdout=subprocess.PIPE) as cat:
                assert cat.stdout
                read_all(Stream(os.dup(cat.stdout.fileno())), Board(), wait_readable)

    def file() -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(lines)
            file.flush()
            read_all(open_source(file.name), Board(), wait_readable)

    for name, work in (("memory", memory), ("file", file), ("pipe", pipe)):
        spent = min(timed(work) for _ in range(3))
        print(f"read, {name:<7} {number / spent:>10,.0f} lines/s  {len(lines) / spent / 1e6:>6.0f} MB/s")


def memory(queues: int) -> None:
    """What 5,000 queues with an hour of history take, in a process of its own."""
    code = (
        "import sys; from watch_lines import START, stream; from queuetick.watch.state import Board\n"
        "rss = lambda: int(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1]) / 1024\n"
        "import queuetick.watch.command; board, before = Board(), rss()\n"
        f"for line in stream({queues}, 240, start=START): board.feed([line])\n"
        "print(f'memory {rss():.0f} MB, of which {rss() - before:.0f} MB hold {len(board.rows):,} queues'\n"
        "      ' with 240 cycles (an hour at 15 s)')"
    )
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})


def redrawing(board: Board, centre: ContactCentre) -> None:
    for width, height in SIZES:
        screen, painter, view = Screen(), Painter(ColorSystem.TRUECOLOR), View()
        cycle, now = 1000, board.newest_at

        def draw(now: float) -> str:
            scene = Scene(board, view, now, now)  # noqa: B023  # called within this turn
            return painter.paint(screen.frame(scene, width, height), (width, height))  # noqa: B023

        draw(now)
        spent = {"all queues changed": 0.0, "ages only": 0.0, "cursor moved": 0.0}
        turns = 12
        for _ in range(turns):
            cycle, now = cycle + 1, now + 15
            board.feed(centre.cycle(cycle, now))
            spent["all queues changed"] += timed(lambda: draw(now))  # noqa: B023
            now += 1
            spent["ages only"] += timed(lambda: draw(now))  # noqa: B023
            view.move += 400 if cycle % 8 else -4000
            spent["cursor moved"] += timed(lambda: draw(now))  # noqa: B023
        for name, seconds in spent.items():
            cost = seconds / turns
            a_second = 1 if name == "ages only" else REDRAWS_A_SECOND
            share = f"{cost * a_second:>5.1%} of a core at {a_second}/s"
            print(f"redraw {width}x{height}, {name:<19} {cost * 1e3:>6.1f} ms  {share}")


def whole_command(queues: int, seconds: float) -> None:
    """CPU of the process itself, from the kernel's account of it."""
    for name, changing in (("a quarter changes, 4 times a second", True), ("nothing changes", False)):
        outside, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        threading.Thread(target=drain, args=(outside,), daemon=True).start()
        arguments = [sys.executable, "-m", "queuetick", "watch"]
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        assert process.stdin
        start = time.time()
        process.stdin.write(b"\n".join(stream(queues, 3, start=start - 30)) + b"\n")
        process.stdin.flush()
        news = quarters(ContactCentre(queues), start, int(seconds) + 1)
        time.sleep(2)  # let it take in the start, which is not what is measured
        before, since = cpu(process.pid), time.monotonic()
        for quarter in news:
            if time.monotonic() - since > seconds:
                break
            if changing:
                process.stdin.write(quarter)
                process.stdin.flush()
            time.sleep(1 / REDRAWS_A_SECOND)
        share = (cpu(process.pid) - before) / (time.monotonic() - since)
        process.terminate()
        process.stdin.close()
        process.wait()
        os.close(outside)
        print(f"command, {name:<35} {share:>5.1%} of a core, reading and redrawing together")


def quarters(centre: ContactCentre, start: float, cycles: int) -> list[bytes]:
    """Cycles of one second each, every one in as many pieces as there are redraws a second."""
    pieces = []
    for number in range(cycles):
        lines = list(centre.cycle(number + 4, start + number))
        size = -(-len(lines) // REDRAWS_A_SECOND)
        pieces += [b"\n".join([*lines[at : at + size], b""]) for at in range(0, len(lines), size)]
    return pieces


def drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:
        pass


def cpu(pid: int) -> float:
    """Seconds of user and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run of the whole command")
    args = parser.parse_args()
    gc.set_threshold(*command.GC_THRESHOLD)
    every = list(stream(args.queues, 20, start=START))
    size = sum(map(len, every)) // len(every)
    print(f"{args.queues:,} queues, {len(every):,} lines of {size} bytes on average")
    reading(b"\n".join(every) + b"\n", len(every))
    board = Board()
    board.feed(every)
    board.feed([completed(21, at=board.newest_at + 15)])
    redrawing(board, ContactCentre(args.queues))
    whole_command(args.queues, args.seconds)
    memory(args.queues)


if __name__ == "__main__":
    main()
