"""The life of the process: start, schedule, signals, reload, systemd, stop.

The main thread only waits for signals and feeds the watchdog; cycles run on APScheduler's threads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from queuetick.clock import Clock, Stopped, grid_tick, monotonic, next_tick
from queuetick.config import Config, ConfigError
from queuetick.daemon.app import Service
from queuetick.daemon.systemd import notifier, reloading, watchdog_interval
from queuetick.events import (
    ConfigRejected,
    CycleReport,
    DaemonStopped,
    Problem,
)
from queuetick.exit_codes import ExitCode
from queuetick.genesys.errors import ApiError, Forbidden, LoginFailed, LoginRefused
from queuetick.lines import Emitter
from queuetick.metrics.exporter import CannotListen
from queuetick.polling.cycle import LAST_REQUESTS
from queuetick.polling.runner import CLOCK_JUMP

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

GRACE = 8.0
"""Seconds that a running cycle and the output together have to end after a stop; the contract allows 10."""

LAST_CYCLE = LAST_REQUESTS + 1.0
"""Seconds of it for the running cycle."""

POLL_SECONDS = 0.5
"""How long the main thread waits for a signal before it looks at clock, output and watchdog."""

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
        """`load` reads the configuration anew, for SIGHUP; `max_cycles` ends the run after so many.

        `serve_metrics` is for the daemon alone: `once` beside it must not ask for the same port.
        """
        self.stop = threading.Event()
        self.exit = ExitCode.OK
        self.last_report: CycleReport | None = None
        self.wrote_all = True
        """False after a run that ended with lines that could not be written."""
        self._emitter = emitter
        self._load = load
        self._max_cycles = max_cycles
        self._notify = notifier(environ)
        self._watchdog = watchdog_interval(environ, os.getpid())
        self._clock = Clock(wait=self.stop.wait)
        self._began = monotonic()
        self._fed_at = 0.0
        self._reason: str | None = None
        self._clock_offset = self._offset()
        self._service = Service(
            config,
            emitter,
            clock=self._clock,
            environ=environ,
            serve_metrics=serve_metrics,
            progressing=lambda: self._healthy(monotonic()),
            on_tick=self._tick,
            on_overrun=self._overran,
        )
        self._cycles = self._service.cycles
        self._reload_thread: threading.Thread | None = None
        self._reload_wanted = False

    @property
    def last_error(self) -> ApiError | None:
        """What the last cycle's last failed batch, or else the last listing, ended with; None where none failed."""
        last = self._cycles.last
        return (last.last_error if last else None) or self._cycles.discovery.error

    def run(self) -> ExitCode:
        """Poll until a signal, an output that closed, or a refusal at start; returns how to exit.

        Must be called in the main thread: it waits for SIGTERM, SIGINT and SIGHUP.
        """
        with _received(SIGNALS) as received:
            try:
                self._service.listen(self._service.config)
            except CannotListen as error:
                return self._cannot_start(error)
            starting = threading.Thread(target=self._contained_start, name="queuetick-start", daemon=True)
            starting.start()
            while self._reason is None:
                try:
                    number = received.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    self._look_around()
                    continue
                if number == signal.SIGHUP:
                    self._reload_wanted = True
                    self._begin_reload()
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
        session = self._cycles.session
        outage: LoginFailed | None = None
        try:
            session.client.login()
        except LoginRefused as error:
            return self._refuse(error.reason)
        except LoginFailed as error:
            outage = error  # not a start failure: the daemon waits for the API to come back
        self._notify(
            "READY=1\nSTATUS=" + (f"waiting for the API: {outage.reason}" if outage else "logged in")
        )
        if outage is None:
            refused = self._cycles.discover(deadline=monotonic() + max(10.0, self._cycles.interval))
            if isinstance(refused, Forbidden) and not self._service.config.queues.ids:
                return self._refuse(_missing_permission(refused, "routing:queue:view"))
        self._service.announce()
        self._cycles.fit_interval()
        if self.stop.is_set():
            return None
        report = self._cycles.first_tick(self._begin_grid())
        self._reported(report)
        last = self._cycles.last.last_error if self._cycles.last else None
        if report is not None and report.outcome == "failed" and isinstance(last, Forbidden):
            return self._refuse(_missing_permission(last, session.client.permission))
        return self._end_if_done()

    def _refuse(self, reason: str) -> None:
        self._service.announce()
        sys.stderr.write(f"queuetick: {reason}\n")
        self._end(f"refused: {reason}", ExitCode.NOPERM)

    def _cannot_start(self, error: CannotListen) -> ExitCode:
        problem = error.problem
        sys.stderr.write(f"queuetick: {problem.key}: {problem.problem}. Fix: {problem.fix}.\n")
        self._emitter.close(1.0)
        self._cycles.close()
        return ExitCode.CONFIG if error.lasting else ExitCode.FAILURE

    def _begin_grid(self) -> float:
        """Start the grid; returns its first place, in epoch seconds. The first cycle runs at once, before it."""
        now = self._clock.now()
        # The first cycle ran at once, off the grid: where the budget has no room for it, the grid begins one later.
        a_minute = (60 / self._cycles.interval + 1) * self._cycles.batches
        room = a_minute <= self._cycles.session.throttle.budget
        first = next_tick(now if room else now + self._cycles.interval, self._cycles.interval)
        self._service.schedule.start(
            first, now=now, interval=self._cycles.interval, refresh=self._service.config.queues.refresh
        )
        return first

    # Cycles

    def _tick(self) -> None:
        if not self.stop.is_set() and not self._enough():
            self._reported(self._cycles.tick(grid_tick(self._clock.now() + 0.01, self._cycles.interval)))
        self._end_if_done()

    def _overran(self, scheduled: float) -> None:
        if not self.stop.is_set() and not self._enough():
            self._cycles.overrun(scheduled)

    def _reported(self, report: CycleReport | None) -> None:
        """Follow the interval in force after a tick, and tell systemd what became of it."""
        self._service.schedule.follow(self._cycles.interval)
        if report is not None:
            self.last_report = report
            throttle = self._cycles.session.throttle
            used = f"{throttle.used}/{throttle.budget} requests a minute"
            self._notify(f"STATUS={self._cycles.outage.status}; {used}")

    def _end_if_done(self) -> None:
        """End a run of so many cycles, also when the last one was skipped or crashed."""
        if self._enough() and self._cycles.running is None:
            self._end("cycles done")

    def _enough(self) -> bool:
        return self._max_cycles is not None and self._cycles.number >= self._max_cycles

    # The main thread's round

    def _look_around(self) -> None:
        if self._emitter.output.closed:
            sys.stderr.write("queuetick: the output was closed, nobody reads the lines\n")
            self._end("output closed", ExitCode.FAILURE)
        self._begin_reload()
        self._cycles.session.throttle.expire()  # a pause that is over is told, not only at the next tick
        offset = self._offset()
        if abs(offset - self._clock_offset) > CLOCK_JUMP:
            log.warning("the wall clock was set by %+.1f s; the grid follows it", offset - self._clock_offset)
            self._service.schedule.replace()
        self._clock_offset = offset
        now = monotonic()
        if self._watchdog is not None and now - self._fed_at >= self._watchdog / 2 and self._healthy(now):
            self._fed_at = now
            self._notify("WATCHDOG=1")

    def _healthy(self, now: float) -> bool:
        """Whether cycles make progress. A pause does (its ticks are skipped); a hung cycle or scheduler does not."""
        patience = 2 * self._cycles.interval + 3 * self._service.config.genesys.timeout + 10
        return now - self._cycles.progress_at < patience

    def _offset(self) -> float:
        return self._clock.now() - monotonic()

    # Reload

    def _begin_reload(self) -> None:
        """In a thread of its own: a login with new credentials may take its time, and a stop must not wait for it.

        A SIGHUP that comes while one runs is not lost: the next round of the main thread begins another.
        """
        if not self._reload_wanted or (self._reload_thread is not None and self._reload_thread.is_alive()):
            return
        self._reload_wanted = False
        self._notify(reloading())
        self._reload_thread = threading.Thread(target=self._reload, name="queuetick-reload", daemon=True)
        self._reload_thread.start()

    def _reload(self) -> None:
        try:
            config = self._load()
            problems = self._service.adopt(config)
        except ConfigError as error:
            problems = error.problems
        except Stopped:
            return
        except Exception as error:
            log.exception("reload failed")
            problems = [
                Problem("reload", f"{type(error).__name__}", "see the log.message line before this one")
            ]
        if problems:
            self._service.emit(ConfigRejected(problems=problems))
        self._emitter.output.reopen()
        self._notify("READY=1")

    # Stop

    def _end(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """Ask the main thread to stop; the first reason counts."""
        if self._reason is None:
            self.exit = code
            self._reason = reason
        self.stop.set()

    def _shut_down(self, starting: threading.Thread) -> ExitCode:
        """End within `GRACE`: requests under way are cut off, the running cycle still gives its account."""
        began = monotonic()
        self.stop.set()
        self._notify("STOPPING=1\nSTATUS=stopping: " + (self._reason or ""))
        self._cycles.session.transport.abort()
        self._service.schedule.stop()
        starting.join(LAST_CYCLE)
        self._cycles.wait_idle(LAST_CYCLE)
        self._service.announce()
        self._service.emit(
            DaemonStopped(
                reason=self._reason or "",
                cycles=self._cycles.number,
                uptime_seconds=round(monotonic() - self._began, 3),
            )
        )
        self.wrote_all = self._emitter.close(max(0.5, GRACE - (monotonic() - began)))
        self._cycles.close()
        self._service.exporter.close()
        return self.exit


def _missing_permission(error: ApiError, permission: str) -> str:
    return (
        f"permission refused ({error.code or error.status}: {error.reason}). Give a role of the OAuth client "
        f"{permission}, in the divisions of the queues: Admin > Integrations > OAuth > Roles"
    )


@contextlib.contextmanager
def _received(signals: tuple[signal.Signals, ...]) -> Iterator[queue.SimpleQueue[int]]:
    """The numbers of the signals that arrive, which are blocked here and in every thread begun within.

    A thread waits for them without an end, because sigtimedwait cannot be trusted with one: interrupted (SIGSTOP and
    SIGCONT, a debugger) and past its time, CPython returns a siginfo that nobody filled in.
    """
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    done = threading.Event()

    def listen() -> None:
        while not done.is_set():
            arrived.put(signal.sigwaitinfo(signals).si_signo)

    before: Any = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    listening = threading.Thread(target=listen, name="queuetick-signals", daemon=True)
    listening.start()
    try:
        yield arrived
    finally:
        done.set()
        if listening.ident is not None and listening.is_alive():
            signal.pthread_kill(listening.ident, signals[0])
            listening.join(1.0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
