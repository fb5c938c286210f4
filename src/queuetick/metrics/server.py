"""The metrics of one daemon, from its facts to `[metrics] listen`: starts, moves and ends the listener."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from queuetick.clock import Clock
from queuetick.events import Problem
from queuetick.lines import Emitter
from queuetick.metrics.collector import Telemetry, Vitals

if TYPE_CHECKING:
    from queuetick.metrics.scrape import Kept, Listener

log = logging.getLogger(__name__)


class CannotListen(Exception):
    """The address cannot be served. `lasting`: only a person can change that, so restarting is of no use."""

    def __init__(self, problem: str, fix: str, *, lasting: bool) -> None:
        super().__init__(problem)
        self.problem = Problem("metrics.listen", problem, fix)
        self.lasting = lasting


class Exporter:
    """Observes the facts that `emitter` writes from the first `listen` on, and serves what they add up to."""

    def __init__(self, emitter: Emitter, vitals: Callable[[], Vitals], *, clock: Clock) -> None:
        self._emitter = emitter
        self._telemetry = Telemetry(vitals, monotonic=clock.monotonic, now=clock.now)
        self._address: str | None = None
        self._pages: dict[str, Kept] | None = None
        self._listener: Listener | None = None

    @property
    def url(self) -> str | None:
        """Where the metrics are served; None when they are not."""
        return self._listener.url if self._listener is not None else None

    def listen(self, address: str | None) -> None:
        """Serve on `address` from now on, or on none. Raises CannotListen, and then the earlier one stays."""
        if address == self._address:
            return
        if address is None:
            self.close()
            return
        pages = self._prepared()
        try:
            bound = _bind(address)
        except CannotListen:
            if self._listener is None or not _same_port(address, self._address):
                raise
            bound = self._bind_in_place_of_earlier(address)
        self._serve(address, bound, pages)

    def announce(self) -> None:
        """Say where the metrics are; the port may have been left to the system."""
        if self.url is not None:
            log.info("metrics are served on %s/metrics", self.url)

    def close(self) -> None:
        """Stop serving and free the port."""
        listener, self._listener, self._address = self._listener, None, None
        if listener is not None:
            listener.close()

    def _serve(self, address: str, bound: socket.socket, pages: dict[str, Kept]) -> None:
        from queuetick.metrics.scrape import Listener

        self.close()
        self._address, self._listener = address, Listener(bound, pages)
        self._listener.start()

    def _bind_in_place_of_earlier(self, address: str) -> socket.socket:
        """Bind where our own listener is in the way: 127.0.0.1 and 0.0.0.0 cannot both have a port."""
        earlier = self._address
        self.close()
        try:
            return _bind(address)
        except CannotListen:
            if earlier is not None:
                self._serve(earlier, _bind(earlier), self._prepared())
            raise

    def _prepared(self) -> dict[str, Kept]:
        """The pages, by path; observing begins when they are first asked for."""
        if self._pages is not None:
            return self._pages
        try:
            from queuetick.metrics.exposition import CONTENT_TYPE, Exposition
        except ModuleNotFoundError as error:
            raise CannotListen(
                f"needs the package {error.name}, which is not installed",
                "pip install 'queuetick[metrics]', or leave metrics.listen out",
                lasting=True,
            ) from None
        from queuetick.metrics.scrape import Kept, Page

        exposition = Exposition(self._telemetry)

        def metrics() -> Page:
            return Page(exposition.text(), CONTENT_TYPE)

        def health() -> Page:
            found = self._telemetry.health()
            status = 200 if found.status == "ok" else 503
            return Page(msgspec.json.encode(found) + b"\n", "application/json", status)

        self._pages = {"/metrics": Kept(metrics), "/healthz": Kept(health)}
        self._emitter.observers.append(self._telemetry.observe)
        return self._pages


def _bind(address: str) -> socket.socket:
    from queuetick.metrics.scrape import bind

    try:
        return bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fix = "stop what listens there (ss -ltnp shows it), or set another port"
        elif error.errno == errno.EACCES:
            fix = "set a port above 1023"
        else:
            fix = "set an address of this machine"
        raise CannotListen(f"{address} cannot be used: {error.strerror}", fix, lasting=False) from None


def _same_port(one: str, other: str | None) -> bool:
    return other is not None and one.rpartition(":")[2] == other.rpartition(":")[2]
