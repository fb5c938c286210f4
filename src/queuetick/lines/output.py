"""Where lines go: stdout (pipe, socket, terminal, redirected file) or a log file that rotates.

Lines leave whole. On pipes a write is at most PIPE_BUF bytes, which the kernel writes all or not at all; in
files what a full disk cut off is taken back. A reader that does not read costs the daemon one thread for
`PATIENCE` seconds once; later flushes only look whether it reads again.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from queuetick.lines.buffering import PENDING_LIMIT, BufferedOutput, Recovery, warn

PIPE_BUF = 4096
"""Bytes that Linux writes to a pipe all or not at all (pipe(7)); every line is shorter."""
PATIENCE = 1.0
"""Seconds that one flush waits for a reader that has stopped reading."""
TAIL = 64 * 1024
"""Bytes at the end of a log file that are searched for the start of a torn line."""

_READER_GONE = {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN}


class Output(Protocol):
    """What the emitter needs from a destination; see `BufferedOutput`."""

    on_closed: Callable[[], None] | None

    @property
    def closed(self) -> bool: ...
    def append(self, *lines: bytes, expendable: bool = False) -> None: ...
    def flush(self) -> None: ...
    def drain(self, timeout: float | None) -> bool: ...
    def close(self, timeout: float | None) -> bool: ...
    def reopen(self) -> None: ...
    def hand_over(self, successor: BufferedOutput, timeout: float | None) -> None: ...
    def recovery(self) -> Recovery | None: ...


class PipeOutput(BufferedOutput):
    """An open descriptor that belongs to somebody else: stdout as pipe, socket, terminal or redirected file.

    O_NONBLOCK is never set: it would hold for every process that shares the description. The descriptor is
    asked with poll(2) before each write instead. It is not closed at the end.
    """

    def __init__(
        self,
        fd: int = 1,
        *,
        name: str = "stdout",
        limit: int = PENDING_LIMIT,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        warn: Callable[[str], None] = warn,
    ) -> None:
        super().__init__(name, limit=limit, clock=clock, warn=warn)
        self._fd = fd
        self._patience = patience
        self._stalled = False
        self._rest = b""  # of a group that was written in part: never on pipes
        self._poll = select.poll()
        try:
            self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except OSError:
            self.closed = True
            return
        self._poll.register(fd, select.POLLOUT)

    def _write(self, lines: Sequence[bytes]) -> int:
        if self._regular:
            done, error = append_whole(self._fd, lines)
        else:
            done, error = self._write_groups(lines)
        if error is None:
            return done
        if error.errno in _READER_GONE or (error.errno == errno.EIO and not self._regular):
            self._reader_gone()
        elif not isinstance(error, BlockingIOError):  # that: somebody else made the description non-blocking
            self._begin_trouble(error)
        return done

    def _write_groups(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write groups of whole lines of at most PIPE_BUF bytes for as long as there is room."""
        done = 0
        try:
            while self._rest and self._writable():
                self._rest = self._rest[os.write(self._fd, self._rest) :]
            while done < len(lines) and not self._rest and self._writable():
                size = len(lines[done])
                end = done + 1
                while end < len(lines) and size + len(lines[end]) <= PIPE_BUF:
                    size += len(lines[end])
                    end += 1
                count = os.write(self._fd, b"".join(lines[done:end]))
                done = end if count == size else done + self._cut(lines[done:end], count)
        except OSError as error:
            return done, error
        return done, None

    def _cut(self, lines: Sequence[bytes], count: int) -> int:
        """After a short write (terminals): how many lines are done with. The rest of a torn one is written next."""
        done = 0
        while count >= len(lines[done]):
            count -= len(lines[done])
            done += 1
        self._rest = lines[done][count:] if count else b""
        return done + bool(count)

    def _writable(self) -> bool:
        """Wait for room: for the patience of a flush, or for as long as a drain may take."""
        wait_from = self._clock()
        while True:
            now = self._clock()
            if self._draining:
                left = None if self._deadline is None else self._deadline - now
            else:
                left = 0.0 if self._stalled else wait_from + self._patience - now
            step = 250 if left is None else min(250, max(0, int(left * 1000)))
            if self._poll.poll(step):
                self._stalled = False
                return True
            if left is not None and left <= step / 1000:
                self._stalled = True
                return False


class FileOutput(BufferedOutput):
    """A log file, opened for appending, mode 0640, and opened anew when it was moved or removed.

    The constructor raises OSError when the file cannot be opened; later the same error is a trouble: lines
    wait, and each flush tries again. Nothing is fsynced: see docs/output.md.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        limit: int = PENDING_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        warn: Callable[[str], None] = warn,
    ) -> None:
        super().__init__(os.fspath(path), limit=limit, clock=clock, warn=warn)
        self._path = Path(path)
        self._reopen = False
        self._fd = -1
        self._open()

    def reopen(self) -> None:
        self._reopen = True

    def close(self, timeout: float | None) -> bool:
        complete = super().close(timeout)
        if self._writing.acquire(timeout=0.1):  # not when a thread hangs in a write
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            self._writing.release()
        return complete

    def _open(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            removed = mend_tail(fd)
        except OSError:
            os.close(fd)
            raise
        if removed:
            self._warn(f"{self.name}: removed {removed} bytes of a line that a crash had torn")
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._status = fd, os.fstat(fd)
        self._reopen = False

    def _follow(self) -> None:
        """Open the file anew if it is no longer the one at the path."""
        if self._fd >= 0 and not self._reopen:
            with suppress(FileNotFoundError):
                if os.path.samestat(self._path.stat(), self._status):
                    return
        self._open()

    def _write(self, lines: Sequence[bytes]) -> int:
        try:
            self._follow()
        except OSError as error:
            self._begin_trouble(error)
            return 0
        done, trouble = append_whole(self._fd, lines)
        if trouble is not None:
            self._begin_trouble(trouble)
        return done


def append_whole(fd: int, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
    """Write `lines` to a regular file; return how many of them are there, whole, and what stopped it."""
    content = b"".join(lines)
    count = 0
    try:
        while count < len(content):
            count += os.write(fd, memoryview(content)[count:])
    except OSError as error:
        return take_back(fd, lines, count), error
    return len(lines), None


def take_back(fd: int, lines: Sequence[bytes], count: int) -> int:
    """After only `count` bytes of `lines` got into a file: remove the torn line at its end, say how many
    whole ones stay.

    Nothing is removed when another process has written since: our position is then no longer the file's end.
    """
    done = 0
    while done < len(lines) and count >= len(lines[done]):
        count -= len(lines[done])
        done += 1
    if count:
        with suppress(OSError):
            end = os.lseek(fd, 0, os.SEEK_CUR)
            if os.fstat(fd).st_size == end:
                os.ftruncate(fd, end - count)
                os.lseek(fd, end - count, os.SEEK_SET)
    return done


def mend_tail(fd: int) -> int:
    """Repair a file whose last line has no newline, left by a crash; return how many bytes were removed.

    The start of one of our lines is removed. Anything else (a line that lacks only its newline, text that is
    not ours) gets a newline, so that the next line stands alone.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return 0
    start = max(0, status.st_size - TAIL)
    tail = os.pread(fd, TAIL, start)
    if tail.endswith(b"\n"):
        return 0
    head, newline, fragment = tail.rpartition(b"\n")
    found_start = bool(newline) or start == 0
    if found_start and fragment.startswith(b'{"') and not _is_json(fragment):
        os.ftruncate(fd, start + len(head) + len(newline))
        return len(fragment)
    os.write(fd, b"\n")
    return 0


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def open_output(path: str) -> BufferedOutput:
    """The output of `output.path`: "-" is stdout; a device or a named pipe is written like stdout.

    Raises OSError when the file cannot be opened.
    """
    if path == "-":
        return PipeOutput(1)
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return PipeOutput(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC), name=path)
    return FileOutput(path)


def stdout_is_journal(environ: Mapping[str, str], fd: int = 1) -> bool:
    """Whether `fd` is the very socket that systemd connected to the journal (systemd.exec(5),
    $JOURNAL_STREAM).
    """
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(fd)
        return (int(device), int(inode)) == (status.st_dev, status.st_ino)
    except (OSError, ValueError):
        return False
