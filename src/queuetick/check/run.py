"""The checks in their order. One that needs a check that failed is skipped, and says which."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from queuetick.check import access, configuration, network, queues, selection
from queuetick.check.asking import Asker
from queuetick.check.budget import Measured, budget
from queuetick.check.output import output
from queuetick.check.probe import Probe, clock
from queuetick.check.report import document
from queuetick.check.result import Check, failed, passed, skipped
from queuetick.check.unit import UnitSetUp, set_up_of
from queuetick.clock import Clock
from queuetick.config import Config
from queuetick.config.sources import Unreadable
from queuetick.events import Queue
from queuetick.exit_codes import ExitCode
from queuetick.genesys import stats
from queuetick.genesys.org import Org
from queuetick.genesys.queries import ENDPOINTS
from queuetick.lines.redaction import Redaction, environment_secrets
from queuetick.polling.selection import explicit, select

LISTING = f"permission {access.LISTING}"
STATS = f"permission {stats.PERMISSION}"

LISTING_PATIENCE = 60.0
FIRST_PATIENCE = 10.0
"""Seconds that the listing, and the first query, may take, retries included."""


class Examination:
    """One run of all checks. `results()` gives each when it is done; `redaction` masks what none may show."""

    def __init__(
        self,
        path: Path | None,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        redaction: Redaction | None = None,
        directory: Path | None = None,
        unit: str | None = None,
        keep_answers: bool = False,
    ) -> None:
        """`path` and `directory` are as in `config.load`. `clock.wait` serves the waits between retries.
        `redaction` learns the secrets that are read.

        With `unit`, file, environment and credentials are those of a systemd unit. `report` needs `keep_answers`.
        """
        self.redaction = redaction or Redaction()
        self._config: Config | None = None
        self._probe = Probe(clock.now, keep_answers=keep_answers)
        self._private: set[str] = set()
        self._path = path
        self._directory = directory
        self._environ = environ
        self._clock = clock
        self._unit = unit

    def results(self, *, offline: bool = False) -> Iterator[Check]:
        """Run the checks; `offline` ends after the configuration."""
        with contextlib.ExitStack() as stack:
            if self._unit is None:
                yield from self._results(None, offline=offline)
                return
            try:
                set_up = stack.enter_context(set_up_of(self._unit))
            except Unreadable as error:
                yield failed("unit", error.problem, error.fix)
                yield from self._all_skipped("unit", offline=offline)
                return
            named = f"--config {set_up.config}" if set_up.config else "no --config"
            yield passed("unit", f"{set_up.name}: {named}, as user {set_up.user}", unit=set_up.name)
            yield from self._results(set_up, offline=offline)

    def report(self, checks: Sequence[Check]) -> dict[str, Any]:
        """What may be shown to strangers of the `checks` that ended: see report.py."""
        return document(checks, self._config, self._probe.answers, self._private)

    def _results(self, set_up: UnitSetUp | None, *, offline: bool) -> Iterator[Check]:
        path, environ, directory = self._path, self._environ, self._directory
        labels: Mapping[str, str] = {}
        if set_up is not None:
            path, environ, directory = set_up.config, set_up.environ, set_up.directory
            labels = set_up.labels
        self.redaction.add(environment_secrets(environ))
        check, config = configuration.read(path, environ=environ, directory=directory)
        yield configuration.relabelled(check, labels)
        if config is None:
            yield from self._all_skipped("config", offline=offline)
            return
        self._config = config
        self.redaction.add(config.secrets())
        if not offline:
            yield from self._online(config, environ, set_up)

    def _all_skipped(self, cause: str, *, offline: bool) -> Iterator[Check]:
        names = ["config"] if cause == "unit" else []
        if not offline:
            names += [step.name for step in _steps(f"permission {ENDPOINTS['observations'].permission}")]
        for name in names:
            yield skipped(name, f"{cause} failed")

    def _online(
        self, config: Config, environ: Mapping[str, str], set_up: UnitSetUp | None
    ) -> Iterator[Check]:
        probe = self._probe
        one_clock = Clock(
            wait=lambda seconds: (
                probe.pause is not None or self._clock.wait(seconds)
            ),  # no pause is waited out
            monotonic=self._clock.monotonic,
            now=self._clock.now,
        )
        org = Org(
            config,
            clock=one_clock,
            emit=probe.note,
            redact=lambda token: self.redaction.add([token]),
        )
        org.transport.on_answer = probe.note_answer
        asker = Asker(org, clock=one_clock, emit=probe.note)
        try:
            online = _Online(org, asker, probe, one_clock, lambda: output(config, environ, set_up))
            yield from online.results()
            self._private.update(online.names())
        finally:
            asker.close()
            org.close()


class _Online:
    """The steps from the region to the output, and what an earlier one leaves for a later one."""

    def __init__(
        self, org: Org, asker: Asker, probe: Probe, clock: Clock, look_at_output: Callable[[], Check]
    ) -> None:
        self.permission = f"permission {org.client.permission}"
        self.org = org
        self.probe = probe
        self.clock = clock
        self.look_at_output = look_at_output
        self.targets = network.targets(org)
        self.patience = min(network.PATIENCE, org.config.genesys.timeout)
        self._config = org.config
        self._asker = asker
        self._listing: access.Listing | None = None
        self._observed = False
        self._answers = queues.Answers()
        self._selected = explicit(org.config.queues)

    def results(self) -> Iterator[Check]:
        """Each step's check in their order. Where one that a step needs has failed, the step is skipped."""
        causes: dict[str, str] = {}
        for step in _steps(self.permission):
            cause = next((causes[need] for need in step.needs if need in causes), None)
            check = step.run(self) if cause is None else skipped(step.name, f"{cause} failed")
            if check.status == "fail":
                causes[step.name] = step.name
            elif cause is not None:
                causes[step.name] = cause
            yield check

    def names(self) -> Iterator[str]:
        """The names of the org's queues and divisions, as far as they were listed."""
        for queue in self._listed or ():
            yield from (name for name in (queue.name, queue.division) if name)

    def tls(self) -> Check:
        context = self.org.transport.ssl_context
        return network.tls(self.targets, context, self.patience, now=self.clock.now())

    def list_queues(self) -> Check:
        deadline = self.clock.monotonic() + LISTING_PATIENCE
        self._listing = access.listing(self.org, deadline=deadline)
        if self._listing.queues is not None:
            self._selected = select(self._config.queues, self._listing.queues)
        return self._listing.check

    @property
    def _listed(self) -> list[Queue] | None:
        return self._listing.queues if self._listing is not None else None

    def select_queues(self) -> Check:
        if self._listed is None:
            return selection.not_listed(self._config.queues)
        return selection.selection(self._config.queues, self._listed, self._selected)

    def observe(self) -> Check:
        refused = self._listing is not None and self._listing.check.exit is ExitCode.NOPERM
        if self._listed is None and not refused:
            return skipped(self.permission, f"{LISTING} failed")
        deadline = self.clock.monotonic() + FIRST_PATIENCE
        check = access.observation(
            self.org, self._asker, self._selected, self._answers, self.probe, deadline=deadline
        )
        self._observed = check.status in ("pass", "warn")
        return check

    def each_queue(self) -> Check:
        if not self._observed:
            return skipped("queues", f"{self.permission} did not pass")
        if not self._selected:
            return skipped("queues", "no queue is selected")
        return queues.each_queue(
            self.org, self._asker, self._answers, self._selected, self._listed, clock=self.clock
        )

    def ask_statistics(self) -> Check:
        now, deadline = self.clock.now(), self.clock.monotonic() + FIRST_PATIENCE
        return access.statistics(self.org, self._selected, now=now, deadline=deadline)

    def sum_up(self) -> Check:
        listed, limiter = self._listed, self.org.limits
        if listed is None and self._config.queues.name_globs:
            return skipped("budget", "how many queues there are is not known")
        measured = Measured(
            queues=len(self._selected),
            listed=len(listed) if listed is not None else None,
            allowed=limiter.budget,
            stated=limiter.rate_limit.allowed if limiter.rate_limit else None,
            latency=self._answers.latency,
        )
        return budget(self._config, measured)


class _Step(NamedTuple):
    """One check, and the checks that it needs."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[_Online], Check]


def _steps(permission: str) -> list[_Step]:
    """Every check after config, in its order; `permission` is that of the endpoint."""
    return [
        _Step("region", (), lambda at: network.region(at.org)),
        _Step("proxy", (), lambda at: network.proxy(at.targets, at.patience)),
        _Step("dns", ("proxy",), lambda at: network.names(at.targets, at.patience)),
        _Step("connection", ("dns",), lambda at: network.connections(at.targets, at.patience)),
        _Step("tls", ("connection",), _Online.tls),
        _Step("login", ("tls",), lambda at: access.login(at.org, at.probe)),
        _Step("clock", ("tls",), lambda at: clock(at.probe)),
        _Step(LISTING, ("login",), _Online.list_queues),
        _Step("selection", ("login",), _Online.select_queues),
        _Step(permission, ("login",), _Online.observe),
        _Step("queues", ("login",), _Online.each_queue),
        _Step(STATS, ("login",), _Online.ask_statistics),
        _Step("budget", (), _Online.sum_up),
        _Step("output", (), lambda at: at.look_at_output()),
    ]
