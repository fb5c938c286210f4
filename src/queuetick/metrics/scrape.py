"""The HTTP of /metrics and /healthz: GET and HEAD, one thread, everything bounded.

What a scraper can cost: at most `MAX_CONNECTIONS` sockets, one rendering a second, and `REQUEST_SECONDS` plus
`RESPONSE_SECONDS` of a connection's life. The connection that came first gives way when there are too many, so that
slow ones cannot keep a real scraper out. The daemon never waits for any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from queuetick.clock import monotonic

MAX_CONNECTIONS = 32
REQUEST_SECONDS = 5.0
RESPONSE_SECONDS = 10.0
HEAD_LIMIT = 8192
"""Bytes of request line and headers."""
PIECE = 64 * 1024
"""Bytes handed to the socket at a time; all that a slow reader makes us hold beside the page itself."""
KEEP = 1.0
"""Seconds for which a rendered page is answered again."""

_PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

log = logging.getLogger(__name__)


class Page(Struct, frozen=True):
    """One answer."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


class Kept:
    """A page that is rendered, and compressed, no more than once in `KEEP` seconds."""

    def __init__(self, render: Callable[[], Page], *, clock: Callable[[], float] = monotonic) -> None:
        self._render = render
        self._clock = clock
        self._page: Page | None = None
        self._compressed: bytes | None = None
        self._until = 0.0

    def __call__(self) -> Page:
        if self._page is None or self._clock() >= self._until:
            self._page, self._compressed = self._render(), None
            self._until = self._clock() + KEEP
        return self._page

    def compressed(self) -> bytes:
        """The body of the page as it was last asked for, gzipped."""
        if self._compressed is None:
            page = self._page if self._page is not None else self()
            self._compressed = gzip.compress(page.body, compresslevel=1, mtime=0)
        return self._compressed


def parse_address(listen: str) -> tuple[str, int]:
    """`host:port` or `[IPv6]:port`, as the configuration has checked it."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def bind(listen: str) -> socket.socket:
    """A socket bound to `listen`. Raises OSError when the name or the port cannot be had."""
    host, port = parse_address(listen)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(MAX_CONNECTIONS)
        bound.settimeout(0.0)
    except OSError:
        bound.close()
        raise
    return bound


class Listener:
    """Serves pages, by path, on a bound socket from a thread of its own, from `start` to `close`."""

    def __init__(self, bound: socket.socket, pages: Mapping[str, Kept]) -> None:
        host, self.port = bound.getsockname()[:2]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self._socket = bound
        self._pages = pages
        self._ready = threading.Event()
        self._connections: dict[asyncio.Task[None], None] = {}
        self._thread = threading.Thread(target=self._serve_contained, name="queuetick-metrics", daemon=True)

    @property
    def open_connections(self) -> int:
        """How many are being answered, or still ask."""
        return len(self._connections)

    def start(self) -> None:
        """Serve; returns when connections are taken. Signals must be blocked: the thread inherits the mask."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Stop serving and free the port; cuts off who is still being answered."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2.0)
        self._socket.close()

    def _serve_contained(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            log.exception("the metrics are served no more")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._admit, sock=self._socket, limit=HEAD_LIMIT)
        self._ready.set()
        await self._stopping.wait()
        # Accept no more, then let who has just been accepted get a task, to be cut off with the others: a server that
        # is closed in between forgets the socket (CPython 3.11).
        self._loop.remove_reader(self._socket)
        await asyncio.sleep(0.01)
        server.close()
        for task in (open_ones := tuple(self._connections)):
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        await asyncio.sleep(0)  # sockets are closed in the loop's next round

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server runs this in a task
        self._connections[task] = None
        if len(self._connections) > MAX_CONNECTIONS:
            next(iter(self._connections)).cancel()
        try:
            await self._converse(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        except Exception:
            log.exception("a metrics request failed")
            writer.transport.abort()
        finally:
            self._connections.pop(task, None)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            try:
                request = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                request = b""
        answer, body = self._answer(request) if request else _respond(Page(b"too much\n", status=431))
        writer.transport.set_write_buffer_limits(high=PIECE)
        async with asyncio.timeout(RESPONSE_SECONDS):
            writer.write(answer)
            view = memoryview(body)
            for start in range(0, len(body), PIECE):
                writer.write(view[start : start + PIECE])
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    def _answer(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body for a request, which ends with its empty line."""
        lines = request.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _respond(Page(b"not an HTTP/1 request\n", status=400))
        method, target, _ = parts
        if method not in ("GET", "HEAD"):
            return _respond(Page(b"GET and HEAD only\n", status=405), "Allow: GET, HEAD")
        with_body = method == "GET"
        kept = self._pages.get(target.partition("?")[0])
        if kept is None:
            known = "".join(f"{path}\n" for path in self._pages)
            return _respond(Page(known.encode(), status=200 if target == "/" else 404), with_body=with_body)
        try:
            page = kept()
        except Exception:
            log.exception("%s could not be made", target)
            return _respond(Page(b"see the log\n", status=500), with_body=with_body)
        if page.status == 200 and len(page.body) > PIECE and _takes_gzip(lines[1:]):
            coding = ("Content-Encoding: gzip", "Vary: Accept-Encoding")
            return _respond(page, *coding, body=kept.compressed(), with_body=with_body)
        return _respond(page, with_body=with_body)


def _takes_gzip(headers: Iterable[str]) -> bool:
    for header in headers:
        name, _, value = header.partition(":")
        if name.strip().lower() == "accept-encoding":
            return re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", value.lower()) is not None
    return False


def _respond(
    page: Page, *headers: str, body: bytes | None = None, with_body: bool = True
) -> tuple[bytes, bytes]:
    content = page.body if body is None else body
    head = [
        f"HTTP/1.1 {page.status} {_PHRASES[page.status]}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *headers,
        "\r\n",
    ]
    return "\r\n".join(head).encode("latin-1"), content if with_body else b""
