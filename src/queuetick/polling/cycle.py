"""One cycle: queues → batches → snapshots → report.

Law: every queue that a cycle sets out to poll ends in exactly one of snapshots, missing, invalid, failed, deferred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from queuetick.clock import Stopped, full_jitter
from queuetick.events import (
    Batch,
    BatchFailed,
    CycleReport,
    Fact,
    Queue,
    QueueInvalid,
    QueueMissing,
    QueueRecovered,
    chunk,
    deferred_first,
    halves,
)
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, LoginFailed, RateLimited, RequestRefused, Transient
from queuetick.genesys.queries import Answer
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.tally import Tally

MAX_ATTEMPTS = 4
"""Tries of one batch within one cycle, where the failure is of the kind that passes."""

RETRY_BASE = 0.5
RETRY_CAP = 5.0
"""Seconds. The n-th retry waits with full jitter: uniform in 0..min(cap, base * 2**n)."""

BATCH_THREADS = "queuetick-batch"
"""How the names of the threads that poll batches begin."""

GIVE_UP_AFTER = 8
"""Batches in a row that failed before any was answered: the API is down, the rest of the cycle is left alone."""

LAST_WORDS = 2.0
"""Seconds of real time that requests under way have to end when the daemon stops. One that waits for a name server or
for a connection cannot be cut off; its queues are then deferred, so that the cycle still gives its account."""

GIVE_UP_SPLITTING = 40
"""Ids refused with 400 in one cycle before any was answered: then it is not the ids that are wrong."""


class Observer(Protocol):
    """What a cycle needs of genesys/client.py."""

    def observe(
        self, batch: Batch, *, cycle: int, scheduled_at: str, deadline: float, usage: Usage
    ) -> Answer: ...


class Poller:
    """Runs cycles, one at a time, and remembers between them which queues are away and which lost their turn."""

    def __init__(
        self,
        client: Observer,
        *,
        concurrency: int,
        emit: Callable[..., None],
        monotonic: Callable[[], float],
        pause: Callable[[float], bool],
        uniform: Callable[[float, float], float],
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """`pause(seconds)` waits and returns True when the daemon is stopping; `emit(*facts)` writes lines."""
        self.client = client
        self._concurrency = concurrency
        self._emit = emit
        self._monotonic = monotonic
        self._pause = pause
        self._uniform = uniform
        self._on_progress = on_progress
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=BATCH_THREADS)
        self._lost_turn: set[str] = set()
        self._missing: dict[str, int] = {}
        self._invalid: dict[str, int] = {}
        self._retry_invalid = False
        self.last_error: ApiError | None = None
        """The error that the last cycle's last failed batch ended with; None when none failed."""
        self.waiting: int = 0
        """Contacts waiting over all snapshots of the last cycle."""

    def retry_invalid(self) -> None:
        """Poll the ids that were set aside once more, in the next cycle."""
        self._retry_invalid = True

    def adopt(self, earlier: Poller) -> None:
        """Take over what an earlier poller remembers, so that a reload repeats no queue.missing line."""
        self._lost_turn = earlier._lost_turn
        self._missing = earlier._missing
        self._invalid = earlier._invalid

    def close(self) -> None:
        """End the threads when their present work is done; does not wait for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def run(
        self,
        cycle: int,
        queues: Sequence[Queue],
        *,
        scheduled_at: str,
        batch_size: int,
        deadline: float,
        lateness: float,
    ) -> CycleReport:
        """Poll `queues` once; no request is begun at or after `deadline` (monotonic seconds).

        Emits snapshot and failure lines as answers come; the report is the caller's to emit. Raises only what is a
        defect of queuetick.
        """
        began = self._monotonic()
        self._forget(queues)
        aside = set() if self._retry_invalid else set(self._invalid)
        self._retry_invalid = False
        tally = Tally(cycle, scheduled_at, deadline)
        tally.invalid = {queue.id for queue in queues if queue.id in aside}
        todo = deferred_first((queue for queue in queues if queue.id not in aside), self._lost_turn)
        batches = chunk(todo, batch_size)
        work = deque(batches)
        workers = min(self._concurrency, len(batches))
        self._await([self._threads.submit(self._work, work, tally) for _ in range(workers)])
        tally.close(queues)
        if tally.crash is not None:
            raise tally.crash
        self._lost_turn = tally.deferred
        self.last_error = tally.last_error
        self.waiting = tally.waiting
        return tally.report(
            queues=len(queues), batches=len(batches), duration=self._monotonic() - began, lateness=lateness
        )

    def _await(self, workers: Iterable[Future[None]]) -> None:
        """Wait until all have ended, or until the daemon stops and they have had time for it."""
        under_way = wait(workers, timeout=0.5).not_done
        while under_way and not self._pause(0.0):
            under_way = wait(under_way, timeout=0.5).not_done
        wait(under_way, timeout=LAST_WORDS)

    def _work(self, work: deque[Batch], tally: Tally) -> None:
        """Take batches until none is left."""
        while tally.crash is None and not tally.closed:
            try:
                batch = work.popleft()
            except IndexError:
                return
            try:
                if tally.fruitless >= GIVE_UP_AFTER and not tally.answered:
                    self._defer(batch, tally)
                else:
                    self._poll(batch, tally)
            except BaseException as error:  # noqa: BLE001 - carried to run(), which raises it in the cycle's thread
                tally.crash = error
            self._on_progress()

    def _poll(self, batch: Batch, tally: Tally) -> None:
        usage = Usage()
        failures = 0
        try:
            while True:
                try:
                    answer = self.client.observe(
                        batch,
                        cycle=tally.cycle,
                        scheduled_at=tally.scheduled_at,
                        deadline=tally.deadline,
                        usage=usage,
                    )
                except RateLimited:
                    usage.retries += (
                        1  # the budget knows of the pause: the next attempt waits for it or is deferred
                    )
                except Transient as error:
                    failures += 1
                    if failures >= MAX_ATTEMPTS or not self._retry_in_time(failures, tally.deadline):
                        return self._fail(batch, tally, error, failures)
                    usage.retries += 1
                else:
                    return self._answered(batch, tally, answer)
                self._on_progress()
        except (Deferred, Stopped):
            self._defer(batch, tally)
        except RequestRefused as error:
            self._refused(batch, tally, error, failures + 1)
        except ApiError as error:
            self._fail(batch, tally, error, failures + 1)
        finally:
            with tally.lock:
                tally.usage.requests += usage.requests
                tally.usage.retries += usage.retries

    def _retry_in_time(self, failures: int, deadline: float) -> bool:
        """Back off; False when the cycle is over before the wait would be, or when stop ended it."""
        delay = full_jitter(failures, RETRY_BASE, RETRY_CAP, self._uniform)
        return self._monotonic() + delay < deadline and not self._pause(delay)

    def _answered(self, batch: Batch, tally: Tally, answer: Answer) -> None:
        facts: list[Fact] = list(answer.snapshots)
        with tally.lock:
            if tally.closed:
                return
            tally.fruitless = 0
            for snapshot in answer.snapshots:
                tally.snapshots.add(snapshot.queue_id)
                tally.waiting += snapshot.waiting or 0
            tally.missing.update(queue.id for queue, _ in answer.missing)
            if self._missing or self._invalid:
                present = {snapshot.queue_id for snapshot in answer.snapshots}
                facts += self._recovered(
                    (queue for queue in batch.queues if queue.id in present), tally.cycle
                )
            for queue, reason in answer.missing:
                self._invalid.pop(queue.id, None)
                if queue.id not in self._missing:
                    self._missing[queue.id] = tally.cycle
                    facts.append(
                        QueueMissing(
                            cycle=tally.cycle,
                            **queue.labels(),
                            reason=reason,
                        )
                    )
        self._emit(*facts)

    def _recovered(self, queues: Iterable[Queue], cycle: int) -> list[QueueRecovered]:
        found = []
        for queue in queues:
            missing, invalid = self._missing.pop(queue.id, None), self._invalid.pop(queue.id, None)
            since = missing if missing is not None else invalid
            if since is not None:
                found.append(
                    QueueRecovered(
                        cycle=cycle,
                        **queue.labels(),
                        was="missing" if missing is not None else "invalid",
                        cycles=cycle - since,
                    )
                )
        return found

    def _refused(self, batch: Batch, tally: Tally, error: RequestRefused, attempts: int) -> None:
        """A 400: halve the batch until the bad ids stand alone, so that the good ones are still reported.

        Costs at most 2 * bad * log2(batch) further requests, once: the bad ids are set aside until the next refresh.
        """
        if tally.split_refusals >= GIVE_UP_SPLITTING and not tally.answered:
            return self._fail(batch, tally, error, attempts)
        if len(batch.queues) > 1:
            for half in self._split(batch, error):
                self._poll(half, tally)
            return None
        queue = batch.queues[0]
        with tally.lock:
            if tally.closed:
                return None
            tally.invalid.add(queue.id)
            tally.split_refusals += 1
            known = queue.id in self._invalid
            self._invalid.setdefault(queue.id, tally.cycle)
            self._missing.pop(queue.id, None)
        if not known:
            self._emit(
                QueueInvalid(
                    cycle=tally.cycle,
                    **queue.labels(),
                    **error.evidence(),
                    reason=error.reason,
                )
            )
        return None

    def _split(self, batch: Batch, error: RequestRefused) -> Iterable[Batch]:
        """The parts to try next: the ids that the answer names alone, and the rest together; else two halves."""
        named = [queue for queue in batch.queues if queue.id in error.named.lower()]
        rest = tuple(queue for queue in batch.queues if queue not in named)
        if named and rest:
            return [Batch(batch.number, rest), *(Batch(batch.number, (queue,)) for queue in named)]
        return halves(batch)

    def _fail(self, batch: Batch, tally: Tally, error: ApiError, attempts: int) -> None:
        with tally.lock:
            if tally.closed:
                return
            tally.failed.update(batch.queue_ids)
            tally.batches_failed += 1
            tally.last_error = error
            # Without a token no other batch can be answered either.
            tally.fruitless += GIVE_UP_AFTER if isinstance(error, LoginFailed) else 1
        self._emit(
            BatchFailed(
                cycle=tally.cycle,
                batch=batch.number,
                queue_ids=batch.queue_ids,
                **error.evidence(),
                reason=error.reason,
                attempts=attempts,
            )
        )

    def _defer(self, batch: Batch, tally: Tally) -> None:
        with tally.lock:
            if not tally.closed:
                tally.deferred.update(batch.queue_ids)

    def _forget(self, queues: Iterable[Queue]) -> None:
        """Drop what is remembered of queues that are polled no more."""
        polled = {queue.id for queue in queues}
        for away in (self._missing, self._invalid):
            for queue_id in away.keys() - polled:
                del away[queue_id]
        self._lost_turn &= polled
