"""The parts of a run, put together from a configuration, and put together anew on a reload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from queuetick import __version__
from queuetick.clock import Clock, monotonic
from queuetick.config import Config
from queuetick.config.rules import check_warnings
from queuetick.events import SCHEMA_VERSION, ConfigReloaded, DaemonStarted, Fact, Level, Problem
from queuetick.genesys import sdk
from queuetick.genesys.errors import LoginFailed, LoginRefused
from queuetick.genesys.org import Session
from queuetick.lines import Emitter
from queuetick.lines.output import Output, open_output, stdout_is_journal
from queuetick.metrics.exporter import Address, CannotListen, Exporter
from queuetick.metrics.health import InForce
from queuetick.polling.runner import CycleRunner
from queuetick.polling.schedule import Schedule

log = logging.getLogger(__name__)


class Service:
    """Config, cycles, schedule, metrics and the writer, wired to each other. Knows no signals and no systemd."""

    def __init__(
        self,
        config: Config,
        emitter: Emitter,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        serve_metrics: bool,
        progressing: Callable[[], bool],
        on_tick: Callable[[], None],
        on_overrun: Callable[[float], None],
    ) -> None:
        self.config = config
        self._emitter = emitter
        self._clock = clock
        self._environ = environ
        self._serve_metrics = serve_metrics
        self._progressing = progressing
        self._held: list[Fact] | None = []
        self._redact_secrets(config)
        self.schedule = Schedule(
            float(config.poll.interval), on_tick=on_tick, on_overrun=on_overrun, on_refresh=self._refresh
        )
        self.cycles = CycleRunner(
            self._session(config),
            clock=clock,
            emit=self.emit,
        )
        self.exporter = Exporter(emitter.observers.append, self._in_force, clock=clock, mask=emitter.mask)

    def announce(self) -> None:
        """Write daemon.started, so that it is the first line, and what happened before it; once."""
        if self._held is None:
            return
        known = self.cycles.queues is not None
        held, self._held = self._held, None
        self.emit(
            DaemonStarted(
                version=__version__,
                schema_version=SCHEMA_VERSION,
                config=self.config.masked(),
                queues=len(self.cycles.queues or ()) if known else None,
                batches=self.cycles.batches if known else None,
                requests_per_minute=self.cycles.requests_per_minute() if known else None,
            ),
            *held,
            *check_warnings(self.config),
        )
        self.exporter.announce()
        if (fallback := sdk.load().fallback) is not None:
            log.warning("the SDK could not be loaded lean, so all of it was: %s", fallback)

    def adopt(self, config: Config) -> list[Problem]:
        """Put `config` in force, or return why not."""
        self._redact_secrets(config)
        changed = self.config.changed(config)
        output = None
        if config.output.path != self.config.output.path:
            try:
                journal = config.output.path == "-" and stdout_is_journal(self._environ)
                output = open_output(config.output.path, journal=journal)
            except OSError as error:
                return [Problem("output.path", f"cannot be opened: {error.strerror}", "make it writable")]
        session = self._session(config, earlier=self.cycles.session)
        try:
            session.client.login()
        except LoginRefused as error:
            key, fix = "GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET", "correct them and reload again"
            return self._turn_down(session, output, Problem(key, error.reason, fix))
        except LoginFailed as error:
            log.warning("the new configuration is in force, but there is no login yet: %s", error.reason)
        try:
            self.listen(config)
        except CannotListen as error:
            return self._turn_down(session, output, error.problem)
        earlier = self.cycles.session
        same = (earlier.hosts, earlier.config.credentials.client_id) == (
            session.hosts, config.credentials.client_id,
        )  # fmt: skip
        self.cycles.give(session, same_organisation=same).close()
        self.schedule.follow(self.cycles.interval)
        self.config = config
        self._emitter.configure(
            level=config.log.level,
            profile=config.output.profile,
            org=config.genesys.org,
            media=config.output.media,
            output=output,
        )
        self.schedule.follow_refresh(config.queues.refresh, now=self._clock.now())
        if not self.cycles.discovery.believed:
            self.cycles.discover(deadline=monotonic() + max(10.0, self.cycles.interval))
            self.schedule.follow(self.cycles.interval)
        self.emit(ConfigReloaded(changed=changed), *check_warnings(config))
        if "metrics.listen" in changed:
            self.exporter.announce()
        return []

    def _turn_down(self, session: Session, output: Output | None, problem: Problem) -> list[Problem]:
        """Undo what a configuration had prepared that is not to come in force."""
        session.close()
        if output is not None:
            output.close(0.0)
        # A session of the same credentials shares the budget, and has set it already.
        self.cycles.session.throttle.configure(self.config.poll.requests_per_minute)
        return [problem]

    def listen(self, config: Config) -> None:
        """Serve metrics where `config` says. Raises CannotListen."""
        if self._serve_metrics:
            metrics = config.metrics
            self.exporter.listen(
                Address(metrics.listen, metrics.tls_cert, metrics.tls_key, metrics.tls_client_ca)
                if metrics.listen is not None
                else None
            )

    def _refresh(self) -> None:
        self.cycles.refresh()
        self.schedule.follow(self.cycles.interval)

    def _in_force(self) -> InForce:
        cycles, session = self.cycles, self.cycles.session
        config = session.config
        return InForce(
            interval=cycles.interval,
            interval_configured=float(config.poll.interval),
            batch_size=config.poll.batch_size,
            budget_used=session.throttle.used,
            budget_allowed=session.throttle.budget,
            budget_needed=cycles.requests_per_minute().needed,
            org=config.genesys.org,
            route_limits=session.throttle.stated_limits,
            thresholds=config.thresholds,
            heartbeat=config.output.heartbeat if config.output.snapshots == "changed" else 0.0,
            stats_every=config.stats.every if config.stats.enabled else None,
            lines_dropped=self._emitter.output.dropped,
            output_stuck_seconds=self._emitter.output.stuck_seconds,
            progressing=self._progressing(),
        )

    def _session(self, config: Config, *, earlier: Session | None = None) -> Session:
        return Session(
            config,
            clock=self._clock,
            emit=self.emit,
            redact=lambda token: self._emitter.redact(token, passing=True),
            earlier=earlier,
        )

    def _redact_secrets(self, config: Config) -> None:
        pair = config.credentials
        self._emitter.redact(pair.client_secret, f"{pair.client_id}:{pair.client_secret}", *config.secrets())

    def emit(self, *facts: Fact, level: Level | None = None) -> None:
        """Write facts; those from before `announce` wait for it."""
        if self._held is not None:
            self._held.extend(facts)
        else:
            self._emitter.emit(*facts, level=level)
