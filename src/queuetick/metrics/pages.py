"""What the metrics port answers: /metrics, /healthz and /livez, as one WSGI application."""

from __future__ import annotations

import gzip
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from queuetick.metrics.collector import CONTENT_TYPE, EventMetrics

KEEP = 1.0
"""Seconds for which the rendered metrics are answered again."""
WORTH_COMPRESSING = 64 * 1024
"""Bytes."""

log = logging.getLogger(__name__)


class Page(Struct, frozen=True):
    """One answer."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: str = "200 OK"
    compressed: bytes | None = None


class Pages:
    """The WSGI application. Renders the metrics once in `KEEP` seconds, however many ask."""

    def __init__(
        self, metrics: EventMetrics, *, monotonic: Callable[[], float], mask: Callable[[str], str]
    ) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._mask = mask
        self._rendering = threading.Lock()
        self._kept: Page | None = None
        self._kept_until = 0.0
        self._failing: set[str] = set()
        self._pages: dict[str, Callable[[], Page]] = {
            "/": self._index,
            "/metrics": self._rendered,
            "/healthz": self._health,
            "/livez": self._alive,
        }

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        page, headers = self._page(environ), []
        body = page.body
        if page.compressed is not None and _takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = page.compressed
            headers = [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        if page.status.startswith("405"):
            headers = [("Allow", "GET, HEAD")]
        start_response(
            page.status,
            [
                ("Server", "queuetick"),
                ("Content-Type", page.content_type),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                *headers,
            ],
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _page(self, environ: Mapping[str, Any]) -> Page:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return Page(b"GET and HEAD only\n", status="405 Method Not Allowed")
        path = environ["PATH_INFO"]
        make = self._pages.get(path)
        if make is None:
            return Page(self._index().body, status="404 Not Found")
        try:
            page = make()
        except Exception:
            if path not in self._failing:  # once, and not for each scrape
                self._failing.add(path)
                log.exception("%s could not be made", path)
            return Page(b"see the log\n", status="500 Internal Server Error")
        self._failing.discard(path)
        return page

    def _index(self) -> Page:
        return Page("".join(f"{path}\n" for path in self._pages if path != "/").encode())

    def _rendered(self) -> Page:
        with self._rendering:
            if self._kept is None or self._monotonic() >= self._kept_until:
                self._kept = None  # megabytes, which the next page takes anew
                body = self._metrics.text()
                small = len(body) < WORTH_COMPRESSING
                packed = None if small else gzip.compress(body, compresslevel=1, mtime=0)
                self._kept = Page(body, CONTENT_TYPE, compressed=packed)
                self._kept_until = self._monotonic() + KEEP
            return self._kept

    def _health(self) -> Page:
        found = self._metrics.health.health()
        body = msgspec.json.encode(msgspec.structs.replace(found, reason=self._mask(found.reason)))
        status = "200 OK" if found.http_status == 200 else "503 Service Unavailable"
        return Page(body + b"\n", "application/json", status)

    def _alive(self) -> Page:
        if self._metrics.in_force().progressing:
            return Page(b'{"status":"ok"}\n', "application/json")
        return Page(
            b'{"status":"failing","reason":"no cycle and no pause has made progress"}\n',
            "application/json",
            "503 Service Unavailable",
        )


def _takes_gzip(accept_encoding: str) -> bool:
    return re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", accept_encoding.lower()) is not None
