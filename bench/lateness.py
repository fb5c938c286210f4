"""`make bench-lateness`: how late ticks are, and how long cycles take against what the server's latency alone would take.

The simulator answers every request after the same time, so that a cycle cannot be quicker than
requests * latency / concurrency. Exits 1 when the p99 of the lateness is over 50 ms.
BENCH_CYCLES (40) sets the cycles of each row.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from support.processes import DaemonProcess, SimulatorProcess, until

CYCLES = int(os.environ.get("BENCH_CYCLES", "40"))
LATENCY = 0.1
CONCURRENCY = 4
LATENESS = 0.05
ROWS = (
    ("5,000 queues at 200", 5000, 200, 5, 0),
    ("1,500 queues at 20", 1500, 20, 5, 0),
    ("1,500 at 20, limit 300, 15 s", 1500, 20, 15, 300),
)
"""Name, queues, batch size, interval, the simulator's rate limit (0: none)."""


def measure(queues: int, batch_size: int, interval: float, limit: int) -> tuple[DaemonProcess, list[str]]:
    """Run so many cycles; returns the daemon, stopped, and the breaches of the accounting law."""
    config = (
        f"[poll]\ninterval = {interval}\nbatch_size = {batch_size}\nconcurrency = {CONCURRENCY}\n"
        f"requests_per_minute = {limit or 100_000}\n[queues]\nrefresh = 3600\n"
    )
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        (directory / "faults.toml").write_text(f"latency = {LATENCY}\nrate_limit = {limit}\n")
        options = ("--queues", str(queues), "--seed", "6", "--faults", "faults.toml")
        with (
            SimulatorProcess(*options, home=directory) as simulator,
            DaemonProcess(config, environment=simulator.environment, directory=directory, keep=0) as daemon,
        ):
            until(lambda: daemon.account.cycles >= CYCLES, 120 + CYCLES * interval * 1.5)
            daemon.stop()
    return daemon, daemon.check()


def main() -> int:
    wrong: list[str] = []
    print(
        f"| row | cycles | late p50 | p99 | most | cycle p50 | p99 | {LATENCY} s * requests / {CONCURRENCY} | ratio | 429s | deferred |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, queues, batch_size, interval, limit in ROWS:
        daemon, breaches = measure(queues, batch_size, interval, limit)
        account = daemon.account
        late = sorted(account.lateness[1:])
        took = sorted(account.durations[1:])
        floor = LATENCY * -(-queues // batch_size) / CONCURRENCY
        p99 = late[min(len(late) - 1, round(0.99 * len(late)))]
        print(
            f"| {name} | {len(late)} | {statistics.median(late) * 1000:.0f} ms | {p99 * 1000:.0f} ms "
            f"| {late[-1] * 1000:.0f} ms | {statistics.median(took):.2f} s "
            f"| {took[min(len(took) - 1, round(0.99 * len(took)))]:.2f} s | {floor:.2f} s "
            f"| {statistics.median(took) / floor:.2f} | {account.events['rate_limit.paused']} "
            f"| {account.totals['deferred']:,} |",
            flush=True,
        )
        wrong += [f"{name}: {breach}" for breach in breaches]
        wrong += [f"{name}: ticks are {p99:.3f} s late at p99"] if p99 > LATENESS else []
    for sentence in wrong:
        print(f"PROBLEM: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
