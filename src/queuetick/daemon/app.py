"""The composition root: the parts of a run, put together from a configuration."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from msgspec import UNSET

from queuetick import __version__
from queuetick.clock import Clock, grid_tick, monotonic, next_tick
from queuetick.config import Config
from queuetick.config.certificates import server_context
from queuetick.config.rules import check_warnings
from queuetick.events import SCHEMA_VERSION, CycleReport, DaemonStarted, Fact, Level
from queuetick.genesys import sdk
from queuetick.genesys.errors import ApiError
from queuetick.genesys.org import Org
from queuetick.lines import Emitter
from queuetick.metrics.exporter import Exporter
from queuetick.metrics.health import InForce
from queuetick.polling.runner import CycleRunner
from queuetick.polling.schedule import Schedule

log = logging.getLogger(__name__)


class App:
    """Configuration, runner, schedule, metrics and writer, put together. Knows no signals and no systemd."""

    def __init__(
        self,
        config: Config,
        emitter: Emitter,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        serve_metrics: bool,
        tick: Callable[[], None],
        overrun: Callable[[float], None],
    ) -> None:
        """`tick` and `overrun` are what the schedule calls."""
        self.config = config
        self.emitter = emitter
        self.clock = clock
        self.environ = environ
        self._serve_metrics = serve_metrics
        self._held: list[Fact] | None = []
        self._holding = threading.Lock()  # a reload or a stop may come while the start announces itself
        self.redact(config)
        self.schedule = Schedule(
            float(config.poll.interval), on_tick=tick, on_overrun=overrun, on_refresh=self.refresh
        )
        self.runner = CycleRunner(self.new_org(config), clock=clock, emit=self.emit)
        self.exporter = Exporter(emitter.observers.append, self._in_force, clock=clock, mask=emitter.mask)

    # Parts

    def new_org(self, config: Config, *, earlier: Org | None = None) -> Org:
        """The org that `config` asks for; from `earlier` comes what belongs to the OAuth client."""
        return Org(
            config,
            clock=self.clock,
            emit=self.emit,
            redact=lambda token: self.emitter.redact(token, passing=True),
            earlier=earlier,
        )

    def redact(self, config: Config) -> None:
        """Mask the secrets of `config` in everything that leaves the process."""
        self.emitter.redact(*config.secrets())

    def listen(self, config: Config) -> None:
        """Serve metrics where `config` says. Raises CannotListen, ConfigError."""
        if self._serve_metrics:
            self.exporter.listen(config.metrics.listen, server_context(config.metrics))

    # Lines

    def emit(self, *facts: Fact, level: Level | None = None) -> None:
        """Write facts; those from before `announce` wait for it."""
        with self._holding:
            if self._held is not None:
                self._held.extend(facts)
                return
        self.emitter.emit(*facts, level=level)

    def announce(self) -> None:
        """Write daemon.started, so that it is the first line, and what happened before it; once."""
        runner = self.runner
        known = runner.queues is not None
        stats = runner.stats_per_minute
        with self._holding:
            if self._held is None:
                return
            held, self._held = self._held, None
            self.emitter.emit(
                DaemonStarted(
                    version=__version__,
                    schema_version=SCHEMA_VERSION,
                    config=self.config.masked(),
                    queues=len(runner.queues or ()) if known else None,
                    batches=runner.batches if known else None,
                    requests_per_minute=runner.requests_per_minute() if known else None,
                    stats_requests_per_minute=UNSET if stats is None or not known else round(stats, 1),
                ),
                *held,
                *check_warnings(self.config),
            )
        self.exporter.announce()
        if (fallback := sdk.load().fallback) is not None:
            log.warning("the SDK could not be loaded lean, so all of it was: %s", fallback)

    # Steps

    def discover(self) -> ApiError | None:
        """List the queues at the start; returns why that failed, if it did."""
        return self.runner.discover(deadline=monotonic() + max(10.0, self.runner.interval))

    def first_tick(self) -> CycleReport | None:
        """Start the grid, and poll at once.

        Where the budget has no room for a cycle off the grid, the grid begins one place later.
        """
        runner, now = self.runner, self.clock.now()
        a_minute = (60 / runner.interval + 1) * runner.batches
        room = a_minute <= runner.org.limits.budget
        first = next_tick(now if room else now + runner.interval, runner.interval)
        self.schedule.start(first, now=now, interval=runner.interval, refresh=self.config.queues.refresh)
        report = runner.first_tick(first)
        self._follow()
        return report

    def tick(self) -> CycleReport | None:
        """Poll for the present place on the grid."""
        report = self.runner.tick(grid_tick(self.clock.now() + 0.01, self.runner.interval))
        self._follow()
        return report

    def refresh(self) -> None:
        """A discovery when it is due."""
        self.runner.refresh()
        self.schedule.follow(self.runner.interval)

    def _follow(self) -> None:
        """Put the next tick, and the next refresh, where the last tick has left them."""
        self.schedule.follow(self.runner.interval)
        if self.runner.discovery.needs_more_time:
            self.schedule.refresh_at(self.clock.now())

    def progressing(self) -> bool:
        """Whether cycles make progress. A pause does (its ticks are skipped); a hung cycle or scheduler does not."""
        patience = 2 * self.runner.interval + 3 * self.config.genesys.timeout + 10
        return self.clock.monotonic() - self.runner.progress_at < patience

    def close(self) -> None:
        """Let go of threads, connections and the metrics port."""
        self.runner.close()
        self.exporter.close()

    def _in_force(self) -> InForce:
        runner, org, config = self.runner, self.runner.org, self.config
        return InForce(
            interval=runner.interval,
            interval_configured=float(config.poll.interval),
            batch_size=config.poll.batch_size,
            budget_used=org.limits.used,
            budget_allowed=org.limits.budget,
            budget_needed=runner.requests_per_minute().needed,
            org=config.genesys.org,
            route_limits=org.limits.stated_limits,
            thresholds=config.thresholds,
            heartbeat=config.output.heartbeat if config.output.snapshots == "changed" else 0.0,
            stats_every=config.stats.every if config.stats.enabled else None,
            lines_dropped=self.emitter.output.dropped,
            output_stuck_seconds=self.emitter.output.stuck_seconds,
            progressing=self.progressing(),
        )
