"""The connections that requests take: urllib3's, known to their request, so that it can be ended from outside.

Also cheaper: a request leaves in one piece, and its answer is taken from the socket in large ones. Each system call
saved is a turn less among the threads.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Literal

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

READ_BUFFER = 64 * 1024
"""Bytes asked of the socket at a time; a batch of 20 queues takes 20 to 50 KB."""


class Flight:
    """A request under way: when it must be over (monotonic seconds) and on which connection it is."""

    __slots__ = ("aborted", "connection", "deadline", "overdue")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.connection: HTTPConnection | None = None
        self.overdue = False
        self.aborted = False

    def carry(self, connection: HTTPConnection) -> None:
        """Go on `connection`, unless the flight has been ended: while it connected there was no socket to shut."""
        self.connection = connection
        if self.aborted:
            raise ConnectionAbortedError

    def abort(self) -> None:
        self.aborted = True
        # Shut down, not closed: the thread that reads wakes with an end of file and closes it itself.
        # socket.socket's own method, because SSLSocket's drops its TLS state under the reader.
        if self.connection is not None and (sock := self.connection.sock) is not None:
            sock = getattr(sock, "whole", sock)
            sock = getattr(sock, "socket", sock)  # TLS through an https proxy: the outer socket
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


present = threading.local()
"""`.flight` is the request of this thread, so that its connection can be found."""


class _Socket:
    """A socket that does what it is told with fewer system calls.

    Its reader takes what has arrived at once, where http.client's takes 8 KiB and comes back for the rest. A timeout
    that is in force already is not set again, as urllib3 does twice a request.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.whole = sock
        self._timeout = sock.gettimeout()

    def makefile(self, mode: Literal["rb"]) -> Any:
        return self.whole.makefile(mode, READ_BUFFER)

    def settimeout(self, seconds: float | None) -> None:
        if seconds != self._timeout:
            self.whole.settimeout(seconds)
            self._timeout = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)


class _Tracked(HTTPConnection):
    """A connection that its request's flight knows, and that sends headers and body in one piece.

    http.client sends them apart, which costs a system call, a packet, and a wake-up of the other side.
    """

    _head: bytes | None = None  # headers that wait for the body; empty: the next bytes are the headers

    def connect(self) -> None:
        present.flight.carry(self)
        super().connect()
        if self.sock is not None:
            self.sock = _Socket(self.sock)
        present.flight.carry(self)

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        present.flight.carry(self)
        self._head = b"" if body else None
        super().request(method, url, body, *args, **kwargs)

    def send(self, data: Any) -> None:
        if self._head == b"":
            self._head = data
            return
        if self._head is not None:
            data, self._head = self._head + data, None
        super().send(data)


class _Connection(_Tracked): ...


class _TLSConnection(_Tracked, HTTPSConnection): ...


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def with_tracking(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Make `manager` open such connections."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager
