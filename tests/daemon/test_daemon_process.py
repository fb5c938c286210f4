"""Signals, terminals, reloads and STATUS of a real process."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from queuetick.daemon.signals import name_of
from queuetick.simulator import Simulator
from support.processes import QUEUETICK, DaemonProcess, clean_environment, until
from support.raw import RawServer, http, observations, say
from support.simulators import access, access_to, busy

QUICK = "[poll]\ninterval = 1\n"
ID = "00000000-0000-4000-8000-00000000000a"


def credentials(simulator: Simulator, directory: Path) -> dict[str, str]:
    return {**clean_environment(directory), **access_to(simulator)}


@contextlib.contextmanager
def running(
    directory: Path, *, queues: int = 5, config: str = QUICK, **faults
) -> Iterator[tuple[Simulator, DaemonProcess]]:
    with busy(queues) as simulator:
        simulator.set_faults(**faults)
        environment = credentials(simulator, directory)
        with DaemonProcess(config, environment=environment, directory=directory) as daemon:
            yield simulator, daemon


@pytest.mark.parametrize(
    "number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPWR, signal.SIGRTMIN + 3]
)
def test_a_signal_without_a_meaning_is_named_in_a_line_and_ends_nothing(tmp_path, number):
    with running(tmp_path) as (_, daemon):
        daemon.await_event("cycle.completed")
        daemon.process.send_signal(number)
        message = daemon.await_event("log.message")
        assert f"{name_of(number)} is ignored" in message["message"]
        daemon.await_event("cycle.completed", 3)
        daemon.stop()
    assert daemon.process.returncode == 0


def test_with_a_controlling_terminal_a_hangup_ends_the_process(tmp_path):
    """The lines go to a file, so that nothing but SIGHUP tells of the terminal."""
    with busy() as simulator:
        environment = credentials(simulator, tmp_path)
        (tmp_path / "config.toml").write_text(QUICK)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(tmp_path)
            lines = os.open("lines.jsonl", os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(lines, 1)
            os.execve(QUEUETICK[0], [*QUEUETICK, "run"], environment)  # noqa: S606
        lines = tmp_path / "lines.jsonl"
        until(lambda: lines.exists() and b"cycle.completed" in lines.read_bytes(), 20)
        os.close(terminal)
        until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 15)
    last = json.loads(lines.read_bytes().splitlines()[-1])
    assert (last["event"], last["reason"]) == ("daemon.stopped", "SIGHUP")


def test_a_configuration_that_blocks_keeps_no_signal_from_ending_the_process(tmp_path):
    program = (
        "import signal, sys, time\n"
        "from queuetick.daemon import signals\n"
        "signals.hold()\n"
        "print('held', flush=True)\n"
        "signals.interruptible(lambda: time.sleep(60))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_signal_that_comes_while_files_are_read_stays_pending(tmp_path):
    """However short the work is, and whatever moment of it the signal meets."""
    program = (
        "import os, random, signal, threading, time\n"
        "from queuetick.daemon import signals\n"
        "signals.hold()\n"
        "for _ in range(300):\n"
        "    kill = lambda: (time.sleep(random.random() / 1000), os.kill(os.getpid(), signal.SIGTERM))\n"
        "    killer = threading.Thread(target=kill)\n"
        "    killer.start()\n"
        "    signals.interruptible(lambda: time.sleep(random.random() / 2000))\n"
        "    killer.join()\n"
        "    signals.interruptible(lambda: None)\n"
        "    assert signal.sigtimedwait([signal.SIGTERM], 0), 'lost'\n"
        "    assert not signal.sigpending(), 'one too many'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_hangup_before_the_login_is_answered_tells_systemd_nothing(tmp_path):
    """READY would end the start, which credentials that are refused must fail."""
    with busy() as simulator, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        environment = credentials(simulator, tmp_path)
        environment |= {"GENESYS_CLIENT_SECRET": "wrong", "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with DaemonProcess(QUICK, environment=environment, directory=tmp_path) as daemon:
            until(lambda: simulator.requests, 20)
            daemon.process.send_signal(signal.SIGHUP)
            assert daemon.process.wait(20) == 77
        assert systemd.recv(65536).startswith(b"STOPPING=1\n")


def test_once_ends_with_its_cycle(tmp_path):
    with busy() as simulator:
        process = subprocess.Popen(
            [*QUEUETICK, "once"], env=credentials(simulator, tmp_path), cwd=tmp_path, stdout=subprocess.PIPE
        )
        for line in process.stdout:
            if b'"event":"daemon.stopped"' in line:
                break
        stopped = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - stopped < 0.4
        process.stdout.close()


# Reload


def test_a_reload_that_changes_no_connection_logs_in_no_second_time_and_keeps_the_session(tmp_path):
    with running(tmp_path) as (_, daemon):
        daemon.await_event("cycle.completed")
        (tmp_path / "config.toml").write_text('[poll]\ninterval = 0.5\n[output]\nsnapshots = "changed"\n')
        daemon.process.send_signal(signal.SIGHUP)
        reloaded = daemon.await_event("config.reloaded")
        assert set(reloaded["changed"]) == {"poll.interval", "output.snapshots"}
        cycles = len(daemon.events("cycle.completed"))
        daemon.await_event("cycle.completed", cycles + 3)
        daemon.stop()
    assert len(daemon.events("token.renewed")) == 1
    assert len(daemon.events("queues.refreshed")) == 1
    assert daemon.check() == []


def test_reloads_during_a_listing_leave_no_thread_and_no_descriptor(tmp_path):
    """Each reload changes the timeout, and so makes a session; the listing of the one before is cut off."""
    config = "[genesys]\ntimeout = {}\n[queues]\nrefresh = 1\n[poll]\ninterval = 1\n"
    with running(tmp_path, config=config.format(20)) as (simulator, daemon):
        daemon.await_event("cycle.completed", 2)
        process = Path("/proc") / str(daemon.process.pid)
        counts = []
        simulator.set_faults(rules=[{"route": "listing", "fault": "hang"}])
        for number in range(12):
            time.sleep(0.3)  # a refresh begins every second
            (tmp_path / "config.toml").write_text(config.format(30 + number))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.await_event("config.reloaded", number + 1)
            counts.append((len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))))
        assert daemon.stop() < 10
    threads, descriptors = zip(*counts, strict=True)
    assert max(threads[6:]) <= max(threads[:6]) + 2
    assert max(descriptors[6:]) <= max(descriptors[:6]) + 4


def test_another_selection_is_listed_before_it_comes_in_force(tmp_path):
    with running(tmp_path, queues=9) as (simulator, daemon):
        daemon.await_event("cycle.completed", 2)
        wanted = simulator.queue_ids[0]
        (tmp_path / "config.toml").write_text(f'{QUICK}[queues]\nids = ["{wanted}"]\n')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.await_event("config.reloaded")
        cycles = len(daemon.events("cycle.completed"))
        daemon.await_event("cycle.completed", cycles + 2)
        daemon.stop()
    assert {cycle["outcome"] for cycle in daemon.events("cycle.completed")} == {"ok"}
    assert daemon.events("cycle.completed")[-1]["queues"] == 1


# What systemd hears


def test_status_in_an_outage_says_since_when_why_and_the_last_good_cycle(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, busy(7) as simulator:
        systemd.bind(str(path))
        systemd.settimeout(20)
        environment = {**credentials(simulator, tmp_path), "NOTIFY_SOCKET": str(path)}
        with DaemonProcess(QUICK, environment=environment, directory=tmp_path) as daemon:
            status = await_status(systemd, lambda text: "cycle 2: 7/7 queues" in text)
            assert "/300 requests, waiting" in status
            simulator.set_faults(status={500: 1.0})
            status = await_status(systemd, lambda text: "API lost since 20" in text)
            assert "last good cycle" in status and "7 queues" in status
            simulator.set_faults(status={})
            await_status(systemd, lambda text: "7/7 queues" in text)
            daemon.stop()
    assert len(daemon.events("api.lost")) == 1


def await_status(systemd: socket.socket, wanted) -> str:
    while True:
        state = systemd.recv(4096).decode()
        if "STATUS=" in state and wanted(state):
            return state


# Starts


FORBIDDEN = http(
    b'{"message":"no","code":"missing.division.permission","status":403,"contextId":"c"}',
    status="403 Forbidden",
)
GENERAL = http(
    b'{"message":"no","code":"missing.any.permissions","status":403,"contextId":"c"}', status="403 Forbidden"
)
PAGE = http(b"<html>Forbidden</html>", status="403 Forbidden")


def start(url: str, directory: Path) -> DaemonProcess:
    environment = {**clean_environment(directory), **access(url)}
    config = f'[queues]\nids = ["{ID}"]\nnames = []\n{QUICK}'
    return DaemonProcess(config, environment=environment, directory=directory)


@pytest.mark.parametrize("answer", [FORBIDDEN, PAGE], ids=["a forbidden queue", "a page"])
def test_a_403_that_is_no_general_refusal_ends_no_start(tmp_path, answer):
    with RawServer(say(answer)) as server, start(server.url, tmp_path) as daemon:
        daemon.await_event("cycle.completed", 3)
        daemon.stop()
    assert daemon.process.returncode == 0


def test_a_general_refusal_that_is_confirmed_ends_the_start_with_77(tmp_path):
    with RawServer(say(GENERAL)) as server, start(server.url, tmp_path) as daemon:
        assert daemon.process.wait(20) == 77
    assert daemon.process.returncode == 77


def test_one_general_refusal_alone_ends_no_start(tmp_path):
    answers = [GENERAL]

    def once_refused(connection: socket.socket) -> bool:
        connection.sendall(answers.pop() if answers else http(observations(ID)))
        return False

    with RawServer(once_refused) as server, start(server.url, tmp_path) as daemon:
        until(lambda: any(each["outcome"] == "ok" for each in daemon.events("cycle.completed")), 20)
        daemon.stop()
    assert daemon.process.returncode == 0


@pytest.mark.slow
def test_a_listing_that_no_cycle_has_time_for_is_read_soon_by_a_refresh(tmp_path):
    """32 pages of half a second: neither the start, which has 10 s, nor a cycle reads them all."""
    config = QUICK + "[queues]\nrefresh = 3600\n"
    with running(tmp_path, queues=64, config=config, listing_page_cap=2, latency=0.5) as (_, daemon):
        assert "not read to its end" in daemon.await_event("queues.refresh_failed")["reason"]
        assert 64 == daemon.await_event("queues.refreshed", seconds=40)["total"]
        until(lambda: daemon.events("cycle.completed")[-1]["queues"] == 64, 10)
