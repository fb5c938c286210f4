"""One cycle: queues -> batches -> snapshots -> report.

Invariant: every queue that a cycle sets out to poll ends in exactly one of written, unchanged, missing, invalid,
failed, deferred.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

from queuetick.clock import Clock, Stopped, full_jitter, utc
from queuetick.config import Output
from queuetick.events import Batch, BatchFailed, CycleReport, Fact, Queue, QueueMissing
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, LoginFailed, RateLimited, TooLarge, Transient
from queuetick.genesys.queries import Answer
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.isolation import Isolation, ask_parts, concerns_single_queues
from queuetick.polling.memory import CycleResult, Memory, outcome_of
from queuetick.polling.plan import Client, Plan

MAX_ATTEMPTS = 4
"""Tries of one batch within one cycle, where the failure is of the kind that passes."""

RETRY_BASE = 0.5
RETRY_CAP = 5.0
"""Seconds. The n-th retry waits with full jitter: uniform in 0..min(cap, base * 2**n)."""

GIVE_UP_AFTER = 8
"""Batches in a row that failed before any was answered: the API is down, the rest of the cycle is deferred."""

EXTRA_PER_BATCH = 2
"""Requests beyond its batches that a cycle may send, for each batch, while nothing is answered."""

SLOW_START = 0.1
"""Seconds after which a cycle doubles its threads, from one, while work remains: where answers take milliseconds, more
threads only compete for the interpreter (bench/cycle.py)."""

LAST_REQUESTS = 2.0
"""Seconds of real time that requests under way have to end when the daemon stops. One that waits for a name server or
for a connection cannot be cut off; its queues are then deferred, so that the cycle still gives its account."""

Work = TypeVar("Work")


class Cycle:
    """One cycle, run once. Its threads change its parts with `lock` held."""

    def __init__(
        self,
        client: Client,
        memory: Memory,
        plan: Plan,
        *,
        threads: Executor,
        clock: Clock,
        uniform: Callable[[float, float], float],
        emit: Callable[..., None],
        output: Output | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """`threads` has room for `plan.concurrency`; `progress` is called after each answer and each failure."""
        self.client = client
        self.memory = memory
        self.plan = plan
        self.scheduled_at = utc(plan.scheduled)
        self.emit = emit
        self.lock = threading.Lock()
        self.answered: set[str] = set()
        self.missing: dict[str, str] = {}
        self.invalid: dict[str, ApiError] = {}
        self.failed: dict[str, ApiError] = {}
        self.last_error: ApiError | None = None
        self.batches: list[Batch] = []
        self._threads = threads
        self._clock = clock
        self._uniform = uniform
        self._output = output or Output()
        self._progress = progress
        self._unchanged = 0
        self._waiting = 0
        self._usage = Usage()
        self._batches_failed = 0
        self._failures: list[BatchFailed] = []
        self._fruitless = 0
        self._own = 1
        self._extra = 0
        self.too_large: int | None = None
        self._largest_answered = 0
        self._crash: BaseException | None = None
        self._closed = False

    def run(self) -> CycleResult:
        """Poll once and emit what came back, the report excepted. Raises only what is a defect of queuetick."""
        began = self._clock.monotonic()
        memory, plan = self.memory, self.plan
        memory.forget_all_but({queue.id for queue in plan.queues})
        self.invalid = {queue_id: aside.error for queue_id, aside in memory.invalid.items()}
        polled = [queue for queue in plan.queues if queue.id not in self.invalid]
        self.batches = memory.batches(polled, plan.batch_size)
        self._own = max(1, math.ceil(len(polled) / plan.batch_size))
        refused: deque[tuple[Batch, ApiError]] = deque()
        try:
            self.run_all(self.batches, lambda batch: self._poll_batch(batch, refused))
            Isolation(self, refused).run()
            return self._close(began)
        finally:
            self._closed = True  # after a crash, too: what it left in the pool writes nothing

    @property
    def api_answered(self) -> bool:
        """Whether any query of this cycle was answered."""
        return bool(self.answered or self.missing)

    def run_all(self, work: Iterable[Work], do: Callable[[Work], None]) -> None:
        """Do each piece of `work`, with the threads that the plan allows, until all is done or the daemon stops."""
        pieces = deque(work)

        def take() -> None:
            while self._crash is None and not self._closed:
                try:
                    piece = pieces.popleft()
                except IndexError:
                    return
                try:
                    do(piece)
                except BaseException as error:  # noqa: BLE001 - raised again in the cycle's own thread
                    self._crash = error

        under_way: set[Future[None]] = set()
        started = 0
        while (more := min(max(1, started), self.plan.concurrency - started, len(pieces))) > 0 or under_way:
            try:
                for _ in range(more):
                    under_way.add(self._threads.submit(take))
            except RuntimeError:  # the system gives no further thread, or the daemon closes
                if not under_way:
                    raise
            started += more
            under_way = wait(under_way, timeout=SLOW_START).not_done
            if self._clock.wait(0.0):
                break
        if wait(under_way, timeout=LAST_REQUESTS).not_done:
            with self.lock:
                self._closed = True
        if self._crash is not None:
            raise self._crash

    def spend(self, usage: Usage | None = None) -> bool:
        """Count one request beyond the cycle's batches; False when it may not be sent, because nothing is answered.

        `usage` has requests that were sent again after a 401: those count too.
        """
        with self.lock:
            if usage is not None:
                self._extra, usage.retries = self._extra + usage.retries, 0
            if not self.api_answered and self._extra >= EXTRA_PER_BATCH * self._own:
                return False
            self._extra += 1
            return True

    def ask(self, batch: Batch) -> ApiError | None:
        """Ask for one batch, with retries, and account for its queues; returns a refusal that may concern one of them,
        which is then the caller's to account for.
        """
        plan, usage, failures = self.plan, Usage(), 0
        try:
            while True:
                try:
                    answer = self.client.observe(
                        batch,
                        cycle=plan.number,
                        scheduled_at=self.scheduled_at,
                        deadline=plan.deadline,
                        usage=usage,
                    )
                except RateLimited:
                    if not self.spend(usage):
                        return None  # else the next attempt waits for the pause, or is deferred
                except Transient as error:
                    failures += 1
                    if not self._may_retry(failures, error, usage):
                        self.fail(batch, error, failures)
                        return None
                else:
                    self._take(batch, answer)
                    return None
                self._progress()
        except (Deferred, Stopped):
            return None  # without an account, its queues are deferred
        except TooLarge as error:
            ask_parts(self, batch, error, failures + 1)
            return None
        except ApiError as error:
            if concerns_single_queues(error):
                return error
            self.fail(batch, error, failures + 1)
            return None
        finally:
            with self.lock:
                self._extra += usage.retries
            usage.retries = max(0, usage.requests - 1)
            self.count(usage)

    def look_up(self, queue_id: str) -> Queue | None:
        """The queue as the listing route knows it; None when there is none. Raises as Client.queue."""
        usage = Usage()
        try:
            return self.client.queue(queue_id, deadline=self.plan.deadline, usage=usage)
        finally:
            self.count(usage)

    def count(self, usage: Usage) -> None:
        """Add requests to the cycle's account."""
        with self.lock:
            self._usage.requests += usage.requests
            self._usage.retries += usage.retries
        self._progress()

    def fail(self, batch: Batch, error: ApiError, attempts: int = 1) -> None:
        """Account for a batch that got no usable answer."""
        queues = [queue for queue in batch.queues if queue.id not in self.invalid]
        if not queues:
            return  # they were set aside, and stay so
        failure = BatchFailed(
            cycle=self.plan.number,
            batch=batch.number,
            queue_ids=[queue.id for queue in queues],
            queue_names=[queue.name for queue in queues if queue.name is not None],
            **error.evidence(),
            reason=error.reason,
            attempts=attempts,
        )
        with self.lock:
            if self._closed:
                return
            self.failed.update(dict.fromkeys(failure.queue_ids, error))
            self._batches_failed += 1
            self.last_error = error
            if not error.rejected:  # without a token no other batch can be answered either
                self._fruitless += GIVE_UP_AFTER if isinstance(error, LoginFailed) else 1
            if self.plan.lost:
                self._failures.append(failure)
                return
        self.emit(failure)

    def _poll_batch(self, batch: Batch, refused: deque[tuple[Batch, ApiError]]) -> None:
        if self._fruitless >= GIVE_UP_AFTER and not self.api_answered:
            return
        if batch.number > self._own and not self.spend():
            return
        if (error := self.ask(batch)) is not None:
            refused.append((batch, error))

    def _may_retry(self, failures: int, error: Transient, usage: Usage) -> bool:
        """Back off, at least as long as a 503 asks; False at the last try, at stop, and at the cycle's end."""
        if failures >= MAX_ATTEMPTS or not self.spend(usage):
            return False
        delay = max(full_jitter(failures, RETRY_BASE, RETRY_CAP, self._uniform), error.retry_after or 0.0)
        return self._clock.monotonic() + delay < self.plan.deadline and not self._clock.wait(delay)

    def _take(self, batch: Batch, answer: Answer) -> None:
        memory, plan, snapshots = self.memory, self.plan, answer.snapshots
        present = {snapshot.queue_id for snapshot in snapshots}
        with self.lock:
            if self._closed:
                return
            self._fruitless = 0
            self._largest_answered = max(self._largest_answered, len(batch.queues))
            self.answered |= present
            for queue_id in present & self.invalid.keys():
                del self.invalid[queue_id]
            self._waiting += sum([snapshot.waiting or 0 for snapshot in snapshots])
            facts: list[Fact] = [*memory.to_be_written(snapshots, self._output, scheduled=plan.scheduled)]
            self._unchanged += len(snapshots) - len(facts)
            facts += memory.returned((queue for queue in batch.queues if queue.id in present), plan.number)
            for queue, reason in answer.missing:
                self.missing[queue.id] = reason
                self.invalid.pop(queue.id, None)
                memory.invalid.pop(queue.id, None)
                if queue.id not in memory.missing:
                    memory.missing[queue.id] = plan.number
                    facts.append(QueueMissing(cycle=plan.number, **queue.labels(), reason=reason))
        self.emit(*facts)

    def _close(self, began: float) -> CycleResult:
        """Take no more results, and give account; queues without one are deferred."""
        memory, plan = self.memory, self.plan
        with self.lock:
            self._closed = True
            ids = {queue.id for queue in plan.queues}
            deferred = ids - self.answered - self.missing.keys() - self.invalid.keys() - self.failed.keys()
            memory.deferred = {queue_id: 1 + memory.deferred.get(queue_id, 0) for queue_id in deferred}
            memory.learn_size(self.too_large, self._largest_answered)
            answered = self.answered | self.missing.keys()
            rejected = any(error.rejected for error in self.failed.values())
            memory.learn_failing(self.failed, answered, apart=bool(answered) or rejected)
            memory.suspects &= deferred | self.failed.keys()
            for queue_id in memory.written.keys() - self.answered - deferred:
                del memory.written[queue_id]  # the first line after an absence is always written
        if rejected and not answered and not deferred:
            self.client.drop_token()
        if self.last_error is not None and self.last_error.retry_after is not None and not self.api_answered:
            self.client.hold(self.last_error.retry_after)  # one batch's 503 says nothing of the others
        report = CycleReport(
            cycle=plan.number,
            scheduled_at=self.scheduled_at,
            outcome="ok",
            queues=len(ids),
            snapshots=len(self.answered) - self._unchanged,
            unchanged=self._unchanged,
            missing=len(self.missing),
            invalid=len(self.invalid),
            failed=len(self.failed),
            deferred=len(deferred),
            batches=len(self.batches),
            batches_failed=self._batches_failed,
            requests=self._usage.requests,
            retries=self._usage.retries,
            duration_seconds=round(self._clock.monotonic() - began, 3),
            lateness_seconds=round(plan.lateness, 3),
        )
        report.outcome = outcome_of(report, listed=plan.listed, lost=plan.lost)
        if self.api_answered:
            self.emit(*self._failures)
        return CycleResult(
            report,
            answered=self.answered,
            missing=self.missing,
            invalid=self.invalid,
            failed=self.failed,
            deferred=deferred,
            last_error=self.last_error,
            waiting=self._waiting,
        )
