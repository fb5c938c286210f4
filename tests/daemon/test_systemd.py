"""What sd_notify(3) and sd_watchdog_enabled(3) ask of a service."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from queuetick.daemon.systemd import notifier, reloading, watchdog_interval


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        yield receiver


def test_states_arrive_at_a_socket_with_a_path(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with listening(address) as receiver:
        notify = notifier({"NOTIFY_SOCKET": address})
        notify("READY=1\nSTATUS=zwölf")
        notify("STOPPING=1")
        assert [b"READY=1\nSTATUS=zw\xc3\xb6lf", b"STOPPING=1"] == [receiver.recv(100) for _ in range(2)]


def test_states_arrive_at_an_abstract_socket() -> None:
    name = f"queuetick-test-{os.getpid()}"
    with listening(f"\0{name}") as receiver:
        notifier({"NOTIFY_SOCKET": f"@{name}"})("READY=1")
        assert b"READY=1" == receiver.recv(100)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_without_a_socket_nothing_is_sent(environ) -> None:
    assert None is notifier(environ)("READY=1")


def test_a_state_that_nobody_hears_is_no_error(tmp_path: Path) -> None:
    notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})("READY=1")
    notifier({"NOTIFY_SOCKET": "/" + "x" * 200})("READY=1")
    notifier({"NOTIFY_SOCKET": "@queuetick-test-nobody"})("READY=1")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "42"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "43"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_within_its_time_by_the_process_that_it_watches(environ, expected) -> None:
    assert expected == watchdog_interval(environ, pid=42)


def test_reloading_carries_the_systems_monotonic_clock_in_microseconds() -> None:
    """Not CLOCK_BOOTTIME: systemd takes a time before its own signal for an answer to an earlier one."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    state, moment = reloading().split("\n")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert "RELOADING=1" == state
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= after
