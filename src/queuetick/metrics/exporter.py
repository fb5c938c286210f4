"""The metrics of one daemon, from its events to `[metrics] listen`: starts, moves and ends the listener."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from queuetick.clock import Clock
from queuetick.events import Fact, Problem
from queuetick.metrics.health import InForce

if TYPE_CHECKING:
    import ssl

    from queuetick.metrics.pages import Pages
    from queuetick.metrics.server import Listener

log = logging.getLogger(__name__)


class CannotListen(Exception):
    """The address cannot be served. `lasting`: only a person can change that, so a restart does not help."""

    def __init__(self, problem: str, fix: str, *, lasting: bool) -> None:
        super().__init__(problem)
        self.problem = Problem("metrics.listen", problem, fix)
        self.lasting = lasting


class Exporter:
    """Observes the events from the first `listen` on, and serves what they add up to."""

    def __init__(
        self,
        subscribe: Callable[[Callable[[Fact], None]], None],
        in_force: Callable[[], InForce],
        *,
        clock: Clock,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`subscribe` takes the function that is to see every event; `mask` takes secrets out of a text."""
        self._subscribe = subscribe
        self._in_force = in_force
        self._clock = clock
        self._mask = mask
        self._pages: Pages | None = None
        self._listener: Listener | None = None

    @property
    def url(self) -> str | None:
        """Where the metrics are served; None when they are not."""
        return self._listener.url if self._listener is not None else None

    def listen(self, address: str | None, tls: ssl.SSLContext | None = None) -> None:
        """Serve on `address` (host:port) from now on, or on none. Raises CannotListen, and then the earlier one stays.

        The same address again takes the new `tls`: the certificate may have been renewed.
        """
        if address is None:
            self.close()
            return
        pages, earlier = self._prepared(), self._listener
        if earlier is not None and (earlier.address, earlier.tls is None) == (address, tls is None):
            earlier.use(tls)
        elif earlier is not None and _port(earlier.address) == _port(address):
            self._take_over(earlier, address, tls, pages)
        else:
            self._serve(address, tls, pages)

    def announce(self) -> None:
        """Say where the metrics are; the port may have been left to the system."""
        if self.url is not None:
            log.info("metrics are served on %s/metrics", self.url)

    def close(self) -> None:
        """Stop serving and free the port."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _serve(self, address: str, tls: ssl.SSLContext | None, pages: Pages) -> None:
        """Bind, and only then close the earlier listener."""
        from queuetick.metrics.server import Listener, bind

        try:
            bound = bind(address)
        except OSError as error:
            raise _cannot_listen(address, error) from None
        self.close()
        self._listener = Listener(address, bound, pages, tls)
        self._listener.start()

    def _take_over(self, earlier: Listener, address: str, tls: ssl.SSLContext | None, pages: Pages) -> None:
        """Serve where our own listener is in the way: 127.0.0.1 and 0.0.0.0 cannot both have a port."""
        self.close()
        try:
            self._serve(address, tls, pages)
        except CannotListen:
            self._serve(earlier.address, earlier.tls, pages)
            raise

    def _prepared(self) -> Pages:
        """The pages; observing begins when they are first asked for."""
        if self._pages is not None:
            return self._pages
        try:
            from queuetick.metrics.collector import EventMetrics
            from queuetick.metrics.pages import Pages
        except ModuleNotFoundError as error:
            raise CannotListen(
                f"needs the package {error.name}, which is not installed",
                "pip install 'queuetick[metrics]', or leave metrics.listen out",
                lasting=True,
            ) from None
        clock = self._clock
        metrics = EventMetrics(self._in_force, monotonic=clock.monotonic, now=clock.now, mask=self._mask)
        self._pages = Pages(metrics, monotonic=clock.monotonic, mask=self._mask)
        self._subscribe(metrics.observe)
        return self._pages


def _cannot_listen(address: str, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        fix = "stop what listens there (ss -ltnp shows it), or set another port"
    elif error.errno == errno.EACCES:
        fix = "set a port above 1023"
    else:
        fix = "set an address of this machine"
    return CannotListen(f"{address} cannot be used: {error.strerror}", fix, lasting=False)


def _port(address: str) -> str:
    return address.rpartition(":")[2]
