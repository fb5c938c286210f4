"""`queuetick tail`: one short line for each change that matters, printed as the lines come in."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TextIO

from rich.console import Console
from rich.segment import Segment

from queuetick.events.thresholds import Threshold
from queuetick.watch import styles
from queuetick.watch.changes import Changes, Entry, given
from queuetick.watch.follow import Source, open_or_say
from queuetick.watch.lines import ELSEWHERE, Reject, decode
from queuetick.watch.moments import moment
from queuetick.watch.terminal import ENDING, doorbell, wait_readable
from queuetick.watch.text import clean, clock_time

POLL_EVERY = 0.25
"""Seconds between looks at a file that has no more to read."""


class Printer:
    """Prints lines for people on `stream`; also what `run`, `once` and `demo` write to on a terminal."""

    def __init__(
        self,
        stream: TextIO,
        thresholds: Iterable[Threshold] = (),
        *,
        zone: tzinfo | None = None,
        everything: bool = False,
        errors: bool = False,
        globs: Sequence[str] = (),
        since: float = float("-inf"),
        force_terminal: bool | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`zone`: None is local time. `since`: seconds since 1970; entries before it are left out.

        `force_terminal`: colour whatever the stream is, for a picture.
        """
        console = Console(
            file=stream, force_terminal=force_terminal, color_system="truecolor" if force_terminal else "auto"
        )
        self._stream = stream
        self._colours, self._no_color = styles.color_system(console), console.no_color
        self._encoding = console.encoding
        self._changes = Changes(given(thresholds), everything=everything)
        self._zone, self._errors, self._globs, self._since = zone, errors, globs, since
        self._clock = clock
        self._orgs: set[str] = set()
        self._day = ""
        self.rejects: Counter[Reject] = Counter()
        self.entries = 0

    def append(self, lines: Iterable[bytes]) -> None:
        """Take lines in their order, and print what changed. Raises OSError where the stream takes no more."""
        self._stream.writelines(self.texts(lines))
        self._stream.flush()

    def texts(self, lines: Iterable[bytes]) -> list[str]:
        """Take lines in their order; what is to be printed of them, each text a whole line."""
        found: list[str] = []
        now = self._clock()
        for raw in lines:
            line = decode(raw)
            if isinstance(line, Reject):
                self.rejects[line] += 1
                continue
            self._orgs.add(line.org)
            entry = self._changes.take(line, now)
            if entry is not None and self._wanted(entry):
                found += self._printed(entry)
        return found

    def _wanted(self, entry: Entry) -> bool:
        return (
            entry.at >= self._since
            and (entry.severe or not self._errors)
            and self._changes.concerns(entry, self._globs)
        )

    def _printed(self, entry: Entry) -> Iterator[str]:
        day = f"{datetime.fromtimestamp(entry.at, self._zone):%a %d %b %Y}"
        if self._day and day != self._day:
            yield self._text([Segment(f"-- {day} --", styles.DIM)])
        self._day = day
        at = clock_time(entry.at, self._zone)
        line = [Segment(f"{at} ", styles.DIM), Segment(f"{entry.mark:<2} ", entry.style)]
        if len(self._orgs) > 1:
            line.append(Segment(f"{clean(entry.org) or '-'}  ", styles.DIM))
        self.entries += 1
        yield self._text([*line, *entry.parts(self._zone)])

    def _text(self, line: styles.Line) -> str:
        text = styles.ansi(line, self._colours, no_color=self._no_color)
        return text.encode(self._encoding, "replace").decode(self._encoding) + "\n"


def run(args: argparse.Namespace, thresholds: Iterable[Threshold] = ()) -> int:
    """Returns the exit code."""
    source = open_or_say(args.file, "tail")
    if isinstance(source, int):
        return source
    zone = UTC if args.utc else None
    since = moment(args.since, time.time(), zone) if args.since else float("-inf")
    printer = Printer(
        sys.stdout,
        thresholds,
        zone=zone,
        everything=args.all,
        errors=args.errors,
        globs=args.queue,
        since=since,
    )
    _follow(source, printer, stop_at_end=args.no_follow)
    if not printer.entries:
        for reject, words in ELSEWHERE.items():
            if printer.rejects[reject]:
                sys.stderr.write(f"queuetick tail: {words}\n")
                return 1
    return 0


def _follow(source: Source, printer: Printer, *, stop_at_end: bool) -> None:
    """Read until the input ends or a signal comes; with `stop_at_end` also to where a file ends now."""
    with doorbell(ENDING) as bell:
        try:
            while not source.ended:
                known = source.descriptor
                waiting_for = [bell.descriptor] if known is None else [bell.descriptor, known]
                timeout = None if known is not None else 0.0 if source.behind else POLL_EVERY
                ready = wait_readable(waiting_for, timeout)
                if bell.descriptor in ready:
                    return
                if known is None or known in ready:
                    printer.append(source.read())
                if stop_at_end and known is None and not source.behind:
                    return
        finally:
            source.close()
