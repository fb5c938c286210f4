"""What lines are written to: an open descriptor (pipe, socket, terminal, redirected file) or a log file that rotates.

Lines leave whole. On pipes a write is at most PIPE_BUF bytes, which the kernel writes all or not at all; in files
what a full disk cut off is taken back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

PIPE_BUF = 4096
"""Bytes that Linux writes to a pipe all or not at all (pipe(7)); every line is shorter."""
BLOCK = 1024 * 1024
"""Bytes at the end of a log file that are read at a time in search of a torn line."""

QUIET = 0.3
"""Seconds for which a torn end must stay as it is before it is repaired: another daemon may be writing it just now.
Linux holds a writer up for 0.2 s at most where too much waits for the disk."""

STDERR_PATIENCE = 0.2
"""Seconds that a sentence waits for room on stderr."""

_READER_GONE = {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN}


class ReaderGone(Exception):
    """The reader has closed its end for good."""


def warn(sentence: str) -> None:
    """Write `sentence` to stderr: the one place left when lines cannot be written.

    Where stderr takes nothing, such as a full pipe that nobody reads, only the sentence is lost: neither polling nor
    the stop may wait for a reader.
    """
    room = select.poll()
    room.register(2, select.POLLOUT)
    if not room.poll(STDERR_PATIENCE * 1000):
        return
    with suppress(OSError, ValueError):  # stderr may be closed, or a terminal that is gone
        print(f"queuetick: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the point


class Descriptor:
    """An open descriptor. It is closed at the end only where it is `owned`.

    O_NONBLOCK is never set: it would hold for every process that shares the description. The descriptor is
    asked with poll(2) before each write instead.
    """

    def __init__(self, fd: int = 1, *, name: str = "stdout", owned: bool = False) -> None:
        self.name = name
        self._fd = fd
        self._owned = owned
        self._rest = b""  # of a group that was written in part: terminals, never pipes
        self._poll = select.poll()
        try:
            self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except OSError:
            self._fd = -1
            return
        self._poll.register(fd, select.POLLOUT)
        if self._regular and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            with suppress(OSError):  # stdout may be open for writing only, and the file be closed to us
                again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
                try:
                    repair_tail(again)
                finally:
                    os.close(again)

    @property
    def unfinished(self) -> bool:
        return bool(self._rest)

    @property
    def usable(self) -> bool:
        """Whether it is open."""
        return self._fd >= 0

    def is_at(self, path: str) -> bool:
        """Whether `path` names what is open. Raises OSError where it names nothing."""
        return os.path.samestat(Path(path).stat(), os.fstat(self._fd))

    def write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        if self._fd < 0:
            raise ReaderGone
        if self._regular:
            done, error = append_whole(self._fd, lines)
        else:
            done, error = self.write_groups(lines)
        if error is None or isinstance(
            error, BlockingIOError
        ):  # somebody else made the description non-blocking
            return done, None
        if error.errno in _READER_GONE or (error.errno == errno.EIO and not self._regular):
            raise ReaderGone
        return done, error

    def wait(self, timeout: float) -> None:
        self._poll.poll(timeout * 1000)

    def reopen(self) -> None: ...

    def close(self) -> None:
        if self._owned and self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def write_groups(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write groups of whole lines of at most PIPE_BUF bytes for as long as there is room."""
        done = 0
        try:
            while self._rest and self._poll.poll(0):
                self._rest = self._rest[os.write(self._fd, self._rest) :]
            while done < len(lines) and not self._rest and self._poll.poll(0):
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
        """After a short write: how many lines are done with. The rest of a torn one is written next."""
        done = 0
        while count >= len(lines[done]):
            count -= len(lines[done])
            done += 1
        self._rest = lines[done][count:] if count else b""
        return done + bool(count)


class NamedPipe:
    """A FIFO. While no program has it open for reading lines wait, and the next reader gets them.

    The description is this process's own, so O_NONBLOCK holds for no other. The constructor raises OSError when the
    FIFO cannot be opened for another reason than that nobody reads it.
    """

    unfinished = False

    def __init__(self, path: str, *, warn: Callable[[str], None] = warn) -> None:
        self.name = path
        self._warn = warn
        self._unread = False
        self._pipe = Descriptor(-1)
        self._open()

    def write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        done, error = 0, None
        try:
            self._open()
        except OSError as failed:
            return 0, failed
        if self._pipe.usable:
            done, error = self._pipe.write_groups(lines)
        if not self._pipe.usable or (error is not None and error.errno == errno.EPIPE):
            if not self._unread:
                self._warn(f"{self.name}: no program reads it; lines wait in memory")
            self._unread, error = True, None
        elif done:
            self._unread = False
        return done, None if isinstance(error, BlockingIOError) else error

    def wait(self, timeout: float) -> None:
        if self._unread:
            time.sleep(timeout)
        else:
            self._pipe.wait(timeout)

    def reopen(self) -> None: ...

    def close(self) -> None:
        self._pipe.close()

    def _open(self) -> None:
        """Open the FIFO where that is not done, or where another one has its name; not where nobody reads it.

        What a reader that has ended left unread stays in the pipe only while it is open here.
        """
        if self._pipe.usable and self._pipe.is_at(self.name):
            return
        self._pipe.close()
        try:
            fd = os.open(self.name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        else:
            self._pipe = Descriptor(fd, name=self.name, owned=True)
            try:
                _refuse_all_but(stat.S_IFIFO, fd)
            except OSError:
                self._pipe.close()
                raise


class LogFile:
    """A log file, opened for appending, mode 0640, and opened again when it was moved or removed.

    The constructor raises OSError when the file cannot be opened; later the same error stops a write. Nothing is
    fsynced: see docs/output.md.
    """

    unfinished = False

    def __init__(self, path: str | os.PathLike[str], *, warn: Callable[[str], None] = warn) -> None:
        self.name = os.fspath(path)
        self._path = Path(path)
        self._warn = warn
        self._reopen = False
        self._fd = -1
        self._open()

    def write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        try:
            self._follow()
        except OSError as error:
            return 0, error
        return append_whole(self._fd, lines)

    def wait(self, timeout: float) -> None: ...

    def reopen(self) -> None:
        self._reopen = True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)
        try:
            _refuse_all_but(stat.S_IFREG, fd)
            removed = repair_tail(fd)
        except OSError:
            os.close(fd)
            raise
        if removed:
            self._warn(f"{self.name}: removed {removed} bytes that a crash had left of a line")
        self.close()
        self._fd, self._status = fd, os.fstat(fd)
        self._reopen = False

    def _follow(self) -> None:
        """Open the file again if it is no longer the one at the path."""
        if self._fd >= 0 and not self._reopen:
            with suppress(FileNotFoundError):
                if os.path.samestat(self._path.stat(), self._status):
                    return
        self._open()


def _refuse_all_but(kind: int, fd: int) -> None:
    """Raise OSError where another kind of file has the name by now: lines would get lost in it."""
    if stat.S_IFMT(os.fstat(fd).st_mode) != kind:
        raise OSError(errno.ENOSTR, "it is another kind of file now")


def append_whole(fd: int, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
    """Write `lines` to a regular file; return how many of them are there, whole, and what stopped it."""
    content = b"".join(lines)
    count = 0
    try:
        while count < len(content):
            count += os.write(fd, memoryview(content)[count:])
    except OSError as error:
        return _take_back(fd, lines, count), error
    return len(lines), None


def _take_back(fd: int, lines: Sequence[bytes], count: int) -> int:
    """After only `count` bytes of `lines` got into a file: remove the torn line at its end; return how many stay.

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


def repair_tail(fd: int) -> int:
    """Repair the end of a file that a crash left; return how many bytes were removed.

    NULs at the end are removed: a file system that lost power has recorded a length whose content never reached the
    disk. The start of one of our lines is removed. Anything else that lacks a newline (a line of ours that is whole,
    text that is not ours) gets one, so that the next line is a line of its own.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return 0
    size = status.st_size
    end, fragment = _torn(fd, size)
    if end == size and not fragment:
        return 0
    time.sleep(QUIET)
    if os.fstat(fd).st_size != size:
        return 0
    if end < size:
        os.ftruncate(fd, end)
    if fragment:
        os.write(fd, b"\n")
    return size - end


def _torn(fd: int, size: int) -> tuple[int, bytes]:
    """Where the content that stays ends in a file of `size` bytes, and what of it is after the last newline."""
    end = size
    tail = b""
    while end and not tail:
        start = max(0, end - BLOCK)
        tail = os.pread(fd, end - start, start).rstrip(b"\0")
        end = start + len(tail)
    _, newline, fragment = tail.rpartition(b"\n")
    ours = fragment == b"{" or fragment.startswith(b'{"')
    if ours and (newline or end == len(tail)) and not _is_json(fragment):
        return end - len(fragment), b""
    return end, fragment


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
