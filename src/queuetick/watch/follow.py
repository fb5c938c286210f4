"""Where the bytes come from, and how they become lines."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Protocol

CHUNK = 1 << 20
MAX_LINE = 1 << 20
"""Bytes; a line of the contract stays under 4 KiB. What is longer is no line and is passed over."""
HISTORY = 64 << 20
"""Bytes read back from the end of a file: 20 cycles of 5,000 queues."""

_NO_INPUT = """\
queuetick {0}: nothing is piped in and no FILE is named. Try
  journalctl -t queuetick -f -n 2000 -o cat | queuetick {0}
  queuetick {0} /var/log/queuetick/queuetick.jsonl
"""


class LineSplitter:
    """Cuts chunks into lines, and keeps the half line at the end until its rest comes."""

    def __init__(self, *, skip_first: bool = False) -> None:
        self._rest = b""
        self._skipping = skip_first

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        if len(self._rest) > MAX_LINE:
            if not self._skipping:
                lines.append(self._rest[:64])
            self._rest, self._skipping = b"", True
        return [line for line in lines if line]

    def end(self) -> list[bytes]:
        """What stands after the last newline, once nothing more can come."""
        rest, self._rest = self._rest, b""
        skipped, self._skipping = self._skipping, False
        return [rest] if rest and not skipped else []


class Source(Protocol):
    """An input of lines that never blocks."""

    ended: bool
    """True once nothing more can come."""
    behind: bool
    """True while there may be more to read at once."""

    @property
    def descriptor(self) -> int | None:
        """To wait on; None if the input has to be asked again and again."""

    def read(self) -> list[bytes]:
        """The lines that are there now, at most a chunk's worth."""

    def close(self) -> None: ...


class Stream:
    """A pipe, a FIFO or anything else that has an end. Read only when `select` reports data."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor
        self.ended = False
        self.behind = False
        self._splitter = LineSplitter()

    def read(self) -> list[bytes]:
        if self.descriptor is None:
            return []
        chunk = os.read(self.descriptor, CHUNK)
        if chunk:
            return self._splitter.feed(chunk)
        self.close()
        return self._splitter.end()

    def close(self) -> None:
        self.ended = True
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class Tail:
    """A file and its successors: followed by name, as `tail -F` does.

    When the name belongs to another file (logrotate's `create`), the old file is read to its end first. When
    the file is shorter than what was read (`copytruncate`), it is read from its start. While the name belongs
    to no file the old one is kept.
    """

    descriptor: int | None = None
    ended = False

    def __init__(self, path: Path, *, history: int = HISTORY) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        start = max(0, os.fstat(self._file.fileno()).st_size - history)
        # One byte earlier, so that a line which begins exactly there is not taken for a half one.
        self._file.seek(max(0, start - 1))
        self._splitter = LineSplitter(skip_first=start > 0)
        self.behind = True

    def read(self) -> list[bytes]:
        chunk = self._file.read(CHUNK) or b""
        self.behind = bool(chunk)
        if chunk:
            return self._splitter.feed(chunk)
        return self._look_for_successor()

    def _look_for_successor(self) -> list[bytes]:
        mine = os.fstat(self._file.fileno())
        if self._file.tell() > mine.st_size:
            self._file.seek(0)
            self._splitter = LineSplitter()
            self.behind = True
            return []
        try:
            named = self._path.stat()
        except OSError:
            return []
        if (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino):
            return []
        # The writer may have added to the old file between the read above and its rename.
        chunk = self._file.read(CHUNK) or b""
        if chunk:
            self.behind = True
            return self._splitter.feed(chunk)
        try:
            successor = self._path.open("rb", buffering=0)
        except OSError:
            return []
        rest = self._splitter.end()
        self._file.close()
        self._file, self._splitter, self.behind = successor, LineSplitter(), True
        return rest

    def close(self) -> None:
        self._file.close()


def open_source(name: str) -> Source:
    """`-` is stdin. A pipe or a FIFO is read to its end, a file is followed.

    Raises OSError when there is nothing to read under that name.
    """
    if name == "-":
        return Stream(os.dup(0))
    path = Path(name)
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return Tail(path)
    if stat.S_ISDIR(mode):
        # Opening one succeeds; only reading it would fail.
        raise IsADirectoryError(name)
    return Stream(os.open(path, os.O_RDONLY))


def open_or_say(name: str, command: str) -> Source | int:
    """`open_source`, or the exit code after a sentence on stderr. 2: there is no such file, or no input at all."""
    if name == "-" and os.isatty(0):
        sys.stderr.write(_NO_INPUT.format(command))
        return 2
    try:
        return open_source(name)
    except FileNotFoundError:
        code, problem = 2, f"there is no file {name}"
    except IsADirectoryError:
        code, problem = 2, f"{name} is a directory; name one file of JSON lines"
    except OSError as error:
        code, problem = 1, f"cannot read {name}: {error.strerror}"
    sys.stderr.write(f"queuetick {command}: {problem}\n")
    return code
