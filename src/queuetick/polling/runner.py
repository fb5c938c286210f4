"""From a tick to a report: numbering, skipping, discovery, outage and budget, on whatever clock it is given.

Law: for each cycle number 1..N there is exactly one of cycle.completed, cycle.skipped, cycle.crashed.
"""

from __future__ import annotations

import math
import random
import threading
import traceback
from collections.abc import Callable
from typing import NamedTuple

from msgspec import UNSET

from queuetick.clock import Clock, Stopped, utc
from queuetick.events import (
    ApiLost,
    ApiRecovered,
    CycleCrashed,
    CycleReport,
    CycleSkipped,
    IntervalRestored,
    IntervalStretched,
    Queue,
    QueuesRefreshFailed,
    RequestsPerMinute,
)
from queuetick.genesys.errors import ApiError, LoginFailed, RateLimited, Transient
from queuetick.genesys.org import Session
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling import selection
from queuetick.polling.capacity import fitting_batch_size, interval_in_force
from queuetick.polling.cycle import Poller

CYCLE_SHARE = 0.9
"""Share of the interval within which a cycle begins requests; the rest lets the last ones end before the next tick."""

DISCOVERY_ATTEMPTS = 3

CLOCK_JUMP = 1.0
"""Seconds; a wall clock that moved more than this against the monotonic one was set."""

HANDOVER = 1.0
"""Seconds of real time that a tick waits while a reload puts another session in force."""


class _Tick(NamedTuple):
    """A tick that was accounted for: its place on the grid, and what both clocks showed then."""

    scheduled: float
    now: float
    monotonic: float


class Cycles:
    """Runs or skips one cycle per tick. Ticks may come from several threads; cycles never overlap."""

    def __init__(
        self,
        session: Session,
        *,
        clock: Clock,
        emit: Callable[..., None],
        uniform: Callable[[float, float], float] = random.uniform,
        on_progress: Callable[[], None] = lambda: None,
        on_report: Callable[[CycleReport], None] = lambda _: None,
        on_interval: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_interval` is called when the interval in force has changed; `on_report` after each completed cycle."""
        self.session = session
        self.number = 0
        self.interval = float(session.config.poll.interval)
        self.queues: list[Queue] | None = selection.explicit(session.config.queues) or None
        self.discovered = False
        self.refused: ApiError | None = None
        """Why the last discovery failed; None when it did not."""
        self.running: int | None = None
        """Number of the cycle that runs now."""
        self._clock = clock
        self._emit = emit
        self._uniform = uniform
        self._on_progress = on_progress
        self.poller = self._poller(session)
        self._on_report = on_report
        self._on_interval = on_interval
        self._running = threading.Lock()
        self._numbers = threading.Lock()
        self._fitting = threading.RLock()
        self._last_tick: _Tick | None = None
        self._lost_at: float | None = None
        self._lost_cycles = 0

    @property
    def batches(self) -> int:
        """Requests that a cycle needs."""
        return math.ceil(len(self.queues or ()) / self.session.config.poll.batch_size)

    def requests_per_minute(self) -> RequestsPerMinute:
        """The budget's sum at the configured interval."""
        needed = self.batches * 60 / self.session.config.poll.interval
        return RequestsPerMinute(needed=round(needed, 1), allowed=self.session.throttle.budget)

    def tick(self, scheduled: float) -> CycleReport | None:
        """Poll once for the tick at `scheduled` (epoch seconds), or say why not; None when there is no report."""
        if not self._running.acquire(timeout=0 if self.running is not None else HANDOVER):
            self.overrun(scheduled)
            return None
        try:
            number = self._next_number(scheduled)
            self.session.throttle.expire()
            left = self.session.throttle.paused_for()
            if left > 0:
                self._emit(
                    CycleSkipped(
                        cycle=number,
                        reason="rate_limit",
                        scheduled_at=utc(scheduled),
                        until=utc(self._clock.now() + left),
                    )
                )
                return None
            self.running = number
            report = self._run(number, scheduled)
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
            self._running.release()
        self._on_report(report)
        return report

    def overrun(self, scheduled: float) -> None:
        """Account for a tick that fell while a cycle still ran.

        The first cycle runs at once, off the grid: a place on it that comes close behind is no missed tick.
        """
        running = self.running
        first = self._last_tick if running == 1 and self.number == 1 else None
        if first is not None and scheduled - first.scheduled < self.interval / 2:
            return
        number = self._next_number(scheduled)
        self._emit(
            CycleSkipped(
                cycle=number, reason="overrun", scheduled_at=utc(scheduled), until=None, running_cycle=running
            )
        )

    def rebase(self) -> None:
        """Forget where the last tick was: the grid has changed."""
        self._last_tick = None

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no cycle runs; False when one still does after `seconds` of real time."""
        if self._running.acquire(timeout=seconds):
            self._running.release()
            return True
        return False

    def discover(self, *, deadline: float = math.inf) -> None:
        """List the org's queues and put the selection in force.

        Gives up at `deadline` (monotonic seconds) and then keeps what was known. `refused` says why it failed.
        """
        try:
            listing = self._listing(deadline)
        except (Deferred, Stopped):
            return
        except ApiError as error:
            if self.refused is None:
                self._emit(
                    QueuesRefreshFailed(
                        **error.evidence(),
                        reason=error.reason,
                    )
                )
            self.refused = error
            return
        self.refused = None
        after = selection.select(self.session.config.queues, listing)
        changed = selection.changes(self.queues if self.discovered else None, after)
        self.queues, self.discovered = after, True
        if changed is not None:
            self._emit(changed)
            self.fit_interval()

    def refresh(self) -> None:
        """A discovery on its turn: also gives the ids that were set aside another try."""
        self.discover(deadline=self._clock.monotonic() + max(60.0, self.interval))
        self.poller.retry_invalid()

    def adopt(self, session: Session) -> Session:
        """Put another session in force between two cycles; returns the earlier one, for the caller to close."""
        with self._running:
            earlier, self.session = self.session, session
            poller = self._poller(session)
            poller.adopt(self.poller)
            self.poller.close()
            self.poller = poller
            if earlier.config.queues != session.config.queues:
                self.queues, self.discovered = selection.explicit(session.config.queues) or None, False
            # A stretched interval stays until it is fitted, which says the change.
            if self.interval == float(earlier.config.poll.interval):
                self._set_interval(float(session.config.poll.interval))
            self.fit_interval()
        return earlier

    def close(self) -> None:
        """Let go of threads and idle connections."""
        self.poller.close()
        self.session.close()

    def _poller(self, session: Session) -> Poller:
        return Poller(
            session.client,
            concurrency=session.config.poll.concurrency,
            emit=self._emit,
            monotonic=self._clock.monotonic,
            pause=self._clock.wait,
            uniform=self._uniform,
            on_progress=self._on_progress,
        )

    def _listing(self, deadline: float) -> list[Queue]:
        failures = 0
        while True:
            try:
                return self.session.client.queues(deadline=deadline)
            except RateLimited:
                continue  # the budget holds the next request until the pause is over, or defers it
            except Transient:
                failures += 1
                if failures >= DISCOVERY_ATTEMPTS or self._clock.wait(0.5 * failures):
                    raise

    def _next_number(self, scheduled: float) -> int:
        """Number the tick at `scheduled`; ticks that were missed before it are one skipped cycle with a count."""
        with self._numbers:
            missed = self._missed_before(scheduled)
            if missed > 0:
                self.number += 1
                skipped = self.number
            self.number += 1
            number = self.number
        if missed > 0:
            self._emit(
                CycleSkipped(
                    cycle=skipped,
                    reason="stalled",
                    scheduled_at=utc(scheduled - missed * self.interval),
                    until=utc(self._clock.now()),
                    ticks=missed,
                )
            )
        return number

    def _missed_before(self, scheduled: float) -> int:
        """How many ticks passed unseen since the last one. A clock that was set is no time that has passed."""
        tick = _Tick(scheduled, self._clock.now(), self._clock.monotonic())
        last, self._last_tick = self._last_tick, tick
        if last is None:
            return 0
        passed = tick.monotonic - last.monotonic
        if abs((tick.now - last.now) - passed) <= CLOCK_JUMP:
            passed = scheduled - last.scheduled
        return max(0, round(passed / self.interval) - 1)

    def _run(self, number: int, scheduled: float) -> CycleReport:
        began = self._clock.monotonic()
        lateness = max(0.0, self._clock.now() - scheduled)
        deadline = began + max(0.1 * self.interval, CYCLE_SHARE * self.interval - lateness)
        if self.queues is None:
            self.discover(deadline=deadline)
        session = self.session
        session.throttle.rate_limit = None  # what an earlier cycle's answers said is no fact of this one
        report = self.poller.run(
            number,
            self.queues or [],
            scheduled_at=utc(scheduled),
            batch_size=session.config.poll.batch_size,
            deadline=deadline,
            lateness=lateness,
        )
        if self.queues is None:
            report.outcome = "failed"  # nothing is known to poll: discovery has not answered yet
        report.rate_limit = session.throttle.rate_limit or UNSET
        self._emit(report)
        self._judge(report, began, self.poller.last_error or self.refused)
        answered = report.snapshots or report.missing
        if answered and not self.discovered and isinstance(self.refused, Transient | LoginFailed):
            self.discover(deadline=deadline)  # an outage at start is over: not to wait for the next refresh
        self.fit_interval()
        return report

    def _judge(self, report: CycleReport, began: float, error: ApiError | None) -> None:
        """Say on the change, and only then, that the API is lost or back. An outage counts from where its first
        cycle began.
        """
        if report.outcome == "failed":
            self._lost_cycles += 1
            if self._lost_at is None:
                self._lost_at = began
                cause = error or ApiError("no answer")
                self._emit(ApiLost(reason=cause.reason, **cause.evidence()))
        elif self._lost_at is not None and (report.snapshots or report.missing or report.outcome == "ok"):
            self._emit(
                ApiRecovered(
                    outage_seconds=round(self._clock.monotonic() - self._lost_at, 3), cycles=self._lost_cycles
                )
            )
            self._lost_at, self._lost_cycles = None, 0

    def fit_interval(self) -> None:
        """Stretch the interval to what the budget holds, or restore it; says so on the change."""
        with self._fitting:
            self._fit()

    def _fit(self) -> None:
        self.session.throttle.expect(self.batches)
        poll, budget = self.session.config.poll, self.session.throttle.budget
        wanted = float(poll.interval)
        fitting = interval_in_force(self.batches, wanted, budget)
        if fitting == self.interval:
            return
        before = self.interval
        self._set_interval(fitting)
        needed = self.batches * 60 / wanted
        why = f"{self.batches} requests every {wanted:g} s are {needed:g} a minute, the budget is {budget}"
        if fitting > wanted:
            size = fitting_batch_size(len(self.queues or ()), wanted, budget)
            fix = f"batch_size {size} would fit" if size is not None else "no batch_size fits"
            self._emit(IntervalStretched(from_=before, to=fitting, why=f"{why}; {fix}"))
        else:
            self._emit(IntervalRestored(from_=before, to=fitting, why=why))

    def _set_interval(self, interval: float) -> None:
        if interval != self.interval:
            self.interval = interval
            self.rebase()
            self._on_interval()
