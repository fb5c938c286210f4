"""The wall-clock grid on APScheduler: no overlap, no drift, no burst after a stall."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from queuetick.clock import next_tick

JOBS = 2
"""A cycle and a refresh: each runs once at a time, so that more threads would never have work."""

CYCLE_THREADS = "queuetick-cycle"
"""How the names of the threads that run cycles and refreshes begin."""


class Grid(BaseTrigger):  # type: ignore[misc]
    """APScheduler trigger: the wall-clock grid. A late call gets the next place on it, never one that has passed."""

    def __init__(self, interval: Callable[[], float]) -> None:
        self._interval = interval

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        after = max(now, previous_fire_time) if previous_fire_time else now
        return datetime.fromtimestamp(next_tick(after.timestamp(), self._interval()), UTC)


class Schedule:
    """Calls `on_tick` at every place of the grid and `on_refresh` every so many seconds, each on its own thread.

    A tick that falls while the last one still runs is not queued: `on_overrun` hears its epoch seconds instead.
    """

    def __init__(
        self,
        interval: Callable[[], float],
        *,
        on_tick: Callable[[], None],
        on_overrun: Callable[[float], None],
        on_refresh: Callable[[], None],
    ) -> None:
        """`interval` gives the seconds in force, each time the next tick is placed."""
        self._interval = interval
        self._on_tick = on_tick
        self._on_overrun = on_overrun
        self._on_refresh = on_refresh
        threads = ThreadPoolExecutor(JOBS, {"thread_name_prefix": CYCLE_THREADS})
        self._scheduler = BackgroundScheduler(executors={"default": threads}, timezone=UTC, daemon=True)
        self._once = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}

    def start(self, first: float, *, refresh: float) -> None:
        """Begin, with the first tick at `first` (epoch seconds) and a refresh every `refresh` seconds."""
        # APScheduler's own words about skipped runs would say again what cycle.skipped says.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_listener(self._overran, EVENT_JOB_MAX_INSTANCES)
        at = datetime.fromtimestamp(first, UTC)
        self._scheduler.add_job(
            self._on_tick, Grid(self._interval), id="cycle", next_run_time=at, **self._once
        )
        self._scheduler.add_job(self._on_refresh, "interval", seconds=refresh, id="refresh", **self._once)
        self._scheduler.start()

    def replace_tick(self) -> None:
        """Put the next tick where the grid now has it: the interval changed, or the clock was set."""
        if self._scheduler.get_job("cycle") is not None:
            self._scheduler.reschedule_job("cycle", trigger=Grid(self._interval))

    def replace_refresh(self, seconds: float) -> None:
        """Refresh every `seconds` from now on."""
        if self._scheduler.get_job("refresh") is not None:
            self._scheduler.reschedule_job("refresh", trigger="interval", seconds=seconds)

    def stop(self) -> None:
        """Begin nothing more; does not wait for what runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _overran(self, event: JobSubmissionEvent) -> None:
        if event.job_id == "cycle":
            self._on_overrun(event.scheduled_run_times[-1].timestamp())
