"""The daemon's real output: ten seconds of `queuetick run` against the simulator, on a bad day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from support.processes import until

from .tools import parse

QUEUETICK = str(Path(sys.executable).parent / "queuetick")

CONFIG = """
[genesys]
api_url = "{url}"
login_url = "{url}"
[queues]
refresh = 3600
[poll]
interval = 1
batch_size = 5
"""


class Lines:
    """What a process has written so far, read by a thread so that it never waits for us."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.lines: list[bytes] = []
        self.thread = threading.Thread(target=self._read, args=(stream,))
        self.thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.lines.append(line.rstrip(b"\n"))

    def count(self, event: str) -> int:
        return Counter(parse(line)["event"] for line in list(self.lines))[event]

    def await_another(self, event: str) -> None:
        """Wait for one more line of `event` than there are."""
        before = self.count(event)
        until(lambda: self.count(event) > before, 30, f"{event} from the daemon")


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[tuple[subprocess.Popen[bytes], Lines]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout
        lines = Lines(process.stdout)
        try:
            yield process, lines
        finally:
            process.terminate()
            lines.thread.join(timeout=20)


def control(url: str, method: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the simulator's control address."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def record(directory: Path) -> list[bytes]:
    """Return every line of a run in which queues went missing, the API was lost and then was full."""
    simulate = [QUEUETICK, "simulate", "--queues", "12", "--rate-limit", "0", "--at", "10:30"]
    with running(simulate) as (_, simulator):
        until(lambda: bool(simulator.lines), 30, "first line of the simulator")
        started = parse(simulator.lines[0])
        config = directory / "config.toml"
        config.write_text(CONFIG.format(url=started["url"]))
        secrets = {
            "GENESYS_CLIENT_ID": started["client_id"],
            "GENESYS_CLIENT_SECRET": started["client_secret"],
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GENESYS_")}
        run = [QUEUETICK, "run", "--config", str(config)]
        with running(run, env=clean | secrets, cwd=directory) as (daemon, output):
            output.await_another("cycle.completed")
            bad_day(output, lambda faults: control(f"{started['control_url']}/faults", "PUT", faults))
            daemon.terminate()
            assert daemon.wait(timeout=20) == 0
    return output.lines


def bad_day(output: Lines, faults: Callable[[dict[str, Any]], Any]) -> None:
    """Let one thing after the other go wrong, each until the daemon has said so."""
    facts = [fact for fact in map(parse, output.lines) if "queue_id" in fact]
    first, second = sorted({fact["queue_id"] for fact in facts if fact["queue_name"] != "Sales US"})[:2]
    faults({"missing_queues": [first, second]})
    output.await_another("queue.missing")
    faults({"missing_queues": [first]})
    output.await_another("queue.recovered")

    faults({"missing_queues": [first], "status": {"503": 1.0}})
    output.await_another("api.lost")
    faults({"missing_queues": [first]})
    output.await_another("api.recovered")

    faults({"missing_queues": [first], "status": {"429": 1.0}, "status_retry_after": 3})
    output.await_another("rate_limit.paused")
    faults({"missing_queues": [first]})
    output.await_another("rate_limit.resumed")
    output.await_another("cycle.completed")
