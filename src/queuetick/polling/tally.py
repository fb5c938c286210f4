"""What became of the queues of one cycle, counted by several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from queuetick.events import CycleReport, Outcome, Queue
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError


class Tally:
    """One cycle's account. Change it with `lock` held."""

    def __init__(self, cycle: int, scheduled_at: str, deadline: float) -> None:
        self.cycle = cycle
        self.scheduled_at = scheduled_at
        self.deadline = deadline
        self.lock = threading.Lock()
        self.snapshots: set[str] = set()
        self.missing: set[str] = set()
        self.invalid: set[str] = set()
        self.failed: set[str] = set()
        self.deferred: set[str] = set()
        self.batches_failed = 0
        self.usage = Usage()
        self.waiting = 0
        self.last_error: ApiError | None = None
        self.crash: BaseException | None = None
        self.fruitless = 0
        self.split_refusals = 0
        self.closed = False

    @property
    def answered(self) -> bool:
        return bool(self.snapshots or self.missing)

    def close(self, queues: Iterable[Queue]) -> None:
        """Take no more results; those of `queues` that have none are deferred."""
        with self.lock:
            self.closed = True
            done = self.snapshots | self.missing | self.invalid | self.failed
            self.deferred = {queue.id for queue in queues} - done

    @property
    def outcome(self) -> Outcome:
        """ok: nothing failed or lost its turn; failed: no answer at all; partial: between."""
        if not self.failed and not self.deferred:
            return "ok"
        if self.failed and not self.answered and not self.split_refusals:
            return "failed"
        return "partial"

    def report(self, *, queues: int, batches: int, duration: float, lateness: float) -> CycleReport:
        """The account, of `queues` in `batches`; `duration` and `lateness` are in seconds."""
        return CycleReport(
            cycle=self.cycle,
            scheduled_at=self.scheduled_at,
            outcome=self.outcome,
            queues=queues,
            snapshots=len(self.snapshots),
            missing=len(self.missing),
            invalid=len(self.invalid),
            failed=len(self.failed),
            deferred=len(self.deferred),
            batches=batches,
            batches_failed=self.batches_failed,
            requests=self.usage.requests,
            retries=self.usage.retries,
            duration_seconds=round(duration, 3),
            lateness_seconds=round(lateness, 3),
        )
