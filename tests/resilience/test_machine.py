"""The machine at its worst, with the daemon as a process of its own: stuck readers, full disks, sleeping, no DNS."""

from __future__ import annotations

import fcntl
import json
import resource
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.account import breaches
from support.processes import QUEUETICK, DaemonProcess, SimulatorProcess, clean_environment, until

QUICK = "[poll]\ninterval = 0.5\nrequests_per_minute = 60000\n[queues]\nrefresh = 3600\n"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """45 queues, no rate limit; faults are put back after each test by `calm`."""
    with SimulatorProcess("--rate-limit", "0", home=tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def calm(simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield simulator
    simulator.set_faults(reset=0.0, hang=0.0, status={})


@pytest.fixture
def daemon(calm: SimulatorProcess, tmp_path: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(QUICK, environment=calm.environment, directory=tmp_path) as running:
        running.await_event("cycle.completed")
        yield running


def limit(process: subprocess.Popen[bytes], kind: int, soft: int) -> int:
    """Set a process's soft limit; returns the earlier one."""
    before, hard = resource.prlimit(process.pid, kind)
    resource.prlimit(process.pid, kind, (soft, hard))
    return before


def whole_lines(data: bytes) -> list[dict]:
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


# Stdout


@pytest.fixture
def unread(calm: SimulatorProcess, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A daemon whose lines nobody reads."""
    (tmp_path / "config.toml").write_text(QUICK)
    return subprocess.Popen(
        [*QUEUETICK, "run"],
        env=calm.environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_that_does_not_read_does_not_hold_up_sigterm_and_gets_whole_lines(unread):
    until(PipeStandsStill(unread), 30, "the pipe to fill")
    began = time.monotonic()
    unread.send_signal(signal.SIGTERM)
    assert unread.wait(15) == 0
    assert time.monotonic() - began < 10
    data, _ = unread.communicate()
    assert len(data) >= 4096
    whole_lines(data)


class PipeStandsStill:
    """Whether the pipe has filled: nothing was added to it for a while, though cycles go on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._pipe = process.stdout
        self._waiting, self._since = 0, time.monotonic()

    def __call__(self) -> bool:
        answer = fcntl.ioctl(self._pipe, termios.FIONREAD, b"\0" * 4)
        waiting = int.from_bytes(answer, sys.byteorder)
        if waiting != self._waiting:
            self._waiting, self._since = waiting, time.monotonic()
        return waiting > 32_768 and time.monotonic() - self._since > 1.5


def test_a_reader_that_goes_away_ends_the_daemon_with_1_and_no_traceback(unread):
    unread.stdout.readline()
    unread.stdout.close()
    assert unread.wait(15) == 1
    errors = unread.stderr.read().decode()
    unread.stderr.close()
    assert "Traceback" not in errors
    assert "the output was closed" in errors


# The log file


@pytest.fixture
def logged(calm: SimulatorProcess, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that writes to lines.jsonl."""
    config = QUICK + '[output]\npath = "lines.jsonl"\n'
    with DaemonProcess(config, environment=calm.environment, directory=tmp_path) as running:
        until(lambda: _count(tmp_path / "lines.jsonl", "cycle.completed") >= 1, 20)
        yield running


def _count(path: Path, event: str) -> int:
    try:
        return path.read_bytes().count(b'"event":"%b"' % event.encode())
    except FileNotFoundError:
        return 0


def test_a_full_disk_tears_no_line_and_its_end_says_what_was_lost(logged, tmp_path):
    path = tmp_path / "lines.jsonl"
    before = limit(logged.process, resource.RLIMIT_FSIZE, path.stat().st_size + 1000)
    until(lambda: "cannot write" in logged.stderr, 20)
    size = path.stat().st_size
    whole_lines(path.read_bytes())
    limit(logged.process, resource.RLIMIT_FSIZE, before)
    until(lambda: _count(path, "output.recovered") == 1, 20)
    assert logged.stop() < 10
    assert path.stat().st_size > size
    assert breaches(path.read_bytes()) == []


def test_a_file_that_logrotate_moves_goes_on_under_its_name_without_losing_a_line(logged, tmp_path):
    path, moved = tmp_path / "lines.jsonl", tmp_path / "lines.jsonl.1"
    path.rename(moved)
    until(lambda: _count(path, "cycle.completed") >= 2, 20)
    assert logged.stop() < 10
    assert breaches(moved.read_bytes() + path.read_bytes()) == []


@pytest.mark.slow
def test_a_directory_that_vanishes_and_comes_back_costs_no_line(calm, tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    config = QUICK + '[output]\npath = "logs/lines.jsonl"\n'
    with DaemonProcess(config, environment=calm.environment, directory=tmp_path) as running:
        path = directory / "lines.jsonl"
        until(lambda: _count(path, "cycle.completed") >= 1, 20)
        directory.rename(tmp_path / "away")
        until(lambda: "cannot write" in running.stderr, 20)
        directory.mkdir()
        until(lambda: _count(path, "cycle.completed") >= 2, 20)
        assert running.stop() < 10
    assert breaches((tmp_path / "away" / "lines.jsonl").read_bytes() + path.read_bytes()) == []


# Descriptors, sleep, names


def test_without_a_descriptor_for_a_connection_cycles_fail_by_name_and_the_daemon_lives_on(daemon, calm):
    before = limit(daemon.process, resource.RLIMIT_NOFILE, 3)
    calm.set_faults(reset=1.0)
    daemon.await_event("api.lost")
    failed = daemon.events("batch.failed")  # of the cycle that lost the API; the next ones name none
    assert any("Too many open files" in each["reason"] or "reset" in each["reason"] for each in failed)
    until(lambda: [each["outcome"] for each in daemon.events("cycle.completed")][-3:] == ["failed"] * 3, 20)
    assert daemon.events("batch.failed") == failed
    limit(daemon.process, resource.RLIMIT_NOFILE, before)
    calm.set_faults(reset=0.0)
    daemon.await_event("api.recovered")
    assert daemon.stop() < 10
    assert daemon.check() == []
    assert len(daemon.events("api.lost")) == 1


def test_a_process_that_was_stopped_wakes_to_one_line_for_what_it_missed_and_no_burst(daemon):
    daemon.await_event("cycle.completed", 2)
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(3.2)  # the sleep is what is tested: six intervals
    woke = time.monotonic()
    daemon.process.send_signal(signal.SIGCONT)
    daemon.await_event("cycle.skipped")
    count = len(daemon.events("cycle.completed"))
    daemon.await_event("cycle.completed", count + 4)
    assert time.monotonic() - woke > 1.0, "cycles on the grid, not in a burst"
    daemon.stop()
    stalled = [line for line in daemon.events("cycle.skipped") if line["reason"] == "stalled"]
    assert len(stalled) == 1
    assert 4 <= stalled[0]["ticks"] <= 8
    assert daemon.check() == []


def test_a_name_that_does_not_resolve_is_an_outage_not_a_start_failure(tmp_path):
    environment = {
        **clean_environment(tmp_path),
        "GENESYS_API_URL": "https://api.no-such-host.invalid",
        "GENESYS_CLIENT_ID": "some-client",
        "GENESYS_CLIENT_SECRET": "some-secret",
    }
    ids = '[queues]\nids = ["00000000-0000-4000-8000-00000000000a"]\n[poll]\ninterval = 1\n'
    with DaemonProcess(ids, environment=environment, directory=tmp_path) as daemon:
        lost = daemon.await_event("api.lost")
        daemon.await_event("cycle.completed", 2)
        assert daemon.stop() < 10
    assert "does not resolve" in lost["reason"]
    assert {line["failed"] for line in daemon.events("cycle.completed")} == {1}
    assert daemon.check() == []
    assert daemon.process.returncode == 0


# Kill and return


def test_the_api_killed_and_back_is_one_loss_one_recovery_and_a_good_cycle_within_one_interval(tmp_path):
    home = tmp_path / "simulator"
    home.mkdir()
    options = ("--queues", "45", "--seed", "9", "--rate-limit", "0")
    config = "[poll]\ninterval = 1\n[queues]\nrefresh = 3600\n"
    with (
        SimulatorProcess(*options, home=home) as simulator,
        DaemonProcess(config, environment=simulator.environment, directory=tmp_path) as daemon,
    ):
        daemon.await_event("cycle.completed", 2)
        simulator.kill()
        daemon.await_event("api.lost")
        until(lambda: len([c for c in daemon.events("cycle.completed") if c["outcome"] == "failed"]) >= 2, 20)
        simulator.start()
        back = time.monotonic()
        daemon.await_event("api.recovered")
        at = daemon.arrived[
            next(i for i, line in enumerate(daemon.lines) if line["event"] == "api.recovered")
        ]
        took = at - back
        print(f"good cycle {took:.2f} s after the return")
        daemon.await_event("cycle.completed", len(daemon.events("cycle.completed")) + 2)
        assert daemon.stop() < 1.0
    assert took <= 1.0 + 0.5, "one interval, and the cycle itself"
    assert len(daemon.events("api.lost")) == len(daemon.events("api.recovered")) == 1
    assert daemon.events("cycle.completed")[-1]["outcome"] == "ok"
    assert daemon.check() == []
