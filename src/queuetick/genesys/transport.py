"""HTTP for the SDK: urllib3 with a timeout on every request, no hidden retries, and a deadline for every wait.

The SDK's own client (default_http_client.py, rest.py) applies no timeout, retries ten times in silence, sleeps
Retry-After for up to six hours, and ignores HTTPS_PROXY. This one sends one request per call and raises what happened.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import certifi
import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from queuetick.clock import Stopped
from queuetick.config.proxies import Proxy
from queuetick.genesys import sdk
from queuetick.genesys.connection_errors import describe, is_timeout
from queuetick.genesys.errors import ApiError, Transient, Unreachable
from queuetick.genesys.in_flight import InFlight, current, with_attachment

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one answer, where the request says no smaller limit; 500 queues of a listing take about 1 MB."""


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


def _system_has_cas() -> bool:
    """Whether OpenSSL finds CAs of the system, in a file or as hashed files of a directory."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return True
    try:
        return bool(paths.capath) and any(Path(paths.capath).glob("????????.[0-9]"))
    except OSError:
        return False


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
        if ca_bundle is None and not _system_has_cas():
            self.ssl_context.load_verify_locations(cafile=certifi.where())
        self._options: dict[str, Any] = {
            "maxsize": connections,
            "retries": False,
            "ssl_context": self.ssl_context,
        }
        self._direct = with_attachment(urllib3.PoolManager(**self._options))
        self._proxy_for = proxy_for
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}  # by scheme and host of direct requests
        self._proxied: dict[Proxy, urllib3.PoolManager] = {}
        self._in_flight: dict[int, InFlight] = {}
        self._stopping = False
        self._closed = False
        self._changed = threading.Condition()
        self._watcher: threading.Thread | None = None

    def send(self, options: Any, *, timeout: float, most: int = MAX_BODY) -> Response:
        """Send one request (an SDK HttpRequestOptions) and read its answer, in `timeout` seconds altogether.

        Raises Unreachable when there is no whole HTTP answer, Transient when it is larger than `most` bytes,
        Stopped after `abort()` or `close()`.
        """
        url = options.url
        if options.query_params:
            url = f"{url}?{urlencode(options.query_params)}"
        request = InFlight(time.monotonic() + timeout)
        current.request = request
        self._register(request)
        try:
            response = self._exchange(options, url, timeout, most)
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - also what urllib3 does not foresee in an answer
            if self._stopping:
                raise Stopped from None
            if request.overdue or is_timeout(error):
                raise Unreachable(f"no answer within {timeout:g} s") from None
            raise Unreachable(describe(error)) from None
        finally:
            del self._in_flight[id(request)]
            if self._closed:
                self._clear()
        if request.overdue:  # ended by the watcher: without Content-Length, half an answer looks whole
            raise Unreachable(f"no answer within {timeout:g} s")
        self.on_answer(options.method, url, response)
        return response

    def _exchange(self, options: Any, url: str, timeout: float, most: int) -> Response:
        body = options.body
        sender, target = self._route(url)
        raw = sender.urlopen(
            options.method,
            target,
            body=body.encode() if isinstance(body, str) else body,
            headers=options.headers,
            timeout=timeout,
            redirect=False,
            preload_content=False,
        )
        try:
            data = raw.read(most + 1)
            if len(data) > most:
                raw.close()
                raise Transient(f"the answer is larger than {most / (1 << 20):.1f} MiB", status=raw.status)
        finally:
            raw.release_conn()
        return Response(raw.status, raw.reason, raw.headers, data)

    def abort(self) -> None:
        """End every request under way, and refuse later ones: they raise Stopped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        for request in list(self._in_flight.values()):
            request.abort()

    def close(self) -> None:
        """Close idle connections, and refuse later requests: they raise Stopped. Requests under way go on."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._clear()

    def _clear(self) -> None:
        self._pools.clear()
        self._direct.clear()
        for pool in list(self._proxied.values()):
            pool.clear()

    def _register(self, request: InFlight) -> None:
        """Note a request, so that it can be ended. Raises Stopped after `abort()` and `close()`."""
        self._in_flight[id(request)] = request
        # Asked after the request is registered: either abort() finds it, or this finds the stop.
        if self._stopping or self._closed:
            del self._in_flight[id(request)]
            raise Stopped
        if self._watcher is None:
            with self._changed:
                if self._watcher is None:
                    self._watcher = threading.Thread(
                        target=self._watch, name="queuetick-deadlines", daemon=True
                    )
                    self._watcher.start()

    def _watch(self) -> None:
        """End requests that are over their deadline: one byte now and then keeps a socket timeout from ending them."""
        while True:
            now = time.monotonic()
            for request in list(self._in_flight.values()):
                if request.deadline + 0.5 < now and not request.overdue:
                    request.overdue = True
                    request.abort()
            with self._changed:
                if self._stopping or (self._closed and not self._in_flight):
                    return
                self._changed.wait(1.0)

    def _route(self, url: str) -> tuple[HTTPConnectionPool | urllib3.PoolManager, str]:
        """What sends a request for `url`, and the form of the URL that it takes.

        Direct requests go to their origin's pool itself: PoolManager takes a quarter of a request's CPU.
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
            self._proxied[proxy] = with_attachment(
                urllib3.ProxyManager(proxy.url, proxy_headers=headers, **self._options)
            )
        return self._proxied[proxy]


class Exchange(sdk.load().AbstractHttpClient):  # type: ignore[misc]
    """The SDK's HTTP client for one call: takes the timeout and keeps the answer.

    One per call, because the SDK keeps the last answer on the client, where threads would share it.
    """

    def __init__(self, transport: Transport, timeout: float, most: int = MAX_BODY) -> None:
        super().__init__()
        self.transport = transport
        self.timeout = timeout
        self.most = most
        self.response: Response | None = None

    def request(self, http_request_options: Any) -> Response:
        self.response = self.transport.send(http_request_options, timeout=self.timeout, most=self.most)
        return self.response
