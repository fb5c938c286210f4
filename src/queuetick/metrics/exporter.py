"""The metrics of one daemon, from its events to `[metrics] listen`: starts, moves and ends the listener."""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from queuetick.clock import Clock
from queuetick.events import Fact, Problem
from queuetick.metrics.health import InForce

if TYPE_CHECKING:
    from queuetick.metrics.pages import Pages
    from queuetick.metrics.server import Listener

log = logging.getLogger(__name__)


class Address(Struct, frozen=True):
    """Where to serve, and with which certificate: `[metrics]` of the configuration."""

    listen: str
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None


class CannotListen(Exception):
    """The address cannot be served. `lasting`: only a person can change that, so a restart does not help."""

    def __init__(self, problem: str, fix: str, *, lasting: bool, key: str = "metrics.listen") -> None:
        super().__init__(problem)
        self.problem = Problem(key, problem, fix)
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
        self._address: Address | None = None
        self._pages: Pages | None = None
        self._listener: Listener | None = None

    @property
    def url(self) -> str | None:
        """Where the metrics are served; None when they are not."""
        return self._listener.url if self._listener is not None else None

    def listen(self, address: Address | None) -> None:
        """Serve on `address` from now on, or on none. Raises CannotListen, and then the earlier one stays.

        The same address again reads the certificate again: it may have been renewed.
        """
        if address is None:
            self.close()
            return
        pages = self._prepared()
        tls = tls_context(address)
        if self._listener is not None and self._address is not None:
            earlier = self._address
            if (address.listen, tls is None) == (earlier.listen, earlier.tls_cert is None):
                self._listener.use(tls)
                self._address = address
                return
            if _port(address) == _port(self._address):
                self._take_over(address, tls, pages)
                return
        self._serve(address, tls, pages)

    def announce(self) -> None:
        """Say where the metrics are; the port may have been left to the system."""
        if self.url is not None:
            log.info("metrics are served on %s/metrics", self.url)

    def close(self) -> None:
        """Stop serving and free the port."""
        listener, self._listener, self._address = self._listener, None, None
        if listener is not None:
            listener.close()

    def _serve(self, address: Address, tls: ssl.SSLContext | None, pages: Pages) -> None:
        """Bind, and only then close the earlier listener."""
        from queuetick.metrics.server import CannotBind, Listener, bind

        try:
            bound = bind(address.listen)
        except CannotBind as error:
            raise _cannot_listen(address.listen, error.error) from None
        self.close()
        self._address, self._listener = address, Listener(address.listen, bound, pages, tls)
        self._listener.start()

    def _take_over(self, address: Address, tls: ssl.SSLContext | None, pages: Pages) -> None:
        """Serve where our own listener is in the way: 127.0.0.1 and 0.0.0.0 cannot both have a port."""
        earlier = self._address
        self.close()
        try:
            self._serve(address, tls, pages)
        except CannotListen:
            if earlier is not None:
                self._serve(earlier, tls_context(earlier), pages)
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


def tls_context(address: Address) -> ssl.SSLContext | None:
    """TLS 1.2 and later with the certificate of `address`; None without one.

    Raises CannotListen where a file has changed since the configuration's rules tried it.
    """
    if address.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(address.tls_cert, address.tls_key, password="")  # "": never ask the terminal
        if address.tls_client_ca is not None:
            context.load_verify_locations(address.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        fix = "set the PEM files of a certificate, of its key without a passphrase, and of the clients' CAs"
        problem = f"or another metrics.tls file cannot be used: {error}"
        raise CannotListen(problem, fix, lasting=True, key="metrics.tls_cert") from None
    return context


def _cannot_listen(listen: str, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        fix = "stop what listens there (ss -ltnp shows it), or set another port"
    elif error.errno == errno.EACCES:
        fix = "set a port above 1023"
    else:
        fix = "set an address of this machine"
    return CannotListen(f"{listen} cannot be used: {error.strerror}", fix, lasting=False)


def _port(address: Address) -> str:
    return address.listen.rpartition(":")[2]
