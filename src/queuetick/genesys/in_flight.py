"""Requests under way, so that they can be ended from outside: urllib3 has no deadline for a whole request.

Also connects to the addresses of a host one after the other, so that a dead one does not take all of the time.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import threading
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

CONNECT_PATIENCE = 1.0
"""Seconds for one address of several; the last one has all the time that is left."""


INTERIM = range(102, 200)
"""Status codes after which the answer is still to come. After 101 there would be another protocol."""


class InFlight:
    """A request under way: when it must be over (monotonic seconds) and on which connection it is."""

    __slots__ = ("aborted", "connection", "deadline", "overdue", "socket")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.connection: HTTPConnection | None = None
        self.socket: socket.socket | None = None
        """The socket that connects now."""
        self.overdue = False
        self.aborted = False

    def attach(self, connection: HTTPConnection) -> None:
        """Note the connection in use. Raises ConnectionAbortedError when the request has been aborted before."""
        self.connection = connection
        if self.aborted:
            raise ConnectionAbortedError

    def abort(self) -> None:
        """End the request: the thread that waits for its socket wakes with an end of file, and closes it itself."""
        self.aborted = True
        sock: Any = self.connection.sock if self.connection is not None else None
        # socket.socket's own method, because SSLSocket's drops its TLS state under the reader. For TLS through an https
        # proxy: the outer socket.
        for each in (getattr(sock, "socket", sock), self.socket):
            if each is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)


current = threading.local()
"""`.request` is the InFlight of this thread, so that its connection can be found."""


class _FinalAnswer(http.client.HTTPResponse):
    """The answer itself, after any number of interim ones (RFC 9110, 15.2): http.client skips only 100."""

    def begin(self) -> None:
        super().begin()
        while self.status in INTERIM:
            self.headers = None  # type: ignore[assignment] # so that begin() reads once more
            super().begin()


class _Attached(HTTPConnection):
    """A connection that the request of its thread knows."""

    response_class = _FinalAnswer

    def connect(self) -> None:
        current.request.attach(self)
        super().connect()
        current.request.attach(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        current.request.attach(self)
        super().request(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        last: OSError = OSError("the host name has no address")
        deadline = time.monotonic() + (self.timeout if isinstance(self.timeout, int | float) else 60.0)
        addresses = _both_families(found)
        for place, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            sock = current.request.socket = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(left if place == len(addresses) else min(left, CONNECT_PATIENCE))
                sock.connect(address)
                sock.settimeout(self.timeout)
            except OSError as failure:
                sock.close()
                last = failure
            else:
                return sock
            finally:
                current.request.socket = None
        kind = ConnectTimeoutError if isinstance(last, TimeoutError) else NewConnectionError
        raise kind(self, f"connection failed: {last.strerror or last}") from last


def _both_families(found: list[Any]) -> list[Any]:
    """Addresses in their order, but of IPv6 and IPv4 in turns (RFC 8305): where one family is dead, the next is not."""
    first = [each for each in found if each[0] == found[0][0]]
    second = [each for each in found if each[0] != found[0][0]]
    return [each for pair in itertools.zip_longest(first, second) for each in pair if each is not None]


class _Connection(_Attached): ...


class _TLSConnection(_Attached, HTTPSConnection): ...


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def with_attachment(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Make `manager` open such connections."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager
