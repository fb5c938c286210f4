"""HTTP for the SDK: urllib3 with a timeout on every request, no hidden retries, and an end to every wait.

The SDK's own client (default_http_client.py, rest.py) applies no timeout, retries ten times in silence, sleeps
Retry-After for up to six hours, and ignores HTTPS_PROXY. This one does one request per call and says what happened.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import certifi
import urllib3
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError

from queuetick.clock import Stopped
from queuetick.config.proxies import Proxy
from queuetick.genesys import sdk
from queuetick.genesys.connections import Flight, present, with_tracking
from queuetick.genesys.errors import Transient, Unreachable

MAX_BODY = 16 * 1024 * 1024
"""Bytes of one answer; 200 queues take about 1 MB, so more than this is not an answer to our question."""


class Response:
    """An answer with its body read; also what the SDK expects of a REST response."""

    __slots__ = ("data", "headers", "reason", "status")

    def __init__(self, status: int, reason: str | None, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.data = data

    def getheaders(self) -> Mapping[str, str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)


class Transport:
    """Sends one request at a time per thread, for any number of threads.

    `proxy_for` names the proxy for a URL, None where it is asked directly (`Config.proxy_for`).
    """

    def __init__(
        self, *, connections: int, proxy_for: Callable[[str], Proxy | None], ca_bundle: str | None
    ) -> None:
        self.on_answer: Callable[[str, str, Response], None] = lambda *_: None
        """Called with method, URL and every whole HTTP answer as it arrives, on the thread that asked."""
        self.ssl_context = ssl.create_default_context(cafile=ca_bundle)
        if ca_bundle is None:
            self.ssl_context.load_verify_locations(cafile=certifi.where())
        self._options: dict[str, Any] = {
            "maxsize": connections,
            "retries": False,
            "ssl_context": self.ssl_context,
        }
        self._direct = with_tracking(urllib3.PoolManager(**self._options))
        self._proxy_for = proxy_for
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}  # by scheme and host of direct requests
        self._proxied: dict[Proxy, urllib3.PoolManager] = {}
        self._flights: dict[int, Flight] = {}
        self._stopping = False
        self._changed = threading.Condition()
        self._watcher: threading.Thread | None = None

    def send(self, options: Any, *, timeout: float) -> Response:
        """Send one request (an SDK HttpRequestOptions) and read its answer, in `timeout` seconds altogether.

        Raises Unreachable when there is no whole HTTP answer, Transient when it is larger than `MAX_BODY`,
        Stopped after `abort()`.
        """
        url = options.url
        if options.query_params:
            url = f"{url}?{urlencode(options.query_params)}"
        body = options.body
        flight = Flight(time.monotonic() + timeout)
        present.flight = flight
        self._take_off(flight)
        try:
            response = self._exchange(options.method, url, body, options.headers, timeout)
        except (HTTPError, OSError) as error:
            if self._stopping:
                raise Stopped from None
            if flight.overdue or _is_timeout(error):
                raise Unreachable(f"no answer within {timeout:g} s") from None
            raise Unreachable(_in_words(error)) from None
        finally:
            del self._flights[id(flight)]
        if flight.overdue:  # cut off by the watcher: without Content-Length, half an answer looks whole
            raise Unreachable(f"no answer within {timeout:g} s")
        self.on_answer(options.method, url, response)
        return response

    def _exchange(
        self, method: str, url: str, body: Any, headers: Mapping[str, str], timeout: float
    ) -> Response:
        sender, target = self._route(url)
        raw = sender.urlopen(
            method,
            target,
            body=body.encode() if isinstance(body, str) else body,
            headers=headers,
            timeout=timeout,
            redirect=False,
            preload_content=False,
        )
        try:
            data = raw.read(MAX_BODY + 1)
            if len(data) > MAX_BODY:
                raw.close()
                raise Transient(f"the answer is larger than {MAX_BODY >> 20} MiB", status=raw.status)
        finally:
            raw.release_conn()
        return Response(raw.status, raw.reason, raw.headers, data)

    def abort(self) -> None:
        """End every request under way, and refuse later ones: they raise Stopped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        for flight in list(self._flights.values()):
            flight.abort()

    def close(self) -> None:
        """Close idle connections and end the watching thread; requests under way go on to their end."""
        self._pools.clear()
        self._direct.clear()
        for pool in self._proxied.values():
            pool.clear()
        with self._changed:
            self._watcher = None
            self._changed.notify()

    def _take_off(self, flight: Flight) -> None:
        self._flights[id(flight)] = flight
        if (
            self._stopping
        ):  # asked after the flight can be seen: either abort() finds it, or this finds the stop
            del self._flights[id(flight)]
            raise Stopped
        if self._watcher is None:
            with self._changed:
                if self._watcher is None:
                    self._watcher = threading.Thread(
                        target=self._watch, name="queuetick-deadlines", daemon=True
                    )
                    self._watcher.start()

    def _watch(self) -> None:
        """End requests that outlive their deadline: a server that sends a byte now and then beats socket timeouts."""
        me = threading.current_thread()
        while True:
            now = time.monotonic()
            for flight in list(self._flights.values()):
                if flight.deadline + 0.5 < now and not flight.overdue:
                    flight.overdue = True
                    flight.abort()
            with self._changed:
                if self._stopping or self._watcher is not me:
                    return
                self._changed.wait(1.0)

    def _route(self, url: str) -> tuple[HTTPConnectionPool | urllib3.PoolManager, str]:
        """What sends a request for `url`, and how it wants to have the URL.

        Direct requests go to their origin's pool itself: the way through PoolManager is a quarter of a request's CPU.
        """
        scheme, host, path, query, _ = urlsplit(url)
        pool = self._pools.get((scheme, host))
        if pool is None:
            proxy = self._proxy_for(url)
            if proxy is not None:
                return self._through(proxy), url
            pool = self._pools[scheme, host] = self._direct.connection_from_url(url)
        return pool, f"{path or '/'}?{query}" if query else path or "/"

    def _through(self, proxy: Proxy) -> urllib3.PoolManager:
        if proxy not in self._proxied:
            headers = {"proxy-authorization": proxy.authorization} if proxy.authorization else None
            self._proxied[proxy] = with_tracking(
                urllib3.ProxyManager(proxy.url, proxy_headers=headers, **self._options)
            )
        return self._proxied[proxy]


class Exchange(sdk.load().AbstractHttpClient):  # type: ignore[misc]
    """The SDK's HTTP client for one call: carries the timeout in and the answer out.

    One per call, because the SDK keeps the last answer on the client, where threads would share it.
    """

    def __init__(self, transport: Transport, timeout: float) -> None:
        super().__init__()
        self.transport = transport
        self.timeout = timeout
        self.response: Response | None = None

    def request(self, http_request_options: Any) -> Response:
        self.response = self.transport.send(http_request_options, timeout=self.timeout)
        return self.response


def _is_timeout(error: Exception) -> bool:
    # NewConnectionError is a ConnectTimeoutError by descent only: it says refused, unreachable, unresolved.
    timeouts = (urllib3.exceptions.TimeoutError, TimeoutError)
    return isinstance(error, timeouts) and not isinstance(error, urllib3.exceptions.NewConnectionError)


def _in_words(error: Exception) -> str:
    """A sentence for a connection error, without urllib3's object addresses."""
    cause: BaseException = error
    while (inner := _inner(cause)) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS: the server's certificate is not trusted ({cause.verify_message}); see genesys.ca_bundle"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(cause, socket.gaierror):
        return f"the host name does not resolve ({cause.strerror})"
    if isinstance(cause, OSError) and cause.strerror:
        return f"connection failed: {cause.strerror}"
    text = str(cause).partition(">: ")[2] or str(cause) or type(cause).__name__
    return f"connection failed: {text}"


def _inner(error: BaseException) -> BaseException | None:
    """The error that `error` wraps: urllib3 keeps it as cause, as `reason`, or among the arguments."""
    for inner in (error.__cause__, getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return inner
    return None
