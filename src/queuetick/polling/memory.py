"""What cycles remember of each other (`Memory`) and what one of them comes to (`CycleResult`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from queuetick.config import Output
from queuetick.events import (
    Batch,
    CycleReport,
    Outcome,
    Queue,
    QueueRecovered,
    QueueSnapshot,
    chunk,
)
from queuetick.genesys.errors import ApiError

MOST_PARTS = 16
"""Batches into which the queues of failed batches are cut, where more are not needed."""

MOST_DEFERRALS = 4
"""Cycles in a row without a request after which one batch of failing queues goes first: more would cost the good ones
their turn.
"""

LONGEST_DISTANCE = 64
"""Cycles; the longest distance between two questions for an id that is set aside."""

OFTEN = 8
"""Refusals of one id after which it is asked for less often."""


@dataclass
class SetAside:
    """An id that the API refuses: since which cycle, with which error, and when it is asked for again."""

    since: int
    error: ApiError
    next_try: int
    """Number of the first cycle that asks for it again."""
    refusals: int = 1

    def refused_again(self, cycle: int) -> None:
        """Ask after two cycles, and after `OFTEN` refusals after 4, 8, 16, ...: a chance refusal ends soon, a lasting
        one costs little.
        """
        self.refusals += 1
        self.next_try = cycle + min(LONGEST_DISTANCE, 2 ** max(1, self.refusals - OFTEN))


@dataclass
class Written:
    """The last line of a queue: its content without ages and instants, and its place on the grid (seconds)."""

    content: tuple[Any, ...]
    scheduled: float


@dataclass
class Memory:
    """What outlives a cycle, and a reload. Cycles change it, one at a time."""

    missing: dict[str, int] = field(default_factory=dict)
    """Queue ids that the answers leave out, with the cycle since when."""
    invalid: dict[str, SetAside] = field(default_factory=dict)
    deferred: dict[str, int] = field(default_factory=dict)
    """Queue ids that got no request in the last cycle, with the number of such cycles in a row: the most go first."""
    suspects: set[str] = field(default_factory=set)
    """Queue ids of refused batches without a verdict yet: they go last, in batches of their own."""
    suspects_are_few: bool = False
    """Whether other queues were answered when they were refused: then their batches are small."""
    failing: set[str] = field(default_factory=set)
    """Queue ids of batches that failed while others were answered: they go last, in batches of their own."""
    failures: int = 0
    """Cycles in a row with such batches."""
    written: dict[str, Written] = field(default_factory=dict)
    largest_batch: int | None = None
    """The most queues that an answer had room for; None while no answer was too large."""
    first_batch: int | None = None
    """Queues of the first batch, while every answer is too large: another size in each cycle, until one is answered."""
    probes: int = 0
    """How many queues were asked for alone to tell a bad id from a bad request, in all cycles."""
    unanswered: int = 0
    """Cycles in a row that were refused and got no answer."""

    def forget_all_but(self, polled: Collection[str]) -> None:
        """Drop what is remembered of queues that are polled no more."""
        remembered: dict[str, Any]
        for remembered in (self.missing, self.invalid, self.written, self.deferred):
            for queue_id in remembered.keys() - polled:
                del remembered[queue_id]
        self.suspects &= set(polled)
        self.failing &= set(polled)

    def batches(self, queues: Iterable[Queue], batch_size: int) -> list[Batch]:
        """Cut `queues` into batches: deferred ones first, suspects last and apart, none larger than what fits."""
        polled = sorted(queues, key=lambda queue: -self.deferred.get(queue.id, 0))
        size = min(batch_size, self.largest_batch or batch_size)
        failing = [queue for queue in polled if queue.id in self.failing]
        polled = [queue for queue in polled if queue.id not in self.failing]
        good = [queue for queue in polled if queue.id not in self.suspects]
        suspects = [queue for queue in polled if queue.id in self.suspects]
        first, good = good[: self.first_batch or 0], good[self.first_batch or 0 :]
        small = max(1, size // 4) if self.suspects_are_few else size
        apart = [batch.queues for batch in chunk(suspects, small)]
        if small < size:
            # A good queue beside each, because only beside one that is answered a refusal is evidence.
            taken = len(good) - min(len(good), len(apart))
            good, beside = good[:taken], good[taken:]
            apart = [(*part, *beside[at : at + 1]) for at, part in enumerate(apart)]
        parts = [tuple(first)] if first else []
        parts += [batch.queues for batch in chunk(good, size)]
        parts += apart
        last = [batch.queues for batch in chunk(failing, self._failing_size(len(failing), size))]
        waited = self.deferred.get(last[0][0].id, 0) if last else 0
        parts = [*last[:1], *parts, *last[1:]] if waited >= MOST_DEFERRALS else [*parts, *last]
        return [Batch(number, part) for number, part in enumerate(parts, start=1)]

    def _failing_size(self, count: int, size: int) -> int:
        """Smaller batches find the queues beside the one at fault: in the 2nd, 4th, 8th ... cycle of failures."""
        if self.failures & (self.failures - 1):
            return size
        return min(size, max(1, min(size, count) // 4, math.ceil(count / MOST_PARTS)))

    def learn_failing(self, failed: Collection[str], answered: Collection[str], *, apart: bool) -> None:
        """Take in which queues a cycle has answered and which failed; `apart`: the latter get batches of their own."""
        self.failing.difference_update(answered)
        if apart:
            self.failing.update(set(failed) - self.suspects)
        self.failures = self.failures + 1 if self.failing else 0

    def learn_size(self, too_large: int | None, answered: int) -> None:
        """Take in the smallest batch of a cycle whose answer was too large, and the largest that was answered."""
        if too_large is not None and not answered:
            self.first_batch = max(1, too_large // 2)
        elif answered:
            self.first_batch = None
            if too_large is not None and answered < too_large:
                self.largest_batch = answered

    def returned(self, answered: Iterable[Queue], cycle: int) -> Iterator[QueueRecovered]:
        """Forget that queues were missing or invalid which `cycle` has answered, and yield an event for each."""
        if not self.missing and not self.invalid:
            return
        for queue in answered:
            aside = self.invalid.pop(queue.id, None)
            since = self.missing.pop(queue.id, None if aside is None else aside.since)
            if since is not None:
                was: Literal["missing", "invalid"] = "missing" if aside is None else "invalid"
                yield QueueRecovered(cycle=cycle, **queue.labels(), was=was, cycles=cycle - since)

    def try_all_again(self) -> None:
        """Ask once more for every id that was set aside, and for batches of full size, in the next cycle."""
        self.largest_batch = self.first_batch = None
        for aside in self.invalid.values():
            aside.next_try = 0

    def to_be_written(
        self, snapshots: list[QueueSnapshot], output: Output, *, scheduled: float
    ) -> list[QueueSnapshot]:
        """Those of the tick at `scheduled` (epoch seconds) that are written: they differ, or it is time."""
        if output.snapshots == "all":
            return snapshots
        return [each for each in snapshots if self._differs(each, output.heartbeat, scheduled)]

    def _differs(self, snapshot: QueueSnapshot, heartbeat: float, scheduled: float) -> bool:
        content, last = content_of(snapshot), self.written.get(snapshot.queue_id)
        if last is not None and last.content == content:
            age = abs(scheduled - last.scheduled)  # the clock may have been set back
            if age < heartbeat - 1e-3:
                return False
        self.written[snapshot.queue_id] = Written(content, scheduled)
        return True


_AGES_AND_INSTANTS = {
    "cycle",
    "scheduled_at",
    "observed_at",
    "longest_wait_seconds",
    "longest_interaction_seconds",
}
_FIELDS = tuple(
    name for name in QueueSnapshot.__struct_fields__ if name not in _AGES_AND_INSTANTS and name != "media"
)


def content_of(snapshot: QueueSnapshot) -> tuple[Any, ...]:
    """The content of a snapshot without ages and instants: what `output.snapshots = "changed"` compares."""
    media = {
        name: (counts.waiting, counts.interacting, counts.alerting, counts.wait_target_seconds)
        for name, counts in (snapshot.media or {}).items()
    }
    return (*[getattr(snapshot, name) for name in _FIELDS], None if snapshot.media is None else media)


@dataclass
class CycleResult:
    """One cycle: its report, and what became of each queue."""

    report: CycleReport
    answered: set[str]
    """Queues that were answered with numbers."""
    missing: dict[str, str]
    """Queue id -> why the answer lacks it."""
    invalid: dict[str, ApiError]
    """Queue id -> the refusal that set it aside, now or earlier."""
    failed: dict[str, ApiError]
    """Queue id -> the error that its batch ended with."""
    deferred: set[str]
    last_error: ApiError | None
    waiting: int
    """Contacts waiting, over all answered queues."""


def outcome_of(report: CycleReport, *, listed: bool = True, lost: bool = False) -> Outcome:
    """ok: every selected queue was polled and the API answered for the query; failed: no queue was answered, or there
    is nothing to poll; partial: anything between. `listed` is whether the listing, where one is needed, is known.

    A cycle that lost all its queues to a pause is partial: nothing was refused and nothing failed. While the API is
    `lost`, it has failed like the cycles before it.
    """
    described = report.snapshots + report.unchanged
    if not described + report.missing:
        waits = report.deferred and not report.failed and not lost
        return "partial" if waits else "failed"
    complete = described and not (report.failed or report.deferred or report.invalid)
    return "ok" if complete and listed else "partial"
