"""A WSGI server whose cost is bounded, whatever scrapers do.

At most `MAX_CONNECTIONS` sockets and threads, `HEAD_LIMIT` bytes of a request, `REQUEST_SECONDS` to ask and
`RESPONSE_SECONDS` to read the answer. When there are too many connections the oldest that is not being answered is cut
off, so that slow ones cannot keep a real scraper out. Nothing that a client does is logged. The daemon never waits
for any of it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
import socket
import ssl
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from queuetick.background import begin
from queuetick.clock import monotonic

MAX_CONNECTIONS = 32
REQUEST_SECONDS = 5.0
RESPONSE_SECONDS = 10.0
SHORTEST_ANSWER = 1.0
"""Seconds for which a connection that is being answered does not give way to another."""
HEAD_LIMIT = 8192
"""Bytes of request line and headers."""
LINGER_SECONDS = 0.5
"""How long an answered client may take to close; closing before it has read all would destroy the answer."""
LOOKUP_SECONDS = 5.0
POLL_SECONDS = 0.2
BACKLOG = 1024
"""Connections that the kernel holds until they are admitted: beyond it a real scraper would be kept waiting for 1 s."""

App = Callable[..., Any]
"""A WSGI application."""


def parse_address(listen: str) -> tuple[str, int]:
    """`host:port` or `[IPv6]:port`, as the configuration has checked it."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def bind(listen: str) -> list[socket.socket]:
    """Sockets for every address of this machine that `listen` names: `localhost` has two. Raises OSError."""
    host, port = parse_address(listen)
    bound: list[socket.socket] = []
    refused: OSError | None = None
    try:
        # Many /etc/hosts know localhost in one family only.
        hosts = ("127.0.0.1", "::1") if host.lower() == "localhost" else (host,)
        found = [info for one in hosts for info in _look_up(one, port)]
        for family, address in dict.fromkeys((info[0], info[4]) for info in found):
            # Port 0 leaves the choice to the system, for the first address; the others take the same.
            at = (address[0], bound[0].getsockname()[1] if bound else port, *address[2:])
            try:
                bound.append(_bind_one(family, at))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                refused = error
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be encoded
        for one in bound:
            one.close()
        if isinstance(error, OSError):
            raise
        raise OSError(None, str(error)) from None
    if not bound:
        raise refused or OSError(errno.EADDRNOTAVAIL, "no address")
    return bound


def _look_up(host: str, port: int) -> list[Any]:
    """`getaddrinfo` within `LOOKUP_SECONDS`: nothing can interrupt it, and a stop must not wait for a dead DNS."""
    found = begin(
        lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE),
        "queuetick-lookup",
    )
    try:
        return list(found.result(LOOKUP_SECONDS))
    except TimeoutError:
        problem = f"the name was not found within {LOOKUP_SECONDS:g} s"
        raise TimeoutError(errno.ETIMEDOUT, problem) from None


def _bind_one(family: int, address: tuple[Any, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and address[0] != "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


class _Connection:
    """One client: since when it is in its present state, and whether it is being answered or was cut off."""

    def __init__(self, now: float) -> None:
        self.since = now
        self.answering = False
        self.cut = False

    def deadline(self) -> float:
        return self.since + (RESPONSE_SECONDS if self.answering else REQUEST_SECONDS)


class Connections:
    """Those that are open, over all sockets of one listener: the bound on threads and descriptors."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._open: dict[socket.socket, _Connection] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, client: socket.socket) -> bool:
        """Count `client` in, and make room for it if there is none. False once the listener closes."""
        with self._changed:
            while len(self._open) >= self._limit and not self._closed:
                self._make_room()
                self._changed.wait(0.05)
            if not self._closed:
                self._open[client] = _Connection(monotonic())
            return not self._closed

    def mark(self, client: socket.socket, *, answering: bool) -> None:
        """Note that the answer to `client` has begun, or has been sent."""
        with self._changed:
            if (connection := self._open.get(client)) is not None:
                connection.answering, connection.since = answering, monotonic()

    def release(self, client: socket.socket) -> None:
        """Count `client` out, when its socket is closed."""
        with self._changed:
            self._open.pop(client, None)
            self._changed.notify_all()

    def expire(self) -> None:
        """Close the connections that are past the deadline."""
        now = monotonic()
        with self._changed:
            for client, connection in self._open.items():
                if now > connection.deadline():
                    _cut(client, connection)

    def close(self, timeout: float) -> None:
        """Admit nobody any more, cut off everybody, and wait until their threads have ended."""
        with self._changed:
            self._closed = True
            for client, connection in self._open.items():
                _cut(client, connection)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._open, timeout)

    def _make_room(self) -> None:
        """Cut off the oldest that is not being answered; else the oldest that has had its shortest time."""
        if any(connection.cut for connection in self._open.values()):
            return  # its thread is about to release it
        patient_until = monotonic() - SHORTEST_ANSWER
        waiting = [entry for entry in self._open.items() if not entry[1].answering]
        overdue = [entry for entry in self._open.items() if entry[1].since < patient_until]
        for client, connection in (waiting or overdue)[:1]:
            _cut(client, connection)


def _cut(client: socket.socket, connection: _Connection) -> None:
    """End the connection under the thread that serves it, which then closes the socket."""
    connection.cut = True
    with contextlib.suppress(OSError):
        socket.socket.shutdown(client, socket.SHUT_RDWR)  # SSLSocket's own would drop its TLS state in use


class _Head(io.RawIOBase):
    """The first `HEAD_LIMIT` bytes of a connection."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.left = HEAD_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._client.recv_into(buffer, min(len(buffer), self.left)) if self.left else 0
        self.left -= count
        return count


class _Request(WSGIRequestHandler):
    default_request_version = "HTTP/1.0"  # with 0.9 the errors would have no status line
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(REQUEST_SECONDS)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()
        self._head = _Head(self.request)
        self.rfile = io.BufferedReader(self._head, 1024)

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            self.path = re.sub(r"^https?://[^/?]*", "", self.path) or "/"  # a proxy asks with the whole URL
        self.server.connections.mark(self.request, answering=True)
        self.request.settimeout(RESPONSE_SECONDS)
        if parsed and not self._head.left:
            self.send_error(431)
            return False
        return parsed

    def version_string(self) -> str:
        return "queuetick"

    def get_stderr(self) -> Any:
        return io.StringIO()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's own name
        pass


class _Server(ThreadingMixIn, WSGIServer):
    """Serves one bound socket; a thread for each connection that `connections` admits."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, bound: socket.socket, app: App, connections: Connections, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(bound.getsockname(), _Request, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.server_name, self.server_port = "queuetick", bound.getsockname()[1]
        self.connections = connections
        self.tls = tls
        self.setup_environ()
        self.set_app(app)
        self._closing = threading.Event()

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            client, address = self.socket.accept()
        except OSError:
            self._closing.wait(0.1)  # no descriptor left: the socket stays readable, and this loop would spin
            raise
        if self.tls is not None:
            client = self.tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.connections.admit(request):
            super().process_request(request, client_address)
        else:
            self.close_request(request)

    def shutdown_request(self, request: Any) -> None:
        self.connections.mark(request, answering=False)
        with contextlib.suppress(OSError, ValueError):
            socket.socket.shutdown(request, socket.SHUT_WR)
            request.settimeout(LINGER_SECONDS)
            until = monotonic() + LINGER_SECONDS
            while monotonic() < until and socket.socket.recv(request, 65536):
                pass
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self.connections.release(request)

    def service_actions(self) -> None:
        self.connections.expire()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, sent no HTTP or no TLS: nothing that we could act on."""

    def server_close(self) -> None:
        self._closing.set()
        super().server_close()


class Listener:
    """Serves `app` on bound sockets from threads of its own, from `start` to `close`."""

    def __init__(
        self, address: str, bound: list[socket.socket], app: App, tls: ssl.SSLContext | None
    ) -> None:
        host, _ = parse_address(address)
        self.address, self.tls = address, tls
        self.port = bound[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'http' if tls is None else 'https'}://{shown}:{self.port}"
        self.connections = Connections(MAX_CONNECTIONS)
        self._servers = [_Server(one, app, self.connections, tls) for one in bound]
        self._threads = [
            threading.Thread(
                target=server.serve_forever, args=(POLL_SECONDS,), name="queuetick-metrics", daemon=True
            )
            for server in self._servers
        ]

    def start(self) -> None:
        """Serve. Signals must be blocked: the threads inherit the mask."""
        for thread in self._threads:
            thread.start()

    def use(self, tls: ssl.SSLContext | None) -> None:
        """Answer new connections with another certificate."""
        self.tls = tls
        for server in self._servers:
            server.tls = tls

    def close(self) -> None:
        """Stop serving and free the port; cuts off who is still being answered."""
        self.connections.close(1.0)
        for server, thread in zip(self._servers, self._threads, strict=True):
            if thread.is_alive():
                server.shutdown()
            server.server_close()
