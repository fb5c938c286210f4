"""The life of the process: start, signals, systemd, stop.

The main thread only waits for signals and feeds the watchdog; cycles run on APScheduler's threads.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping

from queuetick.clock import Clock, Stopped, monotonic
from queuetick.config import Config
from queuetick.daemon.app import App
from queuetick.daemon.reload import Reloader
from queuetick.daemon.signals import MEANINGLESS, Signals, ends_on_hangup, name_of
from queuetick.daemon.systemd import notifier, reloading, watchdog_interval
from queuetick.events import Batch, CycleReport, DaemonStopped
from queuetick.exit_codes import ExitCode
from queuetick.genesys.auth import MIN_LOGIN_DISTANCE
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, Forbidden, LoginFailed, LoginRefused
from queuetick.genesys.rate_limit import Deferred
from queuetick.lines import Emitter
from queuetick.lines.descriptors import warn
from queuetick.metrics.exporter import CannotListen
from queuetick.polling.cycle import LAST_REQUESTS
from queuetick.polling.isolation import concerns_single_queues
from queuetick.polling.numbers import CLOCK_JUMP

GRACE = 8.0
"""Seconds that a running cycle and the output together have to end after a stop; the contract allows 10."""

LAST_CYCLE = LAST_REQUESTS + 1.0
"""Seconds of it for the running cycle."""

ROUND = 0.5
"""Seconds that the main thread waits for a signal before it looks at clock, output and watchdog."""

BEFORE_ASKING_AGAIN = 1.0
"""Seconds from a refusal at the start to the request that confirms it."""

log = logging.getLogger(__name__)


class Daemon:
    """One run, from start to `daemon.stopped`."""

    def __init__(
        self,
        config: Config,
        emitter: Emitter,
        *,
        environ: Mapping[str, str],
        load: Callable[[], Config],
        max_cycles: int | None = None,
        serve_metrics: bool = False,
    ) -> None:
        """`load` reads the configuration again, for SIGHUP; `max_cycles` ends the run after so many.

        `serve_metrics` is for the daemon alone: `once` beside it must not ask for the same port.
        """
        self.stop = threading.Event()
        self.exit = ExitCode.OK
        self.last_report: CycleReport | None = None
        self.wrote_all = True
        """False after a run that ended with lines that could not be written."""
        self._emitter = emitter
        self._max_cycles = max_cycles
        self._notify = notifier(environ, emitter.mask)
        self._watchdog = watchdog_interval(environ, os.getpid())
        self._clock = Clock(wait=self.stop.wait)
        self._began = monotonic()
        self._fed_at = 0.0
        self._reason: str | None = None
        self._clock_offset = self._offset()
        self._signals = Signals()
        self._app = App(
            config,
            emitter,
            clock=self._clock,
            environ=environ,
            serve_metrics=serve_metrics,
            tick=self._tick,
            overrun=self._overrun,
        )
        self._reloader = Reloader(
            self._app,
            load,
            began=lambda: self._notify(reloading()),
            ended=lambda: self._notify("READY=1"),
        )
        self._reloader.held = True

    @property
    def last_error(self) -> ApiError | None:
        """What the last cycle's last failed batch, or else the last listing, ended with; None where none failed."""
        last = self._app.runner.last
        return (last.last_error if last else None) or self._app.runner.discovery.error

    @property
    def none_selected(self) -> str | None:
        """Why the listing selects no queue."""
        return self._app.runner.discovery.none_selected

    @property
    def paused(self) -> bool:
        """Whether the API has asked for a pause of the listing or of the observations."""
        limits = self._app.runner.org.limits
        return max(limits.paused_for("listing"), limits.paused_for("observations")) > 0

    def run(self) -> ExitCode:
        """Poll until a signal, an output that closed, or a refusal at start; returns how to exit.

        Must be called in the main thread: it waits for signals.
        """
        hangup_ends = ends_on_hangup()
        with self._signals:
            try:
                self._app.listen(self._app.config)
            except CannotListen as error:
                return self._cannot_start(error)
            starting = threading.Thread(target=self._contained_start, name="queuetick-start", daemon=True)
            starting.start()
            while self._reason is None:
                number = self._signals.get(ROUND)
                if number is None:
                    self._look_around()
                elif number in MEANINGLESS:
                    log.info("%s is ignored", name_of(number))
                elif number == signal.SIGHUP and not hangup_ends:
                    self._reloader.ask()
                else:
                    self._end(signal.Signals(number).name)
            return self._shut_down(starting)

    # Start

    def _contained_start(self) -> None:
        try:
            self._start()
        except Stopped:
            pass
        except Exception as error:
            log.exception("start failed")
            self._end(f"start failed: {type(error).__name__}", ExitCode.FAILURE)

    def _start(self) -> None:
        """Log in, find the queues, run the first cycle, then hand over to the grid."""
        app = self._app
        failure = self._log_in()
        if isinstance(failure, LoginRefused):
            return self._refuse(failure.reason)
        # An outage is not a start failure: the daemon waits for the API to come back.
        waiting = f"waiting for the API: {failure.reason}" if failure else "logged in"
        self._notify(f"READY=1\nSTATUS={waiting}")
        self._reloader.held = False
        if failure is None:
            refused = app.discover()
            if (
                isinstance(refused, Forbidden)
                and not app.config.queues.ids
                and not self._wait(BEFORE_ASKING_AGAIN)
            ):
                refused = app.discover()
                if isinstance(refused, Forbidden):
                    return self._refuse(_missing_permission(refused, "routing:queue:view"))
        app.announce()
        app.runner.fit_interval()
        if self.stop.is_set():
            return None
        self._report(app.first_tick())
        refused = self._query_refused()
        if refused is not None:
            return self._refuse(_missing_permission(refused, app.runner.org.client.permission))
        return self._end_if_done()

    def _log_in(self) -> LoginFailed | None:
        """Why there is no token; a refusal of the credentials is asked for twice."""
        for attempt in range(2):
            try:
                self._app.runner.org.client.login()
            except LoginRefused as error:
                if attempt or self._wait(MIN_LOGIN_DISTANCE):
                    return error
            except LoginFailed as error:
                return error
            else:
                return None
        return None

    def _query_refused(self) -> Forbidden | None:
        """The 403 with which the first cycle and one more query were refused, whatever queues they ask for."""
        runner = self._app.runner
        last, report = runner.last, self.last_report
        error = last.last_error if last else None
        if (
            report is None
            or report.outcome != "failed"
            or not _is_general(error)
            or self._wait(BEFORE_ASKING_AGAIN)
        ):
            return None
        batch = Batch(1, tuple((runner.queues or [])[: self._app.config.poll.batch_size]))
        deadline = monotonic() + self._app.config.genesys.timeout
        try:
            runner.org.client.observe(batch, cycle=0, scheduled_at="", deadline=deadline, usage=Usage())
        except Forbidden as again:
            return again if _is_general(again) else None
        except (ApiError, Deferred):
            pass
        return None

    def _wait(self, seconds: float) -> bool:
        return self._clock.wait(seconds)

    def _refuse(self, reason: str) -> None:
        self._app.announce()
        warn(self._emitter.mask(reason))
        self._end(f"refused: {reason}", ExitCode.NOPERM)

    def _cannot_start(self, error: CannotListen) -> ExitCode:
        problem = error.problem
        warn(f"{problem.key}: {problem.problem}. Fix: {problem.fix}.")
        self._emitter.close(1.0)
        self._app.close()
        return ExitCode.CONFIG if error.lasting else ExitCode.FAILURE

    # Cycles

    def _tick(self) -> None:
        if not self.stop.is_set() and not self._enough():
            self._report(self._app.tick())
        self._end_if_done()

    def _overrun(self, scheduled: float) -> None:
        if not self.stop.is_set() and not self._enough():
            self._app.runner.overrun(scheduled)

    def _report(self, report: CycleReport | None) -> None:
        if report is not None:
            self.last_report = report
            self._notify(f"STATUS={self._app.runner.outage.status}")

    def _end_if_done(self) -> None:
        """End a run of so many cycles, also when the last one was skipped or crashed."""
        if self._enough() and self._app.runner.running is None:
            self._app.runner.finish_stats()
            self._end("cycles done")

    def _enough(self) -> bool:
        return self._max_cycles is not None and self._app.runner.number >= self._max_cycles

    # The main thread's round

    def _look_around(self) -> None:
        if self._emitter.output.closed:
            self._end("output closed", ExitCode.FAILURE)
        self._reloader.step()
        self._app.runner.org.limits.expire()  # a pause that is over is told, not only at the next tick
        offset = self._offset()
        if abs(offset - self._clock_offset) > CLOCK_JUMP:
            log.warning("the wall clock was set by %+.1f s; the grid follows it", offset - self._clock_offset)
            self._app.schedule.replace()
        self._clock_offset = offset
        now = monotonic()
        if (
            self._watchdog is not None
            and now - self._fed_at >= self._watchdog / 2
            and self._app.progressing()
        ):
            self._fed_at = now
            self._notify("WATCHDOG=1")

    def _offset(self) -> float:
        return self._clock.now() - monotonic()

    # Stop

    def _end(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """Ask the main thread to stop; the first reason counts."""
        if self._reason is None:
            self.exit = code
            self._reason = reason
        self.stop.set()
        self._signals.wake()

    def _shut_down(self, starting: threading.Thread) -> ExitCode:
        """End within `GRACE`: requests under way are cut off, the running cycle still gives its account."""
        began, app = monotonic(), self._app
        reason = self._reason or ""
        self.stop.set()
        self._notify(f"STOPPING=1\nSTATUS=stopping: {reason}")
        app.runner.org.transport.abort()
        self._reloader.end(LAST_CYCLE)
        app.runner.org.transport.abort()  # of an org that the reload has brought
        app.schedule.stop()
        starting.join(LAST_CYCLE)
        app.runner.wait_idle(LAST_CYCLE)
        app.announce()
        app.emit(
            DaemonStopped(
                reason=reason,
                cycles=app.runner.number,
                uptime_seconds=round(monotonic() - self._began, 3),
            )
        )
        self.wrote_all = self._emitter.close(max(0.5, GRACE - (monotonic() - began)))
        if self._emitter.output.closed:  # seen perhaps only now, with the last lines
            warn("the output was closed: no program reads the lines")
        app.close()
        return self.exit


def _is_general(error: ApiError | None) -> bool:
    """Whether a 403 refuses the client as a whole, whatever queues it asks for."""
    return isinstance(error, Forbidden) and (
        not concerns_single_queues(error) or error.code == "missing.any.division.permissions"
    )


def _missing_permission(error: ApiError, permission: str) -> str:
    return (
        f"permission refused ({error.code or error.status}: {error.reason}). Give a role of the OAuth client "
        f"{permission}, in the divisions of the queues: Admin > Integrations > OAuth > Roles"
    )
