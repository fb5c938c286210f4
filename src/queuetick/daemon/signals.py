"""The signals of a run: blocked everywhere, received by one thread, read by the main thread as numbers."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from queuetick.background import begin
from queuetick.clock import monotonic

MEANINGLESS = (
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF),
    *(signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT),
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
"""Signals that mean nothing here, and whose default would kill the process without a word."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, *MEANINGLESS)

WAKE = signal.SIGUSR2
"""What ends the listening thread: a signal whose loss costs nothing."""

FINISH = 2.0
"""Seconds that work has left when a signal ends the process: enough for everything but a call that blocks."""

Result = TypeVar("Result")


def hold() -> None:
    """Let signals wait for `Signals`: while modules load, a SIGHUP would end the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def name_of(number: int) -> str:
    """SIGTERM and the like; most real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ends_on_hangup() -> bool:
    """Whether SIGHUP means that the terminal is gone: the process has one, and was not started with nohup."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def interruptible(work: Callable[[], Result]) -> Result:
    """Do `work`, which may block in a call that cannot be interrupted, while SIGTERM and SIGINT still end the process.

    Returns what `work` returns and raises what it raises. At a signal that ends the process `work` has `FINISH` seconds
    left; then this raises SystemExit(0). Other signals, and those that came while `work` ended, stay pending. Signals
    must be held.
    """
    arrived: list[int] = []
    until: float | None = None
    with Signals() as received:
        outcome = begin(work, "queuetick-prepare")
        outcome.add_done_callback(lambda _: received.wake())
        while not outcome.done():
            number = received.get(None if until is None else max(0.0, until - monotonic()))
            if number is not None:
                arrived.append(number)
            if number in (signal.SIGTERM, signal.SIGINT) or (number == signal.SIGHUP and ends_on_hangup()):
                until = until or monotonic() + FINISH
            if until is not None and monotonic() >= until and not outcome.done():
                sys.exit(0)
    for number in [*arrived, *received.rest()]:
        os.kill(os.getpid(), number)  # held, so that whoever waits next receives it
    return outcome.result()


class Signals:
    """Context manager: within it, `get` gives the signals that arrive.

    A thread waits for them without an end, because sigtimedwait cannot be trusted with one: interrupted (SIGSTOP and
    SIGCONT, a debugger) and past its time, CPython returns a siginfo that nobody filled in.
    """

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="queuetick-signals", daemon=True)
        self._before: Any = None

    def get(self, timeout: float | None) -> int | None:
        """The next signal's number; None when `timeout` seconds have passed, or when `wake` was called."""
        try:
            return self._arrived.get(timeout=timeout) or None
        except queue.Empty:
            return None

    def rest(self) -> list[int]:
        """The signals that arrived and that `get` has not given; call it after the end of the context."""
        found = []
        while not self._arrived.empty():
            if number := self._arrived.get():
                found.append(number)
        return found

    def wake(self) -> None:
        """End the wait of `get` now; safe from any thread."""
        self._arrived.put(0)

    def __enter__(self) -> Signals:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread.ident is not None and self._thread.is_alive():
            signal.pthread_kill(self._thread.ident, WAKE)
            self._thread.join(1.0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _listen(self) -> None:
        while not self._done.is_set():
            number = signal.sigwaitinfo(SIGNALS).si_signo
            if number != WAKE or not self._done.is_set():
                self._arrived.put(number)
