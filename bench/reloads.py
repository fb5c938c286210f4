"""`python bench/reloads.py`: what reloads during a listing leave behind, and what oversized answers cost in memory.

`--python` names the interpreter of another tree, to measure that one in the same way. Prints a table; judges nothing.
"""

from __future__ import annotations

import argparse
import http.server
import json
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from support.processes import DaemonProcess, SimulatorProcess, clean_environment

SETTLING = 8.0
"""Seconds after the last reload: requests of earlier sessions have ended by then."""
MIB = 1024 * 1024
OVERSIZED = b'{"results":[' + b"[]," * (16 * MIB // 3 - 100) + b"[]]}"
CONFIG = "[genesys]\ntimeout = {}\n[queues]\nrefresh = 1\n[poll]\ninterval = 1\nbatch_size = 200\nrequests_per_minute = 6000\n"


class AnyDaemon(DaemonProcess):
    """The daemon of any version: its lines are read, and held to no law."""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if b'"queue.snapshot"' not in line:
                self.lines.append(json.loads(line))


def sample(pid: int) -> tuple[float, float, int, int]:
    """Resident MiB now and at most, threads, descriptors of a process."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    now, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most, int(status["Threads"]), len(list((process / "fd").iterdir()))


def reloads(counts: list[int], home: Path, program: list[str]) -> None:
    """SIGHUP after SIGHUP, each with another timeout and so another session, while a listing of three pages is slow."""
    print("| reloads | resident MiB | threads | descriptors |\n|---|---|---|---|")
    with (
        SimulatorProcess("--queues", "1200", "--rate-limit", "0", home=home) as simulator,
        AnyDaemon(
            CONFIG.format(20), environment=simulator.environment, directory=home, program=program
        ) as daemon,
    ):
        daemon.await_event("cycle.completed", 3, 60)
        simulator.set_faults(latency=0.8, only=["routing/queues"])
        done = 0
        for count in counts:
            while done < count:
                time.sleep(1.4)  # a refresh begins every second, and takes 2.4
                (home / "config.toml").write_text(CONFIG.format(30 + done / 10))
                daemon.process.send_signal(signal.SIGHUP)
                done += 1
                daemon.await_event("config.reloaded", done, 60)
            time.sleep(SETTLING)
            resident, _, threads, descriptors = sample(daemon.process.pid)
            print(f"| {count} | {resident:.1f} | {threads} | {descriptors} |", flush=True)
        daemon.stop()


class Oversized(http.server.BaseHTTPRequestHandler):
    """An API of 80 queues that answers each query with 16 MiB of empty lists."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/oauth"):
            body = json.dumps({"access_token": "t" * 40, "expires_in": 86400}).encode()
        elif "routing/queues" in self.path:
            queues: list[dict[str, Any]] = [
                {"id": f"e8963ace-0000-4000-8000-{at:012}", "name": f"Queue {at}"} for at in range(80)
            ]
            body = json.dumps({"entities": queues, "total": 80, "pageCount": 1}).encode()
        else:
            body = OVERSIZED
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Print nothing: a client that reads no further than it needs resets the connection."""


def oversized(home: Path, program: list[str]) -> None:
    """Four batches at once, each answered with 16 MiB of empty lists, for three cycles."""
    server = Server(("127.0.0.1", 0), Oversized)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **clean_environment(home),
        "GENESYS_API_URL": f"http://127.0.0.1:{server.server_port}",
        "GENESYS_CLIENT_ID": "some-client",
        "GENESYS_CLIENT_SECRET": "some-secret",
    }
    config = "[poll]\ninterval = 5\nbatch_size = 20\nconcurrency = 4\n"
    with AnyDaemon(config, environment=environment, directory=home, program=program) as daemon:
        daemon.await_event("cycle.completed", 3, 120)
        print(f"4 answers of 16 MiB of empty lists: at most {sample(daemon.process.pid)[1]:.0f} MiB resident")
        daemon.stop()
    server.shutdown()
    server.server_close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--python", default=sys.executable, help="the interpreter that runs the daemon")
    arguments.add_argument("--reloads", type=int, default=30, help="how many (default 30)")
    given = arguments.parse_args()
    most, program = given.reloads, [given.python, "-m", "queuetick"]
    with tempfile.TemporaryDirectory() as directory:
        reloads([0, most // 3, 2 * most // 3, most], Path(directory), program)
        oversized(Path(directory), program)


if __name__ == "__main__":
    main()
