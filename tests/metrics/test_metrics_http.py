"""The HTTP: two pages, GET and HEAD, and nothing that a scraper does costs more than it may."""

from __future__ import annotations

import contextlib
import gzip
import socket
import time

import pytest

from queuetick.metrics import scrape
from queuetick.metrics.scrape import Kept, Listener, Page, bind, parse_address

BIG = b"a line of the page\n" * 200_000


class Rendering:
    """A page that counts its renderings."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def __call__(self) -> Page:
        self.count += 1
        return self.page


@pytest.fixture
def rendering() -> Rendering:
    return Rendering(Page(b"queuetick_up 1\n"))


@pytest.fixture
def listener(rendering):
    def defect() -> Page:
        raise ValueError("a defect")

    pages = {
        "/metrics": Kept(rendering),
        "/big": Kept(lambda: Page(BIG)),
        "/healthz": Kept(lambda: Page(b"{}", "application/json", 503)),
        "/defect": Kept(defect),
    }
    serving = Listener(bind("127.0.0.1:0"), pages)
    serving.start()
    yield serving
    serving.close()


def connect(listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=10)


def ask(listener, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of the answer to raw bytes."""
    with connect(listener) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return (
        status,
        {name.lower(): value for name, value in (header.split(": ", 1) for header in headers)},
        body,
    )


def test_get_answers_the_page(listener) -> None:
    status, headers, body = ask(listener, b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ("HTTP/1.1 200 OK", b"queuetick_up 1\n") == (status, body)
    assert (str(len(body)), "close", "no-store") == (
        headers["content-length"],
        headers["connection"],
        headers["cache-control"],
    )


def test_head_answers_the_same_without_the_body(listener) -> None:
    status, headers, body = ask(listener, b"HEAD /metrics HTTP/1.0\r\n\r\n")
    assert ("HTTP/1.1 200 OK", "15", b"") == (status, headers["content-length"], body)


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed"),
        (b"DELETE / HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"GET /other HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"GET / HTTP/1.1\r\n\r\n", "200 OK"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "503 Service Unavailable"),
        (b"GET /defect HTTP/1.1\r\n\r\n", "500 Internal Server Error"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics HTTP/2.0\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 9000, "431 Request Header Fields Too Large"),
    ],
    ids=["POST", "DELETE", "unknown", "index", "healthz", "defect", "TLS", "HTTP/2", "endless header"],
)
def test_anything_else_is_refused_in_words(request_bytes, expected, listener) -> None:
    status, headers, body = ask(listener, request_bytes)
    assert f"HTTP/1.1 {expected}" == status
    assert body
    assert ("allow" in headers) == (expected.startswith("405"))


def test_a_large_page_is_compressed_for_who_takes_it(listener) -> None:
    _, headers, body = ask(listener, b"GET /big HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n\r\n")
    assert ("gzip", BIG) == (headers["content-encoding"], gzip.decompress(body))
    for coding in (b"", b"Accept-Encoding: gzip;q=0\r\n", b"Accept-Encoding: identity\r\n"):
        _, headers, body = ask(listener, b"GET /big HTTP/1.1\r\n" + coding + b"\r\n")
        assert (None, len(BIG)) == (headers.get("content-encoding"), len(body))


def test_many_scrapes_are_one_rendering_a_second(rendering) -> None:
    now = 100.0
    kept = Kept(rendering, clock=lambda: now)
    for _ in range(50):
        kept()
    assert rendering.count == 1
    now += scrape.KEEP
    kept()
    assert rendering.count == 2


def test_slow_connections_do_not_keep_a_scraper_out(listener) -> None:
    """A hundred that dribble their request: the oldest give way."""
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(connect(listener)) for _ in range(100)]
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /metr")
        began = time.monotonic()
        assert ask(listener, b"GET /metrics HTTP/1.1\r\n\r\n")[2] == b"queuetick_up 1\n"
        assert time.monotonic() - began < 2


def test_a_request_that_never_ends_is_cut_off(listener, monkeypatch) -> None:
    monkeypatch.setattr(scrape, "REQUEST_SECONDS", 0.2)
    with connect(listener) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_an_answer_that_nobody_reads_is_cut_off(listener, monkeypatch) -> None:
    monkeypatch.setattr(scrape, "RESPONSE_SECONDS", 0.2)
    with connect(listener) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /big HTTP/1.1\r\n\r\n")
        deadline = time.monotonic() + 10
        while listener.open_connections and time.monotonic() < deadline:
            assert ask(listener, b"GET /metrics HTTP/1.1\r\n\r\n")[0] == "HTTP/1.1 200 OK"
        assert listener.open_connections == 0


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9477", ("127.0.0.1", 9477)),
        ("[::1]:9477", ("::1", 9477)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(listen, address) -> None:
    assert parse_address(listen) == address


def test_ipv6_is_served_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        bound = bind("[::1]:0")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    serving = Listener(bound, {"/metrics": Kept(lambda: Page(b"x"))})
    serving.start()
    try:
        with socket.create_connection(("::1", serving.port), timeout=5) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert serving.url == f"http://[::1]:{serving.port}"
    finally:
        serving.close()


def test_close_frees_the_port_at_once(listener) -> None:
    with connect(listener):
        listener.close()
        bind(f"127.0.0.1:{listener.port}").close()
