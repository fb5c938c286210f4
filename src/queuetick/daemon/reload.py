"""SIGHUP: put another configuration in force, or reject it with every reason.

`prepare` does all that can fail and changes nothing, `swap` cannot fail, then there is one event.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from queuetick.clock import Stopped, monotonic
from queuetick.config import Config, ConfigError
from queuetick.config.rules import check_warnings
from queuetick.daemon.app import App
from queuetick.events import ConfigRejected, ConfigReloaded, Fact, Problem
from queuetick.genesys.errors import LoginFailed, LoginRefused
from queuetick.genesys.org import Org
from queuetick.lines.output import Output, open_output, stdout_is_journal
from queuetick.metrics.exporter import CannotListen
from queuetick.polling.discovery import Discovery

log = logging.getLogger(__name__)


@dataclass
class Prepared:
    """Everything that a configuration needs to come in force. What is None stays as it is."""

    config: Config
    org: Org
    discovery: Discovery
    held: list[Fact]
    """The events of `discovery`'s listing, written after config.reloaded."""
    output: Output | None = None

    def discard(self, app: App) -> None:
        """Let go of what does not come in force."""
        if self.org is not app.runner.org:
            self.org.close()
        if self.output is not None:
            self.output.close(0.0)


def prepare(app: App, config: Config) -> Prepared:
    """Open, connect, log in and list as `config` says. Raises ConfigError when it cannot come in force; nothing is
    changed then.
    """
    app.redact(config)
    held: list[Fact] = []
    current = app.runner.org
    org = current if same_connections(app.config, config) else app.new_org(config, earlier=current)
    prepared = Prepared(config, org, _discovery(app, config, org, held), held)
    try:
        if config.output.path != app.config.output.path:
            prepared.output = _opened(app, config)
        _log_in(org)
        app.listen(config)
    except CannotListen as error:
        prepared.discard(app)
        raise ConfigError([error.problem]) from None
    except BaseException:
        prepared.discard(app)
        raise
    discovery = prepared.discovery
    if discovery is not app.runner.discovery and not discovery.believed:
        discovery.run(deadline=monotonic() + max(10.0, float(config.poll.interval)))
    return prepared


def swap(app: App, prepared: Prepared) -> None:
    """Put what was prepared in force, between two cycles."""
    config, earlier = prepared.config, app.runner.org
    changed = app.config.changed(config)
    prepared.org.limits.configure(config.poll.requests_per_minute)
    app.runner.give(prepared.org, config, prepared.discovery)
    if prepared.org is not earlier:
        earlier.transport.abort()  # ends a listing that is under way
        earlier.close()
    if prepared.org.account is not earlier.account:
        earlier.limits.expire(math.inf)  # its pauses hold for nobody any more
    app.config = config
    app.emitter.configure(
        level=config.log.level,
        profile=config.output.profile,
        org=config.genesys.org,
        media=config.output.media,
        output=prepared.output,
    )
    app.emitter.output.reopen()
    app.schedule.follow(app.runner.interval)
    app.schedule.follow_refresh(config.queues.refresh, now=app.clock.now())
    prepared.discovery.emit = app.emit  # before `held` is read: a cycle may list already
    app.emit(ConfigReloaded(changed=changed), *prepared.held, *check_warnings(config))
    if "metrics.listen" in changed:
        app.exporter.announce()


def same_connections(before: Config, after: Config) -> bool:
    """Whether the org goes on: hosts, credentials and connections are the same.

    A CA bundle may have another content under the same path, so that it always makes a new org.
    """
    return (
        replace(before.genesys, org=None) == replace(after.genesys, org=None)
        and before.credentials == after.credentials
        and before.poll.concurrency == after.poll.concurrency
        and (before.proxy, before.no_proxy) == (after.proxy, after.no_proxy)
        and after.genesys.ca_bundle is None
    )


def same_organisation(before: Org, after: Org) -> bool:
    """Whether both orgs see the same queues, as far as that can be told without asking."""
    client = before.config.credentials.client_id
    return before.hosts == after.hosts and client == after.config.credentials.client_id


def _discovery(app: App, config: Config, org: Org, held: list[Fact]) -> Discovery:
    runner = app.runner
    unchanged = runner.discovery.settings == config.queues
    if unchanged and org is runner.org:
        return runner.discovery
    known = runner.discovery if unchanged and same_organisation(runner.org, org) else None
    return Discovery(
        org.client, config.queues, clock=app.clock, emit=lambda *facts: held.extend(facts), known=known
    )


def _opened(app: App, config: Config) -> Output:
    journal = config.output.path == "-" and stdout_is_journal(app.environ)
    try:
        return open_output(config.output.path, journal=journal)
    except OSError as error:
        problem = Problem("output.path", f"cannot be opened: {error.strerror}", "make it writable")
        raise ConfigError([problem]) from None


def _log_in(org: Org) -> None:
    try:
        org.client.login()
    except LoginRefused as error:
        key, fix = "GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET", "correct them and reload again"
        raise ConfigError([Problem(key, error.reason, fix)]) from None
    except LoginFailed as error:
        log.warning("the new configuration will be in force, but there is no login yet: %s", error.reason)


class Reloader:
    """Begins a reload for each SIGHUP, in a thread of its own: a login may take its time, and a stop must not wait.

    A SIGHUP that comes while a reload runs is not lost: another reload follows.
    """

    def __init__(
        self, app: App, load: Callable[[], Config], *, began: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        """`load` reads the configuration again, in bounded time; `began` and `ended` tell systemd."""
        self._app = app
        self._load = load
        self._began = began
        self._ended = ended
        self.held = False
        """While true, a reload that was asked for waits: the start has not told systemd READY yet."""
        self._wanted = False
        self._thread: threading.Thread | None = None
        self._swapping = threading.Lock()
        self._closed = False

    def ask(self) -> None:
        """A SIGHUP came. Main thread only."""
        self._wanted = True
        self.step()

    def step(self) -> None:
        """Begin a reload that is due. Main thread only."""
        if self.held or not self._wanted or (self._thread is not None and self._thread.is_alive()):
            return
        self._wanted = False
        self._began()
        self._thread = threading.Thread(target=self._run, name="queuetick-reload", daemon=True)
        self._thread.start()

    def end(self, timeout: float) -> None:
        """Put nothing in force any more; what is being put in force has `timeout` seconds.

        An output that is replaced hands its lines over: a stop in between would lose them.
        """
        self._closed = True
        if self._swapping.acquire(timeout=timeout):
            self._swapping.release()

    def _put_in_force(self, prepared: Prepared) -> None:
        with self._swapping:
            if self._closed:
                prepared.discard(self._app)
                raise Stopped
            swap(self._app, prepared)

    def _run(self) -> None:
        problems: list[Problem] = []
        try:
            self._put_in_force(prepare(self._app, self._load()))
        except ConfigError as error:
            problems = error.problems
        except Stopped:
            return
        except Exception as error:
            log.exception("reload failed")
            problems = [Problem("reload", type(error).__name__, "see the log.message line before this one")]
        if problems:
            self._app.emit(ConfigRejected(problems=problems))
            self._app.emitter.output.reopen()
        self._ended()
