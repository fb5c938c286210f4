"""sd_notify(3): tell systemd how the service is. Without NOTIFY_SOCKET everything here does nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping

from queuetick.lines.redaction import shorten

LONGEST_STATUS = 500

Notify = Callable[[str], None]


def notifier(environ: Mapping[str, str], mask: Callable[[str], str] = str) -> Notify:
    """A function that sends one state, such as READY=1; for path sockets and abstract ones ("@...").

    The text of STATUS passes `mask`, and is then one line of at most LONGEST_STATUS characters: a line of its own
    would be a state of its own.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return lambda _: None
    if address.startswith("@"):
        address = "\0" + address[1:]

    def notify(state: str) -> None:
        head, found, status = state.partition("STATUS=")
        if found:
            state = head + found + shorten(" ".join(mask(status).split()), LONGEST_STATUS)
        # A state that does not arrive is no reason to stop polling.
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
                datagrams.settimeout(1.0)
                datagrams.sendto(state.encode(errors="backslashreplace"), address)
        except OSError:
            pass

    return notify


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two WATCHDOG=1, half of what systemd allows; None when it does not watch this process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(microseconds) / 2_000_000 or None


def reloading() -> str:
    """The state that begins a reload; systemd compares its time with the system's monotonic clock."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
