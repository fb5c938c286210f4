"""`make chaos`: the daemon against a hostile simulator, on real sockets, at an accelerated interval.

Runs CHAOS_CYCLES cycles (2,000), with the API killed and brought back, the process stopped and continued, reloads and a
log level that changes on the way; prints figures; exits 1 when the accounting law is broken.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from support.processes import DaemonProcess, SimulatorProcess, until

CYCLES = int(os.environ.get("CHAOS_CYCLES", "2000"))
INTERVAL = 0.2
SEED = int(os.environ.get("CHAOS_SEED", "5"))
CONFIG = f"""
[genesys]
timeout = 1
[poll]
interval = {INTERVAL}
batch_size = 10
requests_per_minute = 100000
[queues]
refresh = 5
"""
FAULTS = """
# as --hostile, at the pace of the accelerated interval
rate_limit = 0
status_retry_after = 1
token_lifetime = 20.0
latency = 0.004
latency_max = 0.5
login_latency = 0.02
login_retry_after = 1.0
login_reset = 0.01
login_html = 0.01
hang = 0.001
[login_status]
500 = 0.01
503 = 0.01
429 = 0.01
"""


def main() -> int:
    chance = random.Random(SEED)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        (directory / "faults.toml").write_text(FAULTS)
        options = ("--hostile", "--faults", "faults.toml", "--queues", "45", "--seed", str(SEED))
        with (
            SimulatorProcess(*options, home=directory) as simulator,
            DaemonProcess(CONFIG, environment=simulator.environment, directory=directory, keep=0) as daemon,
        ):
            strokes = plan(chance, simulator, daemon)
            while daemon.account.cycles < CYCLES:
                if daemon.process.poll() is not None:
                    break
                if strokes and daemon.account.cycles >= strokes[0][0]:
                    at, name, stroke = strokes.pop(0)
                    print(f"  {time.monotonic() - began:6.1f} s  cycle {at:5}: {name}", flush=True)
                    stroke()
                time.sleep(0.05)
            took = daemon.stop()
            breaches = daemon.check()
            breaches += [] if daemon.process.returncode == 0 else [f"exit {daemon.process.returncode}"]
            breaches += ["a traceback on stderr"] if "Traceback" in daemon.stderr else []
    account = daemon.account
    print(f"\n  {'wall time':32} {time.monotonic() - began:11.0f}s")
    print(f"  {'SIGTERM answered in':32} {took:11.2f}s")
    for name, value in account.figures():
        print(f"  {name:32} {value:>12}")
    print("\n  why batches failed:")
    for reason, count in account.failed_for.most_common(12):
        print(f"  {count:8,}  {reason}")
    print(f"\n  breaches of the accounting law: {len(breaches)}")
    for breach in breaches[:20]:
        print(f"  BREACH: {breach}")
    return 1 if breaches else 0


Stroke = tuple[int, str, Callable[[], None]]


def plan(chance: random.Random, simulator: SimulatorProcess, daemon: DaemonProcess) -> list[Stroke]:
    """What befalls the run beside the hostile answers, and at which cycle."""

    def kill() -> None:
        simulator.kill()
        time.sleep(3)
        simulator.start()

    def freeze() -> None:
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        daemon.process.send_signal(signal.SIGCONT)

    def reload() -> None:
        batch_size = chance.choice([5, 10, 20])
        text = CONFIG.replace("batch_size = 10", f"batch_size = {batch_size}")
        (daemon.directory / "config.toml").write_text(text)
        before = daemon.account.events["config.reloaded"] + daemon.account.events["config.rejected"]
        daemon.process.send_signal(signal.SIGHUP)
        until(
            lambda: (
                daemon.account.events["config.reloaded"] + daemon.account.events["config.rejected"] > before
            ),
            30,
            "the reload",
        )

    def quiet() -> None:
        simulator.set_faults(status={"429": 0.3}, status_retry_after=3.0)
        time.sleep(5)
        simulator.set_faults(
            status={"500": 0.02, "502": 0.02, "503": 0.03, "429": 0.01}, status_retry_after=1.0
        )

    kinds = [
        ("kill -9 of the API, 3 s", kill),
        ("SIGSTOP, 2 s", freeze),
        ("SIGHUP", reload),
        ("429s, 5 s", quiet),
    ]
    return sorted(((CYCLES * (n + 1) // 13, *kinds[n % 4]) for n in range(12)), key=lambda stroke: stroke[0])


if __name__ == "__main__":
    sys.exit(main())
