"""`make soak`: half an hour at interval 1 with 300 queues and a token that dies each minute.

Prints memory, descriptors and threads, first quarter against last; exits 1 when one is not flat within 2 %, or when
the accounting law is broken. SOAK_SECONDS shortens it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from support.processes import DaemonProcess, SimulatorProcess

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SETTLING = min(60.0, SECONDS / 10)
"""Seconds of start that no quarter counts: caches fill, the connections open."""
FLAT = 0.02
CONFIG = """
[poll]
interval = 1
requests_per_minute = 6000
[queues]
refresh = 60
"""


def sample(pid: int) -> dict[str, int]:
    """Resident kilobytes, descriptors and threads of a process."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    return {
        "resident KiB": int(status["VmRSS"].split()[0]),
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        # Answers that take a while: from the first cycles on it needs all its threads and connections.
        (directory / "faults.toml").write_text("latency = 0.04\nrate_limit = 0\n")
        options = ("--queues", "300", "--seed", "4", "--token-lifetime", "60", "--faults", "faults.toml")
        with (
            SimulatorProcess(*options, home=directory) as simulator,
            DaemonProcess(CONFIG, environment=simulator.environment, directory=directory, keep=0) as daemon,
        ):
            daemon.await_event("cycle.completed", 1, 60)
            time.sleep(SETTLING)
            began, samples = time.monotonic(), []
            while (passed := time.monotonic() - began) < SECONDS:
                samples.append(sample(daemon.process.pid))
                if len(samples) % 300 == 0:
                    print(f"  {passed:6.0f} s  {samples[-1]}", file=sys.stderr, flush=True)
                time.sleep(max(0.0, len(samples) * min(1.0, SECONDS / 100) - passed))
            took = daemon.stop()
            problems = daemon.check()
    quarter = len(samples) // 4
    print(
        f"| {SECONDS:.0f} s, {len(samples)} samples | first quarter | last quarter | change |\n|---|---|---|---|"
    )
    for name in samples[0]:
        first = statistics.fmean(each[name] for each in samples[:quarter])
        last = statistics.fmean(each[name] for each in samples[-quarter:])
        change = last / first - 1
        print(f"| {name} | {first:,.1f} | {last:,.1f} | {change:+.2%} |")
        if abs(change) > FLAT:
            problems.append(f"{name} is not flat within {FLAT:.0%}")
    print(f"\nSIGTERM answered in {took:.2f} s\n")
    for name, value in daemon.account.figures():
        print(f"  {name:32} {value:>12}")
    for problem in problems[:20]:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
