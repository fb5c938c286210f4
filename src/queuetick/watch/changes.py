"""Lines in, entries out: each change of a queue that matters, and each operational event in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

import msgspec
from rich.segment import Segment
from rich.style import Style

from queuetick import events
from queuetick.events.thresholds import Assessment, Severity, Threshold, Thresholds
from queuetick.names import matches
from queuetick.watch import styles
from queuetick.watch.lines import Line, is_older, said
from queuetick.watch.sentences import sentence
from queuetick.watch.text import UNKNOWN, clean, limit, short

Key = tuple[str, str]
"""(org, queue_id); org is empty where the lines have none."""


class Numbers(msgspec.Struct, gc=False, frozen=True):
    """What an entry tells of a snapshot. Thousands of entries are kept, so not the whole snapshot is."""

    name: str
    waiting: int | None
    wait: float | None
    limit: float | None
    is_target: bool
    free: int | None
    on_queue: int | None
    media: tuple[tuple[int, str], ...]
    remark: str = ""


class Entry(msgspec.Struct, gc=False, frozen=True):
    """One line for people: what was read, and how it is marked. It is put into words where it is shown."""

    at: float
    org: str
    queue_ids: Sequence[str]
    """The queues that it names; empty where it is about the daemon."""
    mark: str
    """At most two cells wide."""
    what: events.Fact | Numbers

    @property
    def severe(self) -> bool:
        """An error, or a queue over a critical limit."""
        return self.mark == "!!"

    @property
    def style(self) -> Style:
        return _STYLES.get(self.mark, styles.PLAIN)

    def parts(self, zone: tzinfo | None) -> styles.Line:
        """In words; times of day in `zone`, None is local time."""
        if isinstance(self.what, Numbers):
            return in_words(self.what, self.style)
        return [Segment(sentence(self.what, zone), self.style)]


@dataclass(slots=True)
class _State:
    """What of a queue's last snapshot the next one is compared with."""

    at: float = float("-inf")
    scheduled_at: str | None = None
    severity: Severity = Severity.NORMAL
    waits: bool = False
    staffed: bool | None = None


_STYLES = {"!": styles.WARN, "!!": styles.CRIT, "ok": styles.GOOD}
_AT_LEAST_NORMAL = [Severity.NORMAL, Severity.NORMAL, Severity.WARN, Severity.CRIT]
_LEVELS = {"warning": "!", "error": "!!", "critical": "!!"}
_OUTCOMES = {"ok": "", "partial": "!"}
_RECOVERIES = {
    "api.recovered",
    "queue.recovered",
    "stats.recovered",
    "rate_limit.resumed",
    "interval.restored",
}


_TARGETS = Thresholds()


def given(thresholds: Iterable[Threshold]) -> Thresholds | None:
    """Thresholds of the reader's own; None where there are none. Raises ValueError where hours are invalid."""
    tables = tuple(thresholds)
    return Thresholds(tables) if tables else None


def _thresholds_of(line: events.DaemonStarted) -> Thresholds:
    """Those of the configuration in force; none where the line has none that can be read."""
    tables = line.config.get("thresholds") if isinstance(line.config, dict) else None
    try:
        return Thresholds(msgspec.convert(tables or [], tuple[Threshold, ...]))
    except (msgspec.ValidationError, ValueError):
        return _TARGETS


class Changes:
    """Remembers each queue's last state and each org's last outcome. Feed it lines in their order."""

    def __init__(self, thresholds: Thresholds | None = None, *, everything: bool = False) -> None:
        """`thresholds` None: those that each daemon's start names, else the queues' own targets.

        `everything`: every line is an entry.
        """
        self._given = thresholds
        self._thresholds: dict[str, Thresholds] = {}
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

    def take(self, line: Line, now: float) -> Entry | None:
        """The entry of one line, read at `now`; None where nothing changed."""
        fact, org = line.fact, line.org
        queue_ids: Sequence[str] = ()
        mark = _LEVELS.get(line.level, "")
        match fact:
            case events.QueueSnapshot():
                return self.snapshot(fact, line, now)[1]
            case events.CycleReport():
                before, self._outcomes[org] = self._outcomes.get(org), fact.outcome
                if fact.outcome == before and not self._everything:
                    return None
                mark = _OUTCOMES.get(fact.outcome, "!!")
                if fact.outcome == "ok" and before not in {None, "ok"}:
                    mark = "ok"
            case (
                events.QueueMissing() | events.QueueInvalid() | events.QueueRecovered() | events.QueueStats()
            ):
                if isinstance(fact, events.QueueStats) and not self._everything:
                    return None
                queue_ids = (fact.queue_id,)
                if name := said(fact.queue_name):
                    self._names[org, fact.queue_id] = name
            case events.BatchFailed():
                queue_ids = fact.queue_ids or ()
            case events.DaemonStarted():
                self._thresholds[org] = _thresholds_of(fact)
        if fact.__struct_config__.tag in _RECOVERIES:
            mark = "ok"
        return Entry(line.at, org, queue_ids, mark, fact)

    def snapshot(
        self, fact: events.QueueSnapshot, line: Line, now: float
    ) -> tuple[Assessment | None, Entry | None]:
        """The grade of a snapshot, and its entry where something changed; no grade where it is to be ignored.

        That is a snapshot older than the last one, and the second one of a tick: two daemons may poll the same queues.
        """
        key = (line.org, fact.queue_id)
        at, scheduled_at, on_queue = line.at, fact.scheduled_at, fact.agents_on_queue
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State()
            if name := said(fact.queue_name):
                self._names[key] = name
        elif is_older(at, state.at, now) or (scheduled_at and scheduled_at == state.scheduled_at):
            return None, None
        grade = (self._given or self._thresholds.get(line.org, _TARGETS)).assess(fact, at)
        severity, waits = _AT_LEAST_NORMAL[grade.severity], bool(fact.waiting)
        was, waited, was_staffed = state.severity, state.waits, state.staffed
        staffed = was_staffed if on_queue is None else on_queue > 0
        state.at, state.scheduled_at = at, scheduled_at
        if severity == was and waits == waited and staffed == was_staffed and not self._everything:
            return grade, None
        state.severity, state.waits, state.staffed = severity, waits, staffed
        turned = was_staffed is not None and staffed != was_staffed
        if not (severity != was or waits != waited or turned or self._everything):
            return grade, None
        mark = "ok" if was > severity == Severity.NORMAL else styles.MARKS.get(severity, "")
        remark = "" if not turned else "staffed again" if staffed else "nobody on the queue"
        return grade, Entry(at, line.org, (fact.queue_id,), mark, _numbers(fact, grade, remark))


def _numbers(fact: events.QueueSnapshot, grade: Assessment, remark: str) -> Numbers:
    return Numbers(
        said(fact.queue_name) or fact.queue_id,
        fact.waiting,
        grade.wait if grade.wait is not None else fact.longest_wait_seconds,
        grade.limit,
        grade.is_target,
        fact.agents_available,
        fact.agents_on_queue,
        tuple(media_waiting(fact)),
        remark,
    )


def in_words(numbers: Numbers, style: Style) -> styles.Line:
    """`Support EMEA  7 waiting  8m47s (target 20s)  0/9 free  voice 4 email 3`."""
    waiting = UNKNOWN if numbers.waiting is None else f"{numbers.waiting:,}"
    parts = [
        Segment(clean(numbers.name), styles.BOLD if style is styles.PLAIN else style),
        Segment(f"  {waiting} waiting", style if numbers.waiting else styles.DIM),
    ]
    if numbers.waiting and numbers.wait is not None:
        parts.append(Segment(f"  {short(numbers.wait)}", style))
        if numbers.limit is not None:
            kind = "target" if numbers.is_target else "limit"
            parts.append(Segment(f" ({kind} {limit(numbers.limit)})", styles.DIM))
    if numbers.free is not None:
        of = "" if numbers.on_queue is None else f"/{numbers.on_queue}"
        nobody = bool(numbers.waiting) and numbers.free == 0
        parts.append(Segment(f"  {numbers.free}{of} free", styles.BOLD if nobody else styles.PLAIN))
    if numbers.media:
        split = " ".join(f"{name} {number}" for number, name in numbers.media)
        parts.append(Segment(f"  {split}", styles.DIM))
    return [*parts, Segment(f"  {numbers.remark}", styles.WARN)] if numbers.remark else parts


def media_waiting(fact: events.QueueSnapshot) -> list[tuple[int, str]]:
    """The waiting contacts by medium, the most first; media where nobody waits are left out."""
    return sorted(
        ((counts.waiting, clean(name)) for name, counts in (fact.media or {}).items() if counts.waiting),
        key=lambda part: (-part[0], part[1]),
    )
