"""Lines that wait to be written: a bounded buffer, who writes it, and the account of what was lost.

No thread of its own. `append` puts a line into the buffer; `flush` writes the buffer if no other thread is
writing, and otherwise returns at once, because the thread that writes takes these lines too. Nothing here may
be called from a signal handler except `reopen`, which sets a flag.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import NamedTuple

PENDING_LIMIT = 8 * 1024 * 1024
"""Bytes of lines that wait for a stuck reader or a full disk before the oldest snapshots are dropped."""
CHUNK = 1024 * 1024
"""Bytes taken from the buffer at a time."""


class Recovery(NamedTuple):
    """The end of a trouble: how long it lasted, how many lines it cost, and what it was."""

    seconds: float
    lines_dropped: int
    reason: str


def warn(sentence: str) -> None:
    """Say `sentence` on stderr: the one place left when lines cannot be written."""
    with suppress(OSError, ValueError):
        print(f"queuetick: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the point


class BufferedOutput:
    """The buffer, the flush protocol and the account of what was lost; subclasses write.

    `closed` becomes true once the reader is gone for good; `on_closed` is then called once, by the thread
    that found out, with no lock held.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: int = PENDING_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        warn: Callable[[str], None] = warn,
    ) -> None:
        self.name = name
        self.on_closed: Callable[[], None] | None = None
        self.closed = False
        self._limit = limit
        self._clock = clock
        self._warn = warn
        self._lock = Lock()  # guards the five below; held for moments, never across a system call
        self._pending: deque[tuple[bytes, bool]] = deque()
        self._pending_bytes = 0
        self._trouble: tuple[float, str] | None = None
        self._dropped = 0
        self._recoveries: deque[Recovery] = deque()
        self._writing = Lock()  # held by the one thread that writes
        self._deadline: float | None = None  # of the drain that is under way
        self._draining = False
        self._ended = False
        self._successor: BufferedOutput | None = None

    def append(self, *lines: bytes, expendable: bool = False) -> None:
        """Put lines, newlines included, into the buffer.

        Beyond the buffer's limit the oldest expendable lines are dropped and counted: a snapshot is
        superseded by the next one, while an operational event is written once.
        """
        overflow = False
        with self._lock:
            successor = self._successor
            if not self._ended and not self.closed:
                self._pending.extend([(line, expendable) for line in lines])
                self._pending_bytes += sum(map(len, lines))
                overflow = self._pending_bytes > self._limit and self._make_room()
        if successor is not None:
            successor.append(*lines, expendable=expendable)
        if overflow:
            self._warn(
                f"{self.name}: the buffer of {self._limit} bytes is full, the oldest snapshots are dropped"
            )

    def flush(self) -> None:
        """Write what is pending, unless another thread is at it: that one takes these lines too.

        The test of `_pending` after the release is what makes a lost wake-up impossible.
        """
        while self._pending and not self.closed and not self._ended and self._writing.acquire(blocking=False):
            try:
                emptied = self._write_pending()
            finally:
                self._writing.release()
            if not emptied:
                break
        self._announce_closed()

    def drain(self, timeout: float | None) -> bool:
        """Give the destination `timeout` seconds (None: for ever) to take all that is pending.

        Say whether it did.
        """
        deadline = None if timeout is None else self._clock() + timeout
        self._deadline, self._draining = deadline, True
        try:
            if self._writing.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
                try:
                    if not self.closed and not self._ended:
                        self._write_pending()
                finally:
                    self._writing.release()
        finally:
            self._draining = False
        self._announce_closed()
        return not self._pending and not self.closed

    def close(self, timeout: float | None) -> bool:
        """Drain, then take no more lines.

        What is left after `timeout` seconds is abandoned, whole lines only.
        """
        complete = self.drain(timeout)
        with self._lock:
            self._ended = True
            abandoned, unreported = len(self._pending), self._dropped
            self._pending.clear()
            self._pending_bytes = 0
        if abandoned or unreported:
            self._warn(f"{self.name}: {abandoned} lines were not written, {unreported} were dropped before")
        return complete

    def hand_over(self, successor: BufferedOutput, timeout: float | None) -> None:
        """Close, but let `successor` have what cannot be written here, and what is appended here from now on."""
        self.drain(timeout)
        with self._lock:
            self._ended = True
            left = list(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            self._successor = successor
        for line, expendable in left:
            successor.append(line, expendable=expendable)
        self.close(0)

    def reopen(self) -> None:
        """Open the file anew at the next flush (SIGHUP). Safe in a signal handler.

        Stdout has nothing to reopen.
        """

    def recovery(self) -> Recovery | None:
        """The next trouble that has ended and was not asked for yet."""
        with self._lock:
            return self._recoveries.popleft() if self._recoveries else None

    def _make_room(self) -> bool:
        """Drop the oldest expendable lines down to three quarters; say whether that began a trouble."""
        goal = self._limit * 3 // 4
        kept: deque[tuple[bytes, bool]] = deque()
        while self._pending and self._pending_bytes > goal:
            line, expendable = self._pending.popleft()
            if expendable:
                self._pending_bytes -= len(line)
                self._dropped += 1
            else:
                kept.append((line, expendable))
        self._pending.extendleft(reversed(kept))
        while self._pending_bytes > self._limit:  # nothing expendable was left
            self._pending_bytes -= len(self._pending.popleft()[0])
            self._dropped += 1
        if self._trouble is not None:
            return False
        self._trouble = (self._clock(), "the reader did not keep up")
        return True

    def _write_pending(self) -> bool:
        """Write until the buffer is empty or the destination takes no more; only with `_writing` held."""
        while lines := self._take():
            written = self._write([line for line, _ in lines])
            if written < len(lines):
                self._put_back(lines[written:])
                return False
            self._end_trouble()
        return True

    def _take(self) -> list[tuple[bytes, bool]]:
        with self._lock:
            taken: list[tuple[bytes, bool]] = []
            size = 0
            while self._pending and size < CHUNK:
                taken.append(self._pending.popleft())
                size += len(taken[-1][0])
            self._pending_bytes -= size
            return taken

    def _put_back(self, lines: list[tuple[bytes, bool]]) -> None:
        if self.closed:
            return
        if self._successor is not None:  # handed over while this thread was writing
            for line, expendable in lines:
                self._successor.append(line, expendable=expendable)
            return
        with self._lock:
            self._pending.extendleft(reversed(lines))
            self._pending_bytes += sum(len(line) for line, _ in lines)

    def _begin_trouble(self, error: OSError) -> None:
        with self._lock:
            known = self._trouble is not None
            if not known:
                self._trouble = (self._clock(), error.strerror or str(error))
        if not known:
            self._warn(f"cannot write {self.name}: {error.strerror or error}; lines wait in memory")

    def _end_trouble(self) -> None:
        with self._lock:
            if self._trouble is None or self._pending_bytes > self._limit * 3 // 4:
                return
            since, reason = self._trouble
            recovery = Recovery(round(max(self._clock() - since, 0.0), 3), self._dropped, reason)
            self._trouble, self._dropped = None, 0
            self._recoveries.append(recovery)
        self._warn(
            f"{self.name} is written again after {recovery.seconds:.1f} s ({reason}), "
            f"{recovery.lines_dropped} lines were dropped"
        )

    def _reader_gone(self) -> None:
        self.closed = True
        with self._lock:
            self._pending.clear()
            self._pending_bytes = 0

    def _announce_closed(self) -> None:
        if not self.closed:
            return
        with self._lock:
            announce, self.on_closed = self.on_closed, None
        if announce is not None:
            announce()

    def _write(self, lines: Sequence[bytes]) -> int:
        """Write `lines` and say how many of them, whole, were written."""
        raise NotImplementedError
