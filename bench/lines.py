"""Lines a second: full snapshot lines through the emitter, structlog included, on one core.

    python bench/lines.py [--seconds 1.0] [--at-least 50000]

Twenty facts a call, as the poller writes them. A figure is lines per second of processor time (user and system),
so that a busy machine does not change it much; the best of several rounds. The yardstick writes what msgspec
encodes, without stamp, level, structlog or bound.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from queuetick.events import CycleReport, Fact, QueueSnapshot
from queuetick.events.examples import EXAMPLES
from queuetick.lines import Emitter
from queuetick.lines.descriptors import Descriptor, LogFile
from queuetick.lines.output import Output
from queuetick.lines.profiles import render

ROUNDS = 5
PER_CALL = 20
SECRETS = ("a-client-secret-of-forty-three-characters-1", "a-proxy-password")
TOKENS = 8


def example(event: type[Fact]) -> Fact:
    return next(fact for fact in EXAMPLES if type(fact) is event)


def rate(emit: Callable[[], None], seconds: float, settle: Callable[[], object] = lambda: None) -> float:
    """Lines a second of `emit`, which writes PER_CALL of them, and `settle`: the best of ROUNDS."""
    best = 0.0
    for _ in range(ROUNDS):
        calls = 0
        began = time.process_time()
        while time.process_time() - began < seconds / ROUNDS:
            for _ in range(50):
                emit()
            settle()  # what the writer thread has still to do counts too
            calls += 50
        took = time.process_time() - began
        best = max(best, calls * PER_CALL / took)
    return best


def measure(output: Output, facts: list[Fact], profile: str, seconds: float) -> float:
    emitter = Emitter(output, now=time.time, profile=profile, org="emea")
    emitter.redact(*SECRETS)
    for number in range(TOKENS):
        emitter.redact(f"an-access-token-as-long-as-the-real-ones-are-{number:042d}", passing=True)
    found = rate(lambda: emitter.emit(*facts), seconds, lambda: emitter.drain(10.0))
    emitter.close(10.0)
    return found


def yardstick(fd: int, facts: list[Fact], seconds: float) -> float:
    encode = msgspec.json.Encoder().encode
    return rate(lambda: _write(fd, b"".join([encode(fact) + b"\n" for fact in facts])), seconds)


def _write(fd: int, content: bytes) -> None:
    os.write(fd, content)


class Drain:
    """A pipe with a process at its other end that throws all away."""

    def __enter__(self) -> int:
        read, self.fd = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self.fd)
            while os.read(read, 1 << 20):
                pass
            os._exit(0)
        os.close(read)
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        os.waitpid(self._child, 0)


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--seconds", type=float, default=1.0, help="measuring time of one figure")
    arguments.add_argument(
        "--at-least", type=float, default=50_000, help="plain lines/s to a file, else exit 1"
    )
    options = arguments.parse_args()
    snapshots = [example(QueueSnapshot)] * PER_CALL
    reports = [example(CycleReport)] * PER_CALL
    assert threading.active_count() == 1
    rows: list[tuple[str, float, float, int]] = []
    with tempfile.TemporaryDirectory() as directory:
        plain_rate: dict[str, float] = {}
        fd = os.open(Path(directory) / "yardstick", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        bare = yardstick(fd, snapshots, options.seconds)
        os.close(fd)
        rows.append(("bare msgspec and write, snapshots to a file", bare, bare, 0))
        for name, facts in (("snapshots", snapshots), ("cycle.completed", reports)):
            for profile, renderer in render.items():
                found = measure(
                    Output(LogFile(Path(directory) / profile), limit=1 << 40), facts, profile, options.seconds
                )
                (Path(directory) / profile).unlink()
                plain_rate.setdefault(name, found)
                size = len(renderer(facts[0], "2026-11-24T04:00:15.412Z", "info", "emea")) + 1
                rows.append((f"{profile}, {name} to a file", found, plain_rate[name], size))
        for profile in render:
            with Drain() as fd:
                found = measure(Output(Descriptor(fd), limit=1 << 40), snapshots, profile, options.seconds)
            plain_rate.setdefault("pipe", found)
            rows.append((f"{profile}, snapshots to a pipe", found, plain_rate["pipe"], 0))
    print("| what | lines per CPU second | CPU us a line | time against plain | bytes a line |")
    print("|---|---:|---:|---:|---:|")
    for what, found, against, size in rows:
        print(f"| {what} | {found:,.0f} | {1e6 / found:.2f} | {against / found:.2f} | {size or ''} |")
    plain = plain_rate["snapshots"]
    print(f"\n{plain:,.0f} full snapshot lines/s to a file; required: {options.at_least:,.0f}")
    return 0 if plain >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
