"""SIGTERM: under a second when idle or paused, under ten when hung in any place where a request can hang."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import DaemonProcess, clean_environment, until
from support.raw import RawServer
from support.simulators import access, access_to, busy

ID = "00000000-0000-4000-8000-00000000000a"
CONFIG = f'[genesys]\ntimeout = 60\n[queues]\nids = ["{ID}"]\n[poll]\ninterval = 15\n'


@contextlib.contextmanager
def daemon(url: str, directory: Path, config: str = CONFIG, **environment: str) -> Iterator[DaemonProcess]:
    environment = {**clean_environment(directory), **access(url), **environment}
    with DaemonProcess(config, environment=environment, directory=directory) as running:
        yield running


@pytest.mark.parametrize(
    ("interval", "pause", "event"),
    [
        pytest.param(3600, None, "cycle.completed", id="idle between two cycles"),
        pytest.param(15, 3600.0, "cycle.completed", id="in a pause of an hour"),
        pytest.param(
            60, 40.0, "rate_limit.paused", id="in a pause that a cycle waits out", marks=pytest.mark.slow
        ),
    ],
)
def test_idle_or_paused(tmp_path, interval, pause, event):
    with busy() as simulator:
        if pause:
            simulator.set_faults(status={429: 1.0}, status_retry_after=pause, only=("query",))
        config = f"[poll]\ninterval = {interval}\n"
        with daemon(simulator.url, tmp_path, config, **access_to(simulator)) as running:
            ended = running.await_event(event)
            assert running.stop() < 1.0
        ended_well(running)
        assert ended.get("deferred", 0) == (5 if pause and event == "cycle.completed" else 0)


def hang(connection: socket.socket) -> bool:
    connection.settimeout(60)
    connection.recv(1)
    return False


def test_while_the_api_accepts_and_never_answers(tmp_path):
    with RawServer(hang) as server, daemon(server.url, tmp_path) as running:
        until(lambda: len(server.requests) >= 1, 20)
        assert running.stop() < 10
    ended_well(running)
    assert running.events("cycle.completed")[0]["deferred"] == 1


def test_while_the_login_never_answers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        with daemon(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path) as running:
            connection, _ = silent.accept()
            with connection:
                assert running.stop() < 10
    ended_well(running)


def test_while_the_api_drips_a_byte_now_and_then(tmp_path):
    def drip(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)

    with RawServer(drip) as server, daemon(server.url, tmp_path) as running:
        until(lambda: len(server.requests) >= 1, 20)
        assert running.stop() < 10
    ended_well(running)


@contextlib.contextmanager
def full_house() -> Iterator[str]:
    """A listener whose queue is full: the kernel answers no further SYN, so connect() hangs."""
    with socket.socket() as listener, contextlib.ExitStack() as guests:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(8):
            guest = guests.enter_context(socket.socket())
            guest.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                guest.connect(address)
        yield f"http://127.0.0.1:{address[1]}"


SLOW_NAMES = """
import socket, time
def getaddrinfo(*_, **__):
    open("asked", "w").close()
    time.sleep(60)
socket.getaddrinfo = getaddrinfo
"""


def test_while_connect_hangs(tmp_path):
    with full_house() as url, daemon(url, tmp_path) as running:
        until(lambda: _connecting(int(url.rpartition(":")[2]), running.process.pid), 20)
        assert running.stop() < 10
    ended_well(running)


def _connecting(port: int, pid: int) -> bool:
    """Whether a socket of the daemon waits for its SYN to be answered (state 02 in /proc/net/tcp)."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(f":{port:04X}") and fields[3] == "02" and fields[9] in inodes:
            return True
    return False


@pytest.mark.slow
def test_while_the_name_server_is_silent(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SLOW_NAMES)
    with daemon("https://api.example.invalid", tmp_path, PYTHONPATH=str(tmp_path)) as running:
        until((tmp_path / "asked").exists, 20)
        assert running.stop() < 10
    ended_well(running)


SLOW_THE_SECOND_TIME = """
import socket, time
real, asked = socket.getaddrinfo, []
def getaddrinfo(host, *rest, **options):
    if host == "localhost":
        asked.append(host)
        if len(asked) > 1:
            open("asked", "w").close()
            time.sleep(60)
    return real(host, *rest, **options)
socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.slow
def test_while_a_cycle_waits_for_the_name_server(tmp_path):
    """Login and listing are answered, then nobody resolves the API's name. The cycle still gives its account."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_THE_SECOND_TIME)
    with RawServer(hang) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        extra = {"GENESYS_LOGIN_URL": server.url, "PYTHONPATH": str(tmp_path)}
        config = CONFIG.replace("[poll]", "[poll]\nconcurrency = 16")
        with daemon(url, tmp_path, config, **extra) as running:
            until((tmp_path / "asked").exists, 20)
            assert running.stop() < 10
    ended_well(running)
    assert running.events("cycle.completed")[0]["deferred"] == 1


def ended_well(running: DaemonProcess) -> None:
    """Exit 0, the reason said, the law held."""
    assert running.process.returncode == 0, running.stderr
    assert running.events("daemon.stopped")[0]["reason"] == "SIGTERM"
    assert running.check() == []
    assert "Traceback" not in running.stderr
