"""The daemon's output as processes: slow, stuck and full destinations, named pipes, names that are no text."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from queuetick.simulator import Faults
from support.account import breaches
from support.processes import QUEUETICK, clean_environment, until
from support.simulators import busy

CONFIG = '[genesys]\napi_url = "{url}"\n[poll]\ninterval = {interval}\nbatch_size = 200\n'
CONFIG += "requests_per_minute = 100000\n{more}\n"


@pytest.fixture
def start(tmp_path):
    running = []

    def start(url, *, command="run", interval=0.5, more="", secret, client, **options):
        (tmp_path / "config.toml").write_text(CONFIG.format(url=url, interval=interval, more=more))
        environment = {
            **clean_environment(tmp_path),
            "GENESYS_CLIENT_ID": client,
            "GENESYS_CLIENT_SECRET": secret,
        }
        process = subprocess.Popen([*QUEUETICK, command], env=environment, cwd=tmp_path, **options)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


def credentials(simulator):
    return {"client": simulator.client_id, "secret": simulator.client_secret}


class SlowReader(threading.Thread):
    """Reads so many bytes a second."""

    def __init__(self, fd, rate):
        super().__init__(daemon=True)
        self.fd, self.rate = fd, rate
        self.content = b""
        self.hurry = threading.Event()
        self.start()

    def run(self):
        while chunk := os.read(self.fd, self.rate // 20 if not self.hurry.is_set() else 1 << 20):
            self.content += chunk
            self.hurry.wait(0.05)


@pytest.mark.slow
def test_a_reader_of_100_kb_a_second_slows_no_cycle_and_every_lost_line_is_counted(start, tmp_path):
    read, write = os.pipe()
    with (
        busy(400, seed=3, faults=Faults(rate_limit=0)) as simulator,
        (tmp_path / "err").open("wb") as errors,
    ):
        process = start(simulator.url, interval=0.25, **credentials(simulator), stdout=write, stderr=errors)
        os.close(write)
        reader = SlowReader(read, 100_000)
        time.sleep(20)  # the claim is about time: 1.4 MB a second are written, 0.1 read, 8 MiB kept
        reader.hurry.set()
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    reader.join(5)
    os.close(read)
    events = [json.loads(line) for line in reader.content.splitlines()]
    reports = [event for event in events if event["event"] == "cycle.completed"]
    overrun = [event["cycle"] for event in events if event["event"] == "cycle.skipped"]  # on a busy machine
    due = sorted([*(report["cycle"] for report in reports), *overrun])
    assert due == list(range(1, len(due) + 1))
    assert len(reports) > 40, "80 were due; at the pace of the reader it would have been 6"
    snapshots = sum(event["event"] == "queue.snapshot" for event in events)
    dropped = sum(event["lines_dropped"] for event in events if event["event"] == "output.recovered")
    assert dropped > 0
    assert snapshots + dropped == sum(report["snapshots"] for report in reports)
    assert events[-1]["event"] == "daemon.stopped"
    assert "the oldest snapshots are dropped" in (tmp_path / "err").read_text()


def fill(descriptor):
    """Leave no room for a byte."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.set_blocking(descriptor, True)


def test_a_stderr_that_nobody_reads_holds_up_neither_polling_nor_the_stop(start):
    """The full disk gives the output a reason to complain, at its begin and at the end."""
    reader, writer = os.pipe()
    fill(writer)
    with busy() as simulator, open("/dev/full", "wb") as full:  # noqa: PTH123
        process = start(simulator.url, interval=0.2, **credentials(simulator), stdout=full, stderr=writer)
        until(lambda: len(simulator.requests) > 8, 20)
        process.terminate()
        assert process.wait(10) == 0
    os.close(reader)
    os.close(writer)


def test_a_stop_amid_a_reload_that_moves_the_output_loses_no_line_of_a_stuck_one(start, tmp_path):
    """The stuck output has a second to take what waits, then the other one gets it. SIGTERM comes in between."""
    lines = tmp_path / "lines"
    reader, writer = os.pipe()
    with busy() as simulator:
        process = start(simulator.url, interval=0.2, **credentials(simulator), stdout=writer)
        os.close(writer)
        until(lambda: len(simulator.requests) > 30, 30)  # more than a pipe holds, and nobody reads
        config = CONFIG.format(url=simulator.url, interval=0.2, more=f'[output]\npath = "{lines}"')
        (tmp_path / "config.toml").write_text(config)
        process.send_signal(signal.SIGHUP)
        until(lambda: lines.exists() and lines.read_bytes(), 10)
        process.terminate()
        process.wait(15)
    with open(reader, "rb") as pipe:  # noqa: PTH123
        written = pipe.read() + lines.read_bytes()
    stopped = json.loads(written.splitlines()[-1])
    assert stopped["event"] == "daemon.stopped"
    assert breaches(written, cycles=stopped["cycles"]) == []


def test_once_to_a_full_disk_is_a_fault_and_soon_over(start):
    with busy() as simulator, open("/dev/full", "wb") as full:  # noqa: PTH123
        began = time.monotonic()
        process = start(
            simulator.url, command="once", **credentials(simulator), stdout=full, stderr=subprocess.PIPE
        )
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 1
        assert time.monotonic() - began < 10
        assert b"Traceback" not in stderr and b"No space left on device" in stderr


def test_once_to_a_named_pipe_waits_for_a_reader_for_some_seconds_and_then_says_what_was_lost(
    start, tmp_path
):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    more = f'[output]\npath = "{fifo}"'
    with busy() as simulator:
        began = time.monotonic()
        process = start(
            simulator.url, command="once", more=more, **credentials(simulator), stderr=subprocess.PIPE
        )
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 1
        assert 7 < time.monotonic() - began < 20
        assert b"no program reads it" in stderr and b"lines were not written" in stderr
        process = start(
            simulator.url, command="once", more=more, **credentials(simulator), stderr=subprocess.PIPE
        )
        assert process.stderr.readline().endswith(b"no program reads it; lines wait in memory\n")
        lines = fifo.read_bytes().splitlines()
        assert process.wait(10) == 0
        process.stderr.close()
    assert sum(b'"queue.snapshot"' in line for line in lines) == 5
    assert b'"daemon.stopped"' in lines[-1]


def test_once_writes_stats_where_they_are_enabled(start):
    with busy(137) as simulator:
        process = start(
            simulator.url,
            command="once",
            interval=15,
            more="[stats]\nenabled = true",
            **credentials(simulator),
            stdout=subprocess.PIPE,
        )
        lines = [json.loads(line) for line in process.communicate(timeout=20)[0].splitlines()]
    assert process.returncode == 0
    assert sum(line["event"] == "queue.stats" for line in lines) == 137


def test_a_reload_from_named_pipe_to_named_pipe_leaves_no_descriptor(start, tmp_path):
    pipes = [tmp_path / name for name in ("one", "two")]
    for path in pipes:
        os.mkfifo(path)
    readers = [os.open(path, os.O_RDONLY | os.O_NONBLOCK) for path in pipes]
    with busy() as simulator:
        process = start(simulator.url, more=f'[output]\npath = "{pipes[0]}"', **credentials(simulator))
        seen = [b"", b""]

        def reloads(at, count):
            with contextlib.suppress(BlockingIOError):
                seen[at] += os.read(readers[at], 1 << 20)
            return seen[at].count(b'"config.reloaded"') >= count and b"cycle.completed" in seen[at]

        until(lambda: reloads(0, 0), 20)

        def descriptors():
            open_files = [str(entry.resolve()) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
            return sum(name in map(str, pipes) for name in open_files)

        for turn in range(1, 7):
            (tmp_path / "config.toml").write_text(
                CONFIG.format(url=simulator.url, interval=0.5, more=f'[output]\npath = "{pipes[turn % 2]}"')
            )
            process.send_signal(signal.SIGHUP)
            until(lambda turn=turn: reloads(turn % 2, (turn + 1) // 2), 20, f"reload {turn}")
        until(lambda: descriptors() == 1, 10, "one open pipe")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    for reader in readers:
        os.close(reader)


class OddNames(http.server.BaseHTTPRequestHandler):
    """An API whose second queue has an id, a name and a division with lone surrogates."""

    protocol_version = "HTTP/1.1"
    queues = (("e8963ace-0000-4000-8000-000000000001", "Support"), ("e8963ace-\ud800", "na\udc80me \ud83d"))

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/oauth"):
            answer = {"access_token": "t" * 40, "expires_in": 86400, "token_type": "bearer"}
        elif "routing/queues" in self.path:
            entities = [
                {"id": queue, "name": name, "division": {"id": "d", "name": name}}
                for queue, name in self.queues
            ]
            answer = {"entities": entities, "pageSize": 500, "pageNumber": 1, "total": 2, "pageCount": 1}
        else:
            answer = {
                "results": [
                    {
                        "group": {"queueId": queue, "mediaType": "voice"},
                        "data": [{"metric": "oWaiting", "stats": {"count": 3}}],
                    }
                    for queue, _ in self.queues
                    if json.dumps(queue).strip('"').encode() in body or queue.isascii()
                ]
            }
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_): ...


@pytest.mark.parametrize("profile", ["plain", "ecs", "otel"])
def test_a_lone_surrogate_in_id_and_name_crashes_no_cycle(start, profile):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OddNames)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    process = start(
        f"http://127.0.0.1:{server.server_port}",
        more=f'[output]\nprofile = "{profile}"',
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        secret="a-client-secret",
        client="a-client-id",
    )
    lines: list[str] = []
    try:
        while sum("cycle.completed" in line for line in lines) < 3:
            lines.append(process.stdout.readline().decode())
            assert len(lines) < 200, lines[-5:]
        process.send_signal(signal.SIGTERM)
        rest, stderr = process.communicate(timeout=15)
    finally:
        server.shutdown()
        server.server_close()
    text = "".join(lines) + rest.decode()
    assert "cycle.crashed" not in text and "Traceback" not in text + stderr.decode(), text[:3000]
    assert sum("queue.snapshot" in line and "000000000001" in line for line in lines) >= 3
