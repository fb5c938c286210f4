"""Lines in, entries out: each change of a queue that matters, and each operational event in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

from queuetick.events import (
    BatchFailed,
    CycleReport,
    QueueInvalid,
    QueueMissing,
    QueueRecovered,
    QueueSnapshot,
    QueueStats,
)
from queuetick.events.thresholds import Assessment, Severity, Thresholds
from queuetick.names import matches
from queuetick.watch import styles
from queuetick.watch.lines import Line, said
from queuetick.watch.sentences import sentence
from queuetick.watch.text import UNKNOWN, clean, limit, short

Key = tuple[str, str]
"""(org, queue_id); org is empty where the lines have none."""


class Entry(NamedTuple):
    """One line for people. `mark` is at most two cells wide."""

    at: float
    org: str
    queue_ids: Sequence[str]
    """The queues that it names; empty where it is about the daemon."""
    mark: str
    severe: bool
    """An error, or a queue over a critical limit."""
    parts: styles.Line


class _State(NamedTuple):
    """What of a queue's last snapshot the next one is compared with."""

    at: float
    scheduled_at: str | None
    severity: Severity
    waits: bool
    staffed: bool | None


_MARKS: dict[Severity, tuple[str, Style]] = {
    Severity.QUIET: ("", styles.PLAIN),
    Severity.NORMAL: ("", styles.PLAIN),
    Severity.WARN: ("!", styles.WARN),
    Severity.CRIT: ("!!", styles.CRIT),
}
_LEVELS: dict[str, tuple[str, Style]] = {
    "warning": ("!", styles.WARN),
    "error": ("!!", styles.CRIT),
    "critical": ("!!", styles.CRIT),
}
_RECOVERIES = (
    "api.recovered",
    "queue.recovered",
    "stats.recovered",
    "rate_limit.resumed",
    "interval.restored",
)


class Changes:
    """Remembers each queue's last state and each org's last outcome. Feed it lines in their order."""

    def __init__(
        self, thresholds: Thresholds, *, zone: tzinfo | None = None, everything: bool = False
    ) -> None:
        """`zone`: of the times of day in sentences; None is local time. `everything`: every line is an entry."""
        self._thresholds = thresholds
        self._zone = zone
        self._everything = everything
        self._states: dict[Key, _State] = {}
        self._outcomes: dict[str, str] = {}
        self._names: dict[Key, str] = {}

    def concerns(self, entry: Entry, globs: Sequence[str]) -> bool:
        """Whether `entry` is about a queue whose name or id matches one of `globs`, or about the whole daemon."""
        if not globs or not entry.queue_ids:
            return True
        names = (self._names.get((entry.org, queue_id), "") for queue_id in entry.queue_ids)
        return any(matches(glob, name) for name in (*entry.queue_ids, *names) for glob in globs)

    def take(self, line: Line) -> Entry | None:
        """The entry of one line; None where nothing changed."""
        fact = line.fact
        if isinstance(fact, QueueSnapshot):
            return self._snapshot(fact, line)
        if isinstance(fact, CycleReport):
            before = self._outcomes.get(line.org)
            self._outcomes[line.org] = fact.outcome
            if fact.outcome == before and not self._everything:
                return None
            mark, style = _LEVELS.get(
                fact.severity if fact.outcome in _OUTCOMES else "error", ("", styles.PLAIN)
            )
            if before not in {None, "ok"} and fact.outcome == "ok":
                mark, style = "ok", styles.GOOD
            return self._event(line, mark, style)
        if isinstance(fact, QueueStats) and not self._everything:
            return None
        mark, style = _LEVELS.get(line.level, ("", styles.PLAIN))
        if fact.__struct_config__.tag in _RECOVERIES:
            mark, style = "ok", styles.GOOD
        return self._event(line, mark, style)

    def _event(self, line: Line, mark: str, style: Style) -> Entry:
        fact = line.fact
        queue_ids: Sequence[str] = ()
        if isinstance(fact, QueueMissing | QueueInvalid | QueueRecovered | QueueStats):
            queue_ids = (fact.queue_id,)
            if name := said(fact.queue_name):
                self._names[line.org, fact.queue_id] = name
        elif isinstance(fact, BatchFailed):
            queue_ids = fact.queue_ids or ()
        parts = [Segment(sentence(fact, self._zone), style)]
        return Entry(line.at, line.org, queue_ids, mark, mark == "!!", parts)

    def _snapshot(self, fact: QueueSnapshot, line: Line) -> Entry | None:
        key = (line.org, fact.queue_id)
        before = self._states.get(key)
        # Two daemons may poll the same queues: the second line of a tick says nothing new.
        if before and (
            line.at < before.at or (fact.scheduled_at and fact.scheduled_at == before.scheduled_at)
        ):
            return None
        if before is None and (name := said(fact.queue_name)):
            self._names[key] = name
        grade = self._thresholds.assess(fact, line.at)
        waits, on_queue = bool(fact.waiting), fact.agents_on_queue
        staffed = (
            before.staffed if on_queue is None and before else None if on_queue is None else on_queue > 0
        )
        self._states[key] = _State(line.at, fact.scheduled_at, grade.severity, waits, staffed)
        was = before or _State(0.0, None, Severity.QUIET, waits=False, staffed=staffed)
        loud = max(grade.severity, Severity.NORMAL) != max(was.severity, Severity.NORMAL)
        turned = staffed is not None and was.staffed is not None and staffed != was.staffed
        if not (loud or turned or waits != was.waits or self._everything):
            return None
        mark, style = _MARKS[grade.severity]
        if was.severity >= Severity.WARN > grade.severity:
            mark, style = "ok", styles.GOOD
        parts = in_numbers(fact, grade, style)
        if turned:
            parts.append(Segment("  staffed again" if staffed else "  nobody on the queue", styles.WARN))
        return Entry(line.at, line.org, (fact.queue_id,), mark, grade.severity >= Severity.CRIT, parts)


_OUTCOMES = {"ok", "partial", "failed"}


def in_numbers(fact: QueueSnapshot, grade: Assessment, style: Style) -> styles.Line:
    """`Support EMEA  7 waiting  8m47s (target 20s)  0/9 free  voice 4 email 3`."""
    parts = [
        Segment(
            clean(said(fact.queue_name) or fact.queue_id), style if style is not styles.PLAIN else styles.BOLD
        )
    ]
    waiting = UNKNOWN if fact.waiting is None else f"{fact.waiting:,}"
    parts.append(Segment(f"  {waiting} waiting", style if fact.waiting else styles.DIM))
    wait = grade.wait if grade.wait is not None else fact.longest_wait_seconds
    if fact.waiting and wait is not None:
        parts.append(Segment(f"  {short(wait)}", style))
        if grade.limit is not None:
            kind = "target" if grade.is_target else "limit"
            parts.append(Segment(f" ({kind} {limit(grade.limit)})", styles.DIM))
    if fact.agents_available is not None:
        of = "" if fact.agents_on_queue is None else f"/{fact.agents_on_queue}"
        nobody = bool(fact.waiting) and fact.agents_available == 0
        parts.append(Segment(f"  {fact.agents_available}{of} free", styles.BOLD if nobody else styles.PLAIN))
    split = sorted(
        ((counts.waiting, clean(name)) for name, counts in (fact.media or {}).items() if counts.waiting),
        key=lambda part: (-part[0], part[1]),
    )
    if split:
        parts.append(Segment("  " + " ".join(f"{name} {number}" for number, name in split), styles.DIM))
    return parts
