"""Where lines go: a bounded buffer, and the one thread that writes it to a descriptor or a file.

`append` never waits for the destination. A reader that is slow or stuck, a full disk and a hung mount cost memory up
to `PENDING_LIMIT`, then the oldest snapshots, which are counted and reported. They never cost a cycle its time.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from queuetick.lines.descriptors import Descriptor, LogFile, NamedPipe, ReaderGone, warn

PENDING_LIMIT = 8 * 1024 * 1024
"""Bytes of lines that wait for the destination before the oldest snapshots are dropped."""
CHUNK = 256 * 1024
"""Bytes taken from the buffer at a time."""
STEP = 0.25
"""Seconds that the thread waits for a full destination before it looks whether the output was closed."""
GATHER = 0.02
"""Seconds that the idle thread gathers lines after the first one: one write for several batches."""
RETRY = 0.5
"""Seconds from a write that failed (full disk, lost directory) to the next attempt."""
PRIORITIES: dict[str, bytes] = {
    "debug": b"<7>",
    "info": b"<6>",
    "warning": b"<4>",
    "error": b"<3>",
    "critical": b"<2>",
}
"""The syslog priorities that journald takes off the start of a line (sd-daemon(3))."""


class Line(NamedTuple):
    """One line with its newline. `expendable` lines are dropped first: the next cycle supersedes them."""

    content: bytes
    level: str = "info"
    expendable: bool = False


class Recovery(NamedTuple):
    """The end of an output problem: its duration, the lines lost, the reason."""

    seconds: float
    lines_dropped: int
    reason: str


class Destination(Protocol):
    """What the thread writes to."""

    name: str

    @property
    def unfinished(self) -> bool:
        """Whether a line was written in part; `write` goes on with it."""

    def write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write while there is room. Return how many lines are done, and what stopped it. Raises ReaderGone."""

    def wait(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for room."""

    def reopen(self) -> None:
        """Open the file again before the next write; safe in a signal handler."""

    def close(self) -> None:
        """Release what the destination owns."""


class Output:
    """The buffer, its writer thread, and the account of what was lost. Safe to use from several threads.

    With `journal` each line starts with its syslog priority. `closed` is true once the reader is gone for good;
    lines are then thrown away. `dropped` counts the lines lost to a full buffer since the start.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        journal: bool = False,
        limit: int = PENDING_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        warn: Callable[[str], None] = warn,
    ) -> None:
        self.name = destination.name
        self.closed = False
        self.dropped = 0
        self.on_recovery: Callable[[Recovery], None] | None = None
        self._destination = destination
        self._journal = journal
        self._limit = limit
        self._clock = clock
        self._warn = warn
        self._changed = threading.Condition()  # guards all below; never held during a system call
        self._pending: deque[Line] = deque()
        self._pending_bytes = 0
        self._writing: list[Line] = []
        self._moved_at = clock()  # when the destination last took a line, or had taken all
        self._behind_since = (
            self._moved_at
        )  # since when the buffer was not empty, or lost lines were reported
        self._trouble: tuple[float, str] | None = None
        self._dropped_in_trouble = 0
        self._errors = 0
        self._hurry = False
        self._reporting = False  # `on_recovery` is about to append a line
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"queuetick-output {self.name}", daemon=True)
        # The thread must not receive the process's signals, which others wait for.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def append(self, lines: Sequence[Line]) -> bool:
        """Put lines into the buffer; return False, and take none, once the output has ended."""
        overflow = False
        with self._changed:
            if self._ended or self.closed:
                return self.closed
            if not self._backlog():
                self._moved_at = self._behind_since = self._clock()
            first = not self._pending
            self._pending.extend(lines)
            self._pending_bytes += sum([len(line.content) for line in lines])
            if self._pending_bytes > self._limit:
                overflow = self._make_room()
            if first or self._pending_bytes >= CHUNK:
                self._changed.notify_all()
        if overflow:
            self._warn(
                f"{self.name}: the buffer of {self._limit} bytes is full, the oldest snapshots are dropped"
            )
        return True

    @property
    def stuck_seconds(self) -> float:
        """Seconds for which lines have waited and the destination has taken none; 0 where none wait."""
        with self._changed:
            return max(self._clock() - self._moved_at, 0.0) if self._backlog() else 0.0

    def drain(self, timeout: float | None) -> bool:
        """Wait up to `timeout` seconds (None: without limit) until all is written; return whether it is.

        A write that fails ends the wait.
        """
        with self._changed:
            errors = self._errors
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self.closed or self._ended or not self._backlog() or self._errors > errors, timeout
            )
            return not self._backlog() and not self.closed

    def close(self, timeout: float | None) -> list[Line]:
        """Drain, then take no more lines and return those that were not written."""
        self.drain(timeout)
        with self._changed:
            self._ended = True
            left = [*self._writing, *self._pending]
            self._pending.clear()
            self._pending_bytes = 0
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * STEP)  # not for ever: it may hang in a write
        return left

    def hand_over(self, timeout: float | None) -> list[Line]:
        """Close, for another output to go on: what this one dropped is reported through `on_recovery`."""
        left = self.close(timeout)
        with self._changed:
            recovery = self._end_trouble()
        if recovery is not None and recovery.lines_dropped and self.on_recovery is not None:
            self.on_recovery(recovery)
        return left

    def end(self, timeout: float | None) -> bool:
        """Close, report on stderr what was not written, and return whether no line was lost."""
        left = len(self.close(timeout))
        if left or self._dropped_in_trouble:
            self._warn(
                f"{self.name}: {left} lines were not written, {self._dropped_in_trouble} were dropped before"
            )
        return not (left or self.dropped or self.closed)

    def reopen(self) -> None:
        """Open the file again at the next write (SIGHUP). Stdout has nothing to reopen."""
        self._destination.reopen()

    def _backlog(self) -> bool:
        return bool(self._pending or self._writing or self._reporting or self._destination.unfinished)

    def _make_room(self) -> bool:
        """Drop the oldest expendable lines down to half the limit, then others down to the limit.

        Return whether that is a new problem.
        """
        kept: deque[Line] = deque()
        before = len(self._pending)
        while self._pending and self._pending_bytes > self._limit // 2:
            line = self._pending.popleft()
            if line.expendable:
                self._pending_bytes -= len(line.content)
            else:
                kept.append(line)
        self._pending.extendleft(reversed(kept))
        while self._pending_bytes > self._limit:
            self._pending_bytes -= len(self._pending.popleft().content)
        self.dropped += before - len(self._pending)
        self._dropped_in_trouble += before - len(self._pending)
        if self._trouble is not None:
            return False
        self._trouble = (self._behind_since, "the reader did not keep up")
        return True

    # The thread

    def _run(self) -> None:
        while self._take():
            content = [
                PRIORITIES[line.level] + line.content if self._journal else line.content
                for line in self._writing
            ]
            try:
                done, error = self._destination.write(content)
            except ReaderGone:
                return self._reader_gone()
            self._account(done, error)
            if error is not None:
                with self._changed:
                    self._changed.wait_for(lambda: self._hurry or self._ended, RETRY)
            elif self._destination.unfinished or done < len(content):
                self._destination.wait(STEP)
        return self._destination.close()

    def _take(self) -> bool:
        """Wait for lines and move some into `_writing`; return False once the output has ended."""
        with self._changed:
            if not self._pending and not self._destination.unfinished:
                self._changed.wait_for(lambda: self._ended or bool(self._pending))
                self._changed.wait_for(
                    lambda: self._ended or self._hurry or self._pending_bytes >= CHUNK, GATHER
                )
            size = 0
            while self._pending and size < CHUNK and not self._ended:
                line = self._pending.popleft()
                self._writing.append(line)
                size += len(line.content)
            self._pending_bytes -= size
            return not self._ended

    def _account(self, done: int, error: OSError | None) -> None:
        """Put back what was not written, and begin or end a problem."""
        began = recovery = None
        with self._changed:
            left, self._writing = self._writing[done:], []
            self._hurry = False
            if not self._ended:
                self._pending.extendleft(reversed(left))
                self._pending_bytes += sum([len(line.content) for line in left])
            if error is not None:
                self._errors += 1
                if self._trouble is None:
                    began = error.strerror or str(error)
                    self._trouble = (self._clock(), began)
            elif done:
                recovery = self._end_trouble()
                self._reporting = recovery is not None
            if done:
                self._moved_at = self._clock()
        if began is not None:
            self._warn(f"cannot write {self.name}: {began}; lines wait in memory")
        if recovery is not None:
            self._warn(
                f"{self.name} is written again after {recovery.seconds:.1f} s ({recovery.reason}), "
                f"{recovery.lines_dropped} lines were dropped"
            )
            if self.on_recovery is not None:
                self.on_recovery(recovery)
        with self._changed:
            self._reporting = False
            self._changed.notify_all()

    def _end_trouble(self) -> Recovery | None:
        if self._trouble is None or self._pending_bytes > self._limit * 3 // 4:
            return None
        since, reason = self._trouble
        self._behind_since = now = self._clock()
        recovery = Recovery(round(max(now - since, 0.0), 3), self._dropped_in_trouble, reason)
        self._trouble, self._dropped_in_trouble = None, 0
        return recovery

    def _reader_gone(self) -> None:
        with self._changed:
            self.closed = True
            self._pending.clear()
            self._writing.clear()
            self._pending_bytes = 0
            self._changed.notify_all()
        self._destination.close()


def open_output(path: str, *, journal: bool = False) -> Output:
    """The output of `output.path`: "-" is stdout; a device is written like stdout.

    Raises OSError when the file cannot be opened.
    """
    if path == "-":
        return Output(Descriptor(1), journal=journal)
    with suppress(FileNotFoundError):
        kind = stat.S_IFMT(Path(path).stat().st_mode)
        if kind == stat.S_IFIFO:
            return Output(NamedPipe(path))
        if kind != stat.S_IFREG:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY)
            return Output(Descriptor(fd, name=path, owned=True))
    return Output(LogFile(path))


def stdout_is_journal(environ: Mapping[str, str], fd: int = 1) -> bool:
    """Whether `fd` is the very socket that systemd connected to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(fd)
        return (int(device), int(inode)) == (status.st_dev, status.st_ino)
    except (OSError, ValueError):
        return False
