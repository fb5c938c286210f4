"""From a tick to a report: numbering, skipping, discovery, outage and budget, on whatever clock it is given.

Invariant: for each cycle number 1..N there is exactly one of cycle.completed, cycle.skipped, cycle.crashed.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from msgspec import UNSET

from queuetick.clock import Clock, Stopped, grid_tick, utc
from queuetick.config import Config
from queuetick.events import (
    CycleCrashed,
    CycleReport,
    CycleSkipped,
    IntervalRestored,
    IntervalStretched,
    Queue,
    RequestsPerMinute,
)
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, ListingContradicted, LoginFailed, Transient
from queuetick.genesys.org import Org
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.capacity import fitting_batch_size, interval_in_force, stats_requests_per_minute
from queuetick.polling.cycle import Cycle
from queuetick.polling.discovery import Discovery
from queuetick.polling.memory import CycleResult, Memory
from queuetick.polling.numbers import Numbers, Tick
from queuetick.polling.outage import Outage
from queuetick.polling.plan import Plan
from queuetick.polling.today import Background, Today, in_background

CYCLE_SHARE = 0.9
"""Share of the interval within which a cycle begins requests; the rest lets the last ones end before the next tick."""

PASSING = Transient | LoginFailed | ListingContradicted
"""Why a listing fails that may be answered a cycle later. One that a pause put off has no error at all."""

SWAP_PATIENCE = 1.0
"""Seconds of real time that a tick waits while a reload puts another org in force."""

BATCH_THREADS = "queuetick-batch"
"""How the names of the threads that poll batches begin."""


def _threads(config: Config) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(config.poll.concurrency, thread_name_prefix=BATCH_THREADS)


class CycleRunner:
    """Runs or skips one cycle per tick. Ticks may come from several threads; cycles never overlap."""

    def __init__(
        self,
        org: Org,
        *,
        clock: Clock,
        emit: Callable[..., None],
        uniform: Callable[[float, float], float] = random.uniform,
        background: Background = in_background,
    ) -> None:
        """`background` does work beside the cycles, in a thread."""
        self.org = org
        self.config = org.config
        self.memory = Memory()
        self.interval = float(self.config.poll.interval)
        """Seconds from cycle to cycle in force; longer than configured where the budget needs it."""
        self.progress_at = clock.monotonic()
        """When a cycle last made progress, in monotonic seconds; a pause counts as progress."""
        self.running: int | None = None
        """Number of the cycle that runs now."""
        self.last: CycleResult | None = None
        self.outage = Outage()
        self._clock = clock
        self._emit = emit
        self._uniform = uniform
        self.discovery = Discovery(org.client, self.config.queues, clock=clock, emit=emit)
        self._threads = _threads(self.config)
        self._running = threading.Lock()
        self._numbers = Numbers(clock)
        self._fitting = threading.RLock()
        self._stretched = False
        self._today = Today(clock=clock, emit=emit, background=background)
        self._began_at_once: float | None = None

    @property
    def number(self) -> int:
        """Number of the last tick."""
        return self._numbers.last

    @property
    def queues(self) -> list[Queue] | None:
        """The queues to poll; None when that is not known yet."""
        return self.discovery.queues

    @property
    def batches(self) -> int:
        """Requests that a cycle needs."""
        return math.ceil(len(self.queues or ()) / self.config.poll.batch_size)

    def requests_per_minute(self) -> RequestsPerMinute:
        """What observations and queue.stats need as configured, and what the token may send."""
        needed = self.batches * 60 / self.config.poll.interval + (self.stats_per_minute or 0.0)
        return RequestsPerMinute(needed=round(needed, 1), allowed=self.org.limits.budget)

    @property
    def stats_per_minute(self) -> float | None:
        """Requests a minute that queue.stats takes; None where it is off."""
        stats = self.config.stats
        return stats_requests_per_minute(len(self.queues or ()), stats.every) if stats.enabled else None

    # Ticks

    def first_tick(self, following: float) -> CycleReport | None:
        """Poll at once, for the last place on the grid; the grid begins at `following` (epoch seconds)."""
        now = self._clock.now()
        self._began_at_once = now
        return self._tick(
            grid_tick(now, self.interval), seen=Tick(following - self.interval, now, self._clock.monotonic())
        )

    def tick(self, scheduled: float) -> CycleReport | None:
        """Poll once for the tick at `scheduled` (epoch seconds), or emit why not; None when there is no report."""
        return self._tick(scheduled)

    def overrun(self, scheduled: float) -> None:
        """Account for a tick that fell while a cycle still ran.

        The first cycle runs at once, off the grid: a place on it that comes close behind is no missed tick.
        """
        running = self.running
        at_once = self._began_at_once if running == 1 and self.number == 1 else None
        if at_once is not None and scheduled - at_once < self.interval / 2:
            self._numbers.see(scheduled)
            return
        number = self._next_number(scheduled)
        self._emit(
            CycleSkipped(
                cycle=number, reason="overrun", scheduled_at=utc(scheduled), until=None, running_cycle=running
            )
        )

    def finish_stats(self) -> None:
        """Wait for the `queue.stats` of the last cycle, unless the daemon stops."""
        self._today.finish()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no cycle runs; False when one still does after `seconds` of real time."""
        if self._running.acquire(timeout=seconds):
            self._running.release()
            return True
        return False

    def _tick(self, scheduled: float, *, seen: Tick | None = None) -> CycleReport | None:
        if not self._running.acquire(timeout=0 if self.running is not None else SWAP_PATIENCE):
            self.overrun(scheduled)
            return None
        try:
            self._progress()
            number = self._next_number(scheduled, seen)
            self.org.limits.expire()
            left = self.org.limits.paused_for()
            if left > 0:
                until = utc(self._clock.now() + left)
                self._emit(
                    CycleSkipped(cycle=number, reason="rate_limit", scheduled_at=utc(scheduled), until=until)
                )
                return None
            self.running = number
            return self._run(number, scheduled, at_once=seen is not None)
        except Exception as error:  # noqa: BLE001 - a defect costs its cycle, not the daemon
            self._emit(
                CycleCrashed(
                    cycle=number,
                    scheduled_at=utc(scheduled),
                    error=f"{type(error).__name__}: {error}",
                    traceback="".join(traceback.format_exception(error)),
                )
            )
            return None
        finally:
            self.running = None
            self._progress()
            self._running.release()

    def _run(self, number: int, scheduled: float, *, at_once: bool) -> CycleReport:
        began = self._clock.monotonic()
        lateness = 0.0 if at_once else max(0.0, self._clock.now() - scheduled)
        deadline = began + max(0.1 * self.interval, CYCLE_SHARE * self.interval - lateness)
        if self.queues is None:
            self.discover(deadline=deadline)
        org, discovery = self.org, self.discovery
        org.limits.rate_limit = None  # an earlier cycle's headers do not count for this one
        result = Cycle(
            org.client,
            self.memory,
            Plan(
                number,
                discovery.queues or [],
                scheduled,
                deadline,
                batch_size=self.config.poll.batch_size,
                concurrency=self.config.poll.concurrency,
                lateness=lateness,
                lost=self.outage.cause is not None,
                listed=discovery.complete,
            ),
            threads=self._threads,
            clock=self._clock,
            uniform=self._uniform,
            emit=self._emit,
            output=self.config.output,
            progress=self._progress,
        ).run()
        self.last, report = result, result.report
        report.rate_limit = org.limits.rate_limit or UNSET
        self._emit(report)
        changed = self.outage.judge(
            result,
            error=result.last_error or discovery.error,
            began=began,
            monotonic=self._clock.monotonic(),
            none_selected=discovery.none_selected,
            requests=f"{org.limits.used}/{org.limits.budget} requests",
        )
        if changed is not None:
            self._emit(changed)
        answered = result.answered or result.missing
        if answered and not discovery.believed and isinstance(discovery.error, PASSING | None):
            self.discover(deadline=deadline)  # an outage at start is over: not to wait for the next refresh
        self.fit_interval()
        if answered:
            polled = [queue for queue in discovery.queues or () if queue.id not in result.invalid]
            self._today.begin(
                org.client,
                self.config.stats,
                polled,
                cycle=number,
                scheduled=scheduled,
                deadline=deadline,
            )
        return report

    def _next_number(self, scheduled: float, seen: Tick | None = None) -> int:
        """Number the tick at `scheduled`; ticks that were missed before it are one skipped cycle with a count."""
        number, missed = self._numbers.next(scheduled, self.interval, seen=seen)
        if missed:
            self._emit(
                CycleSkipped(
                    cycle=number - 1,
                    reason="stalled",
                    scheduled_at=utc(scheduled - missed * self.interval),
                    until=utc(self._clock.now()),
                    ticks=missed,
                )
            )
        return number

    def _progress(self) -> None:
        self.progress_at = self._clock.monotonic()

    # Discovery and reload

    def discover(self, *, deadline: float = math.inf) -> ApiError | None:
        """List the organisation's queues and put the selection in force; returns why that failed, if it did.

        Gives up at `deadline` (monotonic seconds) and then keeps what was known.
        """
        discovery = self.discovery
        if discovery.run(deadline=deadline) and discovery is self.discovery:
            self.fit_interval()
        return discovery.error

    def refresh(self) -> None:
        """A discovery on its turn: also gives the ids that were set aside another try."""
        deadline = self._clock.monotonic() + max(60.0, self.interval, 0.5 * self.config.queues.refresh)
        self.discover(deadline=deadline)
        with contextlib.suppress(ApiError, Deferred, Stopped):
            # An id that is refused itself would be refused with every metric.
            good = [queue.id for queue in self.queues or () if queue.id not in self.memory.invalid]
            for queue_id in good[:1]:
                self.org.client.retry_refused_metrics(queue_id, deadline=deadline, usage=Usage())
        with self._running:
            self.memory.try_all_again()
        self._today.try_full_size()

    def give(self, org: Org, config: Config, discovery: Discovery) -> None:
        """Put another org, configuration and selection in force between two cycles. The memory goes on.

        The caller closes the earlier org, where it is another one. A listing under way there is never believed.
        """
        with self._running:
            earlier, self.config = self.config, config
            if org is not self.org:
                self._today.drop()
            self.org = org
            if discovery is not self.discovery:
                self.discovery.close()
                self.discovery = discovery
            if earlier.output != config.output or earlier.genesys.org != config.genesys.org:
                self.memory.written.clear()  # where and how lines go now, none was written yet
            if earlier.poll.concurrency != config.poll.concurrency:
                self._threads.shutdown(wait=False, cancel_futures=True)
                self._threads = _threads(config)
            # A stretched interval stays until it is fitted, which emits an event.
            if self.interval == float(earlier.poll.interval):
                self._set_interval(float(config.poll.interval))
            self.fit_interval()

    def close(self) -> None:
        """Let go of threads and connections; does not wait for requests under way."""
        self.discovery.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.org.close()

    def fit_interval(self) -> None:
        """Stretch the interval to what the budget holds, or restore it; emits an event on the change."""
        with self._fitting:
            wanted, limits = float(self.config.poll.interval), self.org.limits
            limits.expect(self.batches, wanted)
            budget = limits.budget
            fitting, before = interval_in_force(self.batches, wanted, budget), self.interval
            if fitting == before and self._stretched == (fitting > wanted):
                return
            self._set_interval(fitting)
            self._stretched = fitting > wanted
            needed = self.batches * 60 / wanted
            why = (
                f"{self.batches} requests every {wanted:g} s are {needed:g} a minute, the budget is {budget}"
            )
            if self._stretched:
                size = fitting_batch_size(len(self.queues or ()), wanted, budget)
                fix = f"batch_size {size} would fit" if size is not None else "no batch_size fits"
                self._emit(IntervalStretched(from_=before, to=fitting, why=f"{why}; {fix}"))
            else:
                self._emit(IntervalRestored(from_=before, to=fitting, why=why))

    def _set_interval(self, interval: float) -> None:
        if interval != self.interval:
            self.interval = interval
            self._numbers.start_anew()
