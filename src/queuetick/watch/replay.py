"""A file of lines played again: as it came, or faster. `--from 02:00 --speed 10`."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

from queuetick.watch.follow import CHUNK, LineSplitter
from queuetick.watch.text import instant

_STAMP = re.compile(rb'"timestamp":\s*"([^"]+)"')
_AT_ONCE = 20_000
"""Lines that one read hands over, so that the screen is drawn and keys are taken in between."""
_END = 1 << 18
"""Bytes at the end of a file where its newest line is looked for."""


class Replay:
    """A source of lines that come when their time has come. What is older than `start` comes at once."""

    descriptor: int | None = None

    def __init__(
        self,
        path: Path,
        *,
        speed: float,
        monotonic: Callable[[], float],
        start: float | None = None,
        end: float | None = None,
    ) -> None:
        """`start`, `end`: seconds since 1970; None is the file's first line, and any time. Raises OSError.

        A line that says it is from after `end` comes with the one before it.
        """
        self._end = float("inf") if end is None else end
        self._file = path.open("rb", buffering=0)
        self._splitter = LineSplitter()
        self._pending: deque[tuple[float, bytes]] = deque()
        self._read_whole = False
        self._at = float("-inf")
        self._monotonic = monotonic
        self.speed = speed
        self.ended = False
        self.behind = True
        self._fill()
        self._start = start if start is not None else self._pending[0][0] if self._pending else 0.0
        self._began: float | None = None

    def clock(self) -> float:
        """The time in the replay, in seconds since 1970. It begins when all that is older than `start` is read."""
        if self._began is None:
            return self._start
        now = self._start + (self._monotonic() - self._began) * self.speed
        return min(now, self._at) if self.ended else now

    def read(self) -> list[bytes]:
        """The lines whose time has come."""
        now = self.clock()
        lines: list[bytes] = []
        while len(lines) < _AT_ONCE:
            if not self._pending and not self._fill():
                self.ended = True
                break
            if self._pending and self._pending[0][0] > now:
                break
            if self._pending:
                lines.append(self._pending.popleft()[1])
        self.behind = len(lines) >= _AT_ONCE
        if not self.behind and self._began is None:
            self._began = self._monotonic()
        return lines

    def _fill(self) -> bool:
        """Read on until a line is there; False at the end of the file."""
        while not self._pending and not self._read_whole:
            chunk = self._file.read(CHUNK) or b""
            self._read_whole = not chunk
            for line in self._splitter.feed(chunk) if chunk else self._splitter.end():
                # A line without a time of its own comes with the one before it.
                at = stamp_of(line) or self._at
                self._at = max(self._at, at if at <= self._end else self._at)
                self._pending.append((self._at, line))
        return bool(self._pending)

    def close(self) -> None:
        self._file.close()
        self.ended = True


def stamp_of(line: bytes) -> float | None:
    """The timestamp of a line, in seconds since 1970; None where it has none."""
    found = _STAMP.search(line)
    return instant(found[1].decode(errors="replace")) if found else None


def last_stamp(path: Path) -> float | None:
    """The last timestamp of a file, where one is near its end. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _END))
        stamps = [at for line in file.read().split(b"\n") if (at := stamp_of(line)) is not None]
    return stamps[-1] if stamps else None
