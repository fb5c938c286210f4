"""The checks in their order. One that fails lets those that need it be skipped, each saying why."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from queuetick.check import access, network, selection
from queuetick.check.asking import Asker
from queuetick.check.budget import budget
from queuetick.check.output import output
from queuetick.check.probe import Heard, clock
from queuetick.check.result import Check, Item, passed, skipped
from queuetick.clock import Clock
from queuetick.config import Config, ConfigError
from queuetick.config import load as configuration
from queuetick.config.rules import check_warnings
from queuetick.events import Queue
from queuetick.exit_codes import ExitCode
from queuetick.genesys import sdk
from queuetick.genesys.org import Session
from queuetick.genesys.queries import ENDPOINTS
from queuetick.lines.redaction import Redaction
from queuetick.polling.capacity import MAX_BATCH_SIZE
from queuetick.polling.selection import explicit, select

NETWORK = ("proxy", "dns", "connection", "tls")

PATIENCE = 10.0
"""Seconds that listing and observing may take together, retries included."""

MOST_BATCHES = 50
"""Requests that the queues may cost a check: above, its batches are wider than the daemon's."""


class Examination:
    """One run of all checks. `results()` gives each when it is done; `redaction` masks what none may show."""

    def __init__(
        self, path: Path | None, *, environ: Mapping[str, str], clock: Clock, directory: Path | None = None
    ) -> None:
        """`path` and `directory` are as in `config.load`. `clock.wait` serves the waits between retries."""
        self.redaction = Redaction()
        self._path = path
        self._directory = directory
        self._environ = environ
        self._clock = clock

    def results(self, *, offline: bool = False) -> Iterator[Check]:
        """Run the checks; `offline` ends after the configuration."""
        try:
            config = configuration.load(
                self._path, regions=sdk.region_hosts(), environ=self._environ, directory=self._directory
            )
        except ConfigError as error:
            yield _broken_config(error)
            if not offline:
                yield skipped("everything else", "the configuration does not hold")
            return
        pair = config.credentials
        self.redaction.add([pair.client_secret, f"{pair.client_id}:{pair.client_secret}", *config.secrets()])
        yield _good_config(config)
        if offline:
            return
        session, heard = self._session(config)
        try:
            yield from self._online(config, session, heard)
        finally:
            session.close()
        yield output(config, self._environ)

    def _session(self, config: Config) -> tuple[Session, Heard]:
        heard = Heard(self._clock.now)

        def wait(seconds: float) -> bool:
            return heard.pause is not None or self._clock.wait(seconds)  # a check never waits out a pause

        session = Session(
            config,
            clock=Clock(wait=wait, monotonic=self._clock.monotonic, now=self._clock.now),
            emit=heard.take,
            redact=lambda token: self.redaction.add([token]),
        )
        session.transport.on_answer = heard.answer
        return session, heard

    def _online(self, config: Config, session: Session, heard: Heard) -> Iterator[Check]:
        listed: list[Queue] | None = None
        selected = explicit(config.queues)
        yield network.region(session)
        blocked = None
        for check in self._network(config, session):
            blocked = check.name if check.status == "fail" else blocked
            yield check
        if blocked is None:
            check = access.login(session, heard)
            blocked = "login" if check.status == "fail" else None
            yield check
            yield clock(heard)
        else:
            yield skipped("login", f"{blocked} failed")
            yield skipped("clock", f"{blocked} failed")
        permission = f"permission {ENDPOINTS[config.genesys.endpoint].permission}"
        if blocked is not None:
            for name in (f"permission {access.LISTING}", permission, "selection", "queues"):
                yield skipped(name, f"{blocked} failed")
        else:
            deadline = self._clock.monotonic() + PATIENCE
            listing = access.listing(session, deadline=deadline)
            yield listing.check
            listed = listing.queues
            if listed is not None:
                selected = select(config.queues, listed)
            yield from self._observe(
                config,
                session,
                heard,
                permission=permission,
                listing=listing,
                selected=selected,
                deadline=deadline,
            )
        if listed is None and config.queues.name_globs:
            yield skipped("budget", "how many queues there are is not known")
        else:
            stated = session.throttle.rate_limit.allowed if session.throttle.rate_limit else None
            known = len(listed) if listed is not None else None
            yield budget(config, len(selected), known, session.throttle.budget, stated)

    def _network(self, config: Config, session: Session) -> Iterator[Check]:
        found = network.targets(session)
        patience = min(network.PATIENCE, config.genesys.timeout)
        blocked = None
        for name in NETWORK:
            if blocked is not None:
                yield skipped(name, f"{blocked} failed")
                continue
            if name == "proxy":
                check = network.proxy(found, patience)
            elif name == "dns":
                check = network.names(found, patience)
            elif name == "connection":
                check = network.connections(found, patience)
            else:
                check = network.tls(found, session.transport.ssl_context, patience, now=self._clock.now())
            blocked = name if check.status == "fail" else None
            yield check

    def _observe(
        self,
        config: Config,
        session: Session,
        heard: Heard,
        *,
        permission: str,
        listing: access.Listing,
        selected: list[Queue],
        deadline: float,
    ) -> Iterator[Check]:
        listed = listing.queues
        if listed is None:
            yield selection.not_listed(config.queues)
        else:
            yield selection.selection(config.queues, listed, selected)
        if listed is None and listing.check.exit is not ExitCode.NOPERM:
            why = f"{listing.check.name} failed"
            yield skipped(permission, why)
            yield skipped("queues", why)
            return
        size = min(MAX_BATCH_SIZE, max(config.poll.batch_size, math.ceil(len(selected) / MOST_BATCHES)))
        clock = Clock(
            wait=lambda seconds: heard.pause is not None or self._clock.wait(seconds),
            monotonic=self._clock.monotonic,
            now=self._clock.now,
        )
        asker = Asker(session, clock=clock, emit=heard.take)
        try:
            check = access.observation(session, asker, selected, heard, batch_size=size, deadline=deadline)
            yield check
            if check.status != "pass":
                yield skipped("queues", f"{permission} failed")
            elif not selected:
                yield skipped("queues", "no queue is selected")
            else:
                yield selection.each_queue(
                    session, asker, selected, listed, heard, batch_size=size, deadline=deadline
                )
        finally:
            asker.close()


def real_clock() -> Clock:
    return Clock(wait=threading.Event().wait)


def _broken_config(error: ConfigError) -> Check:
    items = tuple(Item(problem.key, "fail", problem.problem, problem.fix) for problem in error.problems)
    message = f"{items[0].subject} {items[0].message}"
    if len(items) > 1:
        message = f"{len(items)} problems"
    fix = items[0].fix if len(items) == 1 else "mend each one below"
    return Check("config", "fail", message, fix, items=items if len(items) > 1 else (), exit=ExitCode.CONFIG)


def _good_config(config: Config) -> Check:
    where = config.source or "no file: defaults and environment"
    warnings = check_warnings(config)
    items = tuple(Item(warning.key, "warn", warning.problem, warning.fix) for warning in warnings)
    if not items:
        return passed("config", where, source=config.source)
    message = f"{where}; {items[0].subject}: {items[0].message}"
    evidence = {"source": config.source}
    return Check(
        "config", "warn", message, items[0].fix, evidence=evidence, items=items if len(items) > 1 else ()
    )
