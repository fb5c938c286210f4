"""What is known from the lines so far: the newest snapshot of every queue, and how each daemon fares.

Pure: no clock, no terminal. Times are seconds since 1970, as the lines say them.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from queuetick import events
from queuetick.events.thresholds import NOBODY, Assessment, Severity, Thresholds
from queuetick.names import folded
from queuetick.watch.changes import Changes, Entry, Key
from queuetick.watch.health import Status, Trouble
from queuetick.watch.history import History
from queuetick.watch.instance import Instance
from queuetick.watch.lines import Line, Reject, decode, said
from queuetick.watch.text import clean, words

EVENTS = 20_000
"""Entries that are kept: of 5,000 busy queues some minutes, of 50 a day."""


@dataclass(slots=True, eq=False)
class Row:
    """One queue of one organisation."""

    key: Key
    name: str = ""
    division: str = ""
    named: str | None = None
    placed: str | None = None
    search: str = ""
    snapshot: events.QueueSnapshot | None = None
    grade: Assessment = NOBODY
    stats: events.QueueStats | None = None
    at: float = float("-inf")
    ordinal: int | None = None
    status: Status | None = None
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.name = clean(self.queue_id)
        self.search = folded(self.name)

    @property
    def queue_id(self) -> str:
        return self.key[1]

    @property
    def org(self) -> str:
        return self.key[0]

    def rename(self, name: str | None, division: str | None) -> None:
        """A name that is not said keeps the one known before: both are absent until discovery has run."""
        if name is not None:
            self.named = name
            self.name = clean(name) or clean(self.queue_id)
        if division is not None:
            self.placed = division
            self.division = clean(division)
        self.search = folded(f"{self.name} {self.division} {self.queue_id}")

    @property
    def latest(self) -> events.QueueSnapshot | None:
        """The numbers worth showing. Those from before a queue was missing or invalid are not."""
        if self.status is not None and self.status.trouble in {Trouble.MISSING, Trouble.INVALID}:
            return None
        return self.snapshot

    @property
    def severity(self) -> Severity:
        """Of the numbers worth showing."""
        return self.grade.severity if self.latest is not None else Severity.QUIET


class Board:
    """Feed it lines; read `rows`, `instances` and `events`."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        """`thresholds` None: those that each daemon's start names, else the queues' own targets."""
        self.rows: dict[Key, Row] = {}
        self.instances: dict[str, Instance] = {}
        self.events: deque[Entry] = deque(maxlen=EVENTS)
        self.lines_read = 0
        self.rejects: Counter[Reject] = Counter()
        self.has_stats = False
        self._changes = Changes(thresholds)
        self._now = float("-inf")

    def feed(self, batch: Iterable[bytes], now: float = float("inf")) -> None:
        """Take lines, in the order they came. `now` is the reader's clock: no line was written after it was read."""
        if now < self._now:  # the clock was set back
            for row in self.rows.values():
                row.at = min(row.at, now)
        self._now = now
        for raw in batch:
            self.lines_read += 1
            line = decode(raw)
            if isinstance(line, Reject):
                self.rejects[line] += 1
                continue
            if isinstance(line.fact, events.QueueSnapshot):
                self._snapshot(line.fact, line)
            else:
                self._event(line.fact, line)

    def copy(self) -> Board:
        """A board that stands still while this one goes on: what a paused screen shows."""
        frozen = copy.copy(self)
        frozen.rejects = self.rejects.copy()
        frozen.events = self.events.copy()
        frozen.instances = {org: copy.copy(one) for org, one in self.instances.items()}
        for one in frozen.instances.values():
            one.health = copy.copy(one.health)
        frozen.rows = {}
        for key, row in self.rows.items():
            frozen.rows[key] = twin = copy.copy(row)
            twin.history = row.history.copy()
        return frozen

    @property
    def newest_at(self) -> float:
        """When the newest line was written."""
        return max((one.newest_at for one in self.instances.values()), default=float("-inf"))

    @property
    def skipped(self) -> int:
        """Lines that are not queuetick's, or not whole."""
        return sum(number for reject, number in self.rejects.items() if reject is not Reject.OTHER)

    def instance(self, org: str) -> Instance:
        """The organisation's state; a new one at its first line."""
        found = self.instances.get(org)
        if found is None:
            found = self.instances[org] = Instance(org)
        return found

    def _snapshot(self, fact: events.QueueSnapshot, line: Line) -> None:
        grade, entry = self._changes.snapshot(fact, line, self._now)
        if grade is None:
            return
        instance = self.instance(line.org)
        instance.heard(line.at, self._now)
        ordinal = instance.place(fact.scheduled_at, fact.cycle, line.at)
        key = (line.org, fact.queue_id)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(key)
        if ordinal != row.ordinal:
            instance.seen += ordinal == instance.ordinal
            row.ordinal = ordinal
        row.history.put(ordinal, fact.waiting)
        if fact.queue_name != row.named or fact.division != row.placed:
            row.rename(said(fact.queue_name), said(fact.division))
        row.snapshot, row.grade, row.status = fact, grade, None
        row.at = min(line.at, self._now)
        if entry is not None:
            self.events.append(entry)

    def events_of(self, key: Key, most: int) -> list[Entry]:
        """The last entries that name a queue, the oldest first."""
        org, queue_id = key
        named = (one for one in reversed(self.events) if queue_id in one.queue_ids and one.org == org)
        return [*islice(named, most)][::-1]

    def _event(self, fact: events.Fact, line: Line) -> None:
        instance = self.instance(line.org)
        instance.heard(line.at, self._now)
        at, late = min(line.at, self._now), instance.is_late(fact, line.at)
        match fact:
            case events.CycleReport():
                if instance.completed(fact, at, late=late):
                    self._forget_unpolled(instance)
                if fact.unchanged and not fact.failed:
                    self._end_failures(line.org, at)
            case events.BatchFailed():
                self._batch_failed(fact, line.org, at)
            case _ if not late:
                self._news(fact, instance, at)
        entry = self._changes.take(line, self._now)
        if entry is not None:
            self.events.append(entry)

    def _batch_failed(self, fact: events.BatchFailed, org: str, at: float) -> None:
        reason = words(fact.status, fact.code, fact.reason)
        for queue_id in fact.queue_ids or ():
            self._trouble((org, queue_id), Status(Trouble.FAILED, at, reason))

    def _news(self, fact: events.Fact, instance: Instance, at: float) -> None:
        """Take an event that is the newest on its subject."""
        org = instance.org
        match fact:
            case events.DaemonStarted():
                self._started(fact, instance)
            case events.ConfigReloaded():
                changed = fact.changed or ()
                instance.reloaded(changed)
                if any(key.startswith("stats.") for key in changed):
                    self._forget_stats(org)
            case events.QueuesRefreshed():
                for queue_id in fact.removed_ids or ():
                    self.rows.pop((org, queue_id), None)
            case events.QueueMissing():
                reason = words(fact.reason) or "not in the answer"
                self._trouble((org, fact.queue_id), Status(Trouble.MISSING, at, reason), fact)
            case events.QueueInvalid():
                reason = words(fact.code, fact.reason) or "the API refuses this id"
                self._trouble((org, fact.queue_id), Status(Trouble.INVALID, at, reason), fact)
            case events.QueueRecovered():
                row = self.rows.get((org, fact.queue_id))
                if row is not None and at >= row.at:
                    row.status = None
            case events.QueueStats():
                self._stats(fact, org)
        instance.health.take(fact, at)

    def _stats(self, fact: events.QueueStats, org: str) -> None:
        self.has_stats = True
        row = self.rows.get((org, fact.queue_id))
        if row is not None:
            row.stats = fact

    def _forget_stats(self, org: str) -> None:
        for row in self.rows.values():
            if row.org == org:
                row.stats = None

    def _forget_unpolled(self, instance: Instance) -> None:
        """Drop the queues that are no longer asked for.

        Every snapshot of the cycle is here and none was put off, so a queue that neither came nor is known
        to be missing or invalid was taken out of the configuration. It must not stay stale.
        """
        if len(self.instances) == 1 and instance.seen == len(self.rows):
            return
        kept = {Trouble.MISSING, Trouble.INVALID}
        gone = [
            key
            for key, row in self.rows.items()
            if key[0] == instance.org
            and row.ordinal != instance.ordinal
            and (row.status is None or row.status.trouble not in kept)
        ]
        for key in gone:
            del self.rows[key]

    def _end_failures(self, org: str, at: float) -> None:
        """A queue that failed and is now answered unchanged has no line of its own that would tell."""
        for row in self.rows.values():
            if (
                row.org == org
                and row.status
                and row.status.trouble is Trouble.FAILED
                and row.status.since < at
            ):
                row.status = None

    def _started(self, fact: events.DaemonStarted, instance: Instance) -> None:
        instance.started(fact)
        for key in [key for key, row in self.rows.items() if key[0] == instance.org and row.snapshot is None]:
            del self.rows[key]
        self._forget_stats(instance.org)
        for row in self.rows.values():
            if row.org == instance.org:
                row.status = None

    def _trouble(
        self, key: Key, status: Status, fact: events.QueueMissing | events.QueueInvalid | None = None
    ) -> None:
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(key)
        elif status.since < row.at:
            return
        if row.status is not None and row.status.trouble is status.trouble:
            status = status._replace(since=row.status.since)
        if fact is not None:
            row.rename(said(fact.queue_name), said(fact.division))
        row.status = status
