"""The wall-clock grid on APScheduler: no overlap, no drift, no burst after a stall."""

from __future__ import annotations

import logging
import threading
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
    """APScheduler trigger: multiples of `interval` seconds since the epoch, moved by `offset`.

    A late call gets the next place on the grid, never one that has passed: a clock set forward by decades costs one
    step. APScheduler's own interval trigger walks through every missed run.
    """

    def __init__(self, interval: float, offset: float = 0.0) -> None:
        self.interval = interval
        self.offset = offset

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        after = max(now, previous_fire_time) if previous_fire_time else now
        place = next_tick(after.timestamp() - self.offset, self.interval) + self.offset
        return datetime.fromtimestamp(place, UTC)


class Schedule:
    """Calls `on_tick` at every place of the grid and `on_refresh` every so many seconds, each on its own thread.

    A tick that falls while the last one still runs is not queued: `on_overrun` is called with its epoch seconds.
    """

    def __init__(
        self,
        interval: float,
        *,
        on_tick: Callable[[], None],
        on_overrun: Callable[[float], None],
        on_refresh: Callable[[], None],
    ) -> None:
        self._tick = Grid(interval)
        self._refresh = Grid(interval)
        self._on_tick = on_tick
        self._on_overrun = on_overrun
        self._on_refresh = on_refresh
        threads = ThreadPoolExecutor(JOBS, {"thread_name_prefix": CYCLE_THREADS})
        self._scheduler = BackgroundScheduler(executors={"default": threads}, timezone=UTC, daemon=True)
        self._begins_or_ends = threading.Lock()
        self._stopped = False
        self._once = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}

    def start(self, first: float, *, now: float, interval: float, refresh: float) -> None:
        """Begin, with the first tick at `first` (epoch seconds) and a refresh every `refresh` seconds from `now`."""
        # APScheduler's own messages about skipped runs would repeat what cycle.skipped says.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_listener(self._overran, EVENT_JOB_MAX_INSTANCES)
        self._tick, self._refresh = Grid(interval), Grid(refresh, offset=now % refresh)
        at = datetime.fromtimestamp(first, UTC)
        self._scheduler.add_job(self._on_tick, self._tick, id="cycle", next_run_time=at, **self._once)
        self._scheduler.add_job(self._on_refresh, self._refresh, id="refresh", **self._once)
        with self._begins_or_ends:
            if not self._stopped:
                self._scheduler.start()

    def follow(self, interval: float) -> None:
        """Tick every `interval` seconds from now on."""
        if interval != self._tick.interval:
            self._tick = Grid(interval)
            self._replace("cycle", self._tick)

    def follow_refresh(self, seconds: float, *, now: float) -> None:
        """Refresh every `seconds`, counted from `now` (epoch seconds), where that is not so already."""
        if seconds != self._refresh.interval:
            self._refresh = Grid(seconds, offset=now % seconds)
            self._replace("refresh", self._refresh)

    def refresh_at(self, place: float) -> None:
        """Begin the next refresh at `place` (epoch seconds), or when one that runs by then has ended."""
        self._scheduler.modify_job("refresh", next_run_time=datetime.fromtimestamp(place, UTC))

    def replace(self) -> None:
        """Put the next tick and refresh where their grids now have them: the clock was set."""
        self._replace("cycle", self._tick)
        self._replace("refresh", self._refresh)

    def stop(self) -> None:
        """Begin nothing more, also where start() comes later; does not wait for what runs. Safe from any thread."""
        # APScheduler says that it runs before it has the thread that shutdown() joins.
        with self._begins_or_ends:
            self._stopped = True
            if self._scheduler.running:
                self._scheduler.shutdown(wait=False)

    def _replace(self, job: str, trigger: Grid) -> None:
        if self._scheduler.get_job(job) is not None:
            self._scheduler.reschedule_job(job, trigger=trigger)

    def _overran(self, event: JobSubmissionEvent) -> None:
        if event.job_id == "cycle":
            self._on_overrun(event.scheduled_run_times[-1].timestamp())
