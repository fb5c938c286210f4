"""The HTTP: GET and HEAD, TLS, and nothing that a client does costs more than it may."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import ssl
import threading
import time
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuetick.config import ConfigError, Metrics
from queuetick.config.certificates import server_context
from queuetick.events import ApiLost, MediaCounts
from queuetick.metrics import server
from queuetick.metrics.pages import Pages
from queuetick.metrics.server import Listener, bind, parse_address
from support.processes import until
from support.servers import needs_ipv6

from .certificates import Authority
from .recorded import SNAPSHOT, Recorded, replace, report


class Site:
    """The pages of `recorded`, served."""

    def __init__(self, listen: str = "127.0.0.1:0", tls: ssl.SSLContext | None = None) -> None:
        self.recorded = Recorded()
        self.renderings = 0
        self.broken = False
        render = self.recorded.metrics.text

        def counted() -> bytes:
            self.renderings += 1
            if self.broken:
                raise ValueError("a defect")
            return render()

        self.recorded.metrics.text = counted
        self.pages = Pages(self.recorded.metrics, monotonic=lambda: self.recorded.seconds, mask=str)
        self.listener = Listener(listen, bind(listen), self.pages, tls)
        self.listener.start()

    def grow(self, queues: int) -> None:
        media = {f"m{number}": MediaCounts(1, 1, 1) for number in range(30)}
        self.recorded(
            *(replace(SNAPSHOT, cycle=1, queue_id=f"q{number}", media=media) for number in range(queues)),
            report(1, snapshots=queues),
        )

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.listener.port), timeout=10)

    def ask(self, request: bytes) -> tuple[str, dict[str, str], bytes]:
        """Status line, headers and body of the answer to raw bytes."""
        with self.connect() as connection:
            connection.sendall(request)
            return split(received(connection))


def received(connection: socket.socket) -> bytes:
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer


def split(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    pairs = (header.split(": ", 1) for header in headers)
    return status.partition(" ")[2], {name.lower(): value for name, value in pairs}, body


@pytest.fixture
def site():
    serving = Site()
    yield serving
    serving.listener.close()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_get_answers_the_page(version, site) -> None:
    status, headers, body = site.ask(f"GET /metrics?x=1 HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    assert "200 OK" == status
    assert b"\nqueuetick_healthy 0.0\n" in body
    assert (str(len(body)), "no-store") == (headers["content-length"], headers["cache-control"])


def test_head_answers_the_same_without_the_body(site) -> None:
    _, _, page = site.ask(b"GET /metrics HTTP/1.0\r\n\r\n")
    status, headers, body = site.ask(b"HEAD /metrics HTTP/1.0\r\n\r\n")
    assert ("200 OK", str(len(page)), b"") == (status, headers["content-length"], body)


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"),
        (b"DELETE / HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"GET /other HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"GET / HTTP/1.1\r\n\r\n", "200 OK"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "503 Service Unavailable"),
        (b"GET /livez HTTP/1.1\r\n\r\n", "200 OK"),
        (b"GET http://localhost:9477/livez?a HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK"),
        (b"GET http://localhost:9477 HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK"),
        (b"GET /livez HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n", "200 OK"),
        (b"GET /livez HTTP/1.1\nHost: a\n\n", "200 OK"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 9000, "431 Request Header Fields Too Large"),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: a\r\n" * 300, "431 Request Header Fields Too Large"),
        (b"GET /metrics HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"),
        (b"GET /metrics HTTP/a.b\r\n\r\n", "400 Bad Request"),
        (b"one two three four\r\n\r\n", "400 Bad Request"),
    ],
)
def test_anything_else_is_refused_in_words(request_bytes, expected, site) -> None:
    status, headers, body = site.ask(request_bytes)
    assert expected in (status, f"{status.partition(' ')[0]} {expected.partition(' ')[2]}")
    assert body
    assert ("allow" in headers) == (expected.startswith("405"))


def test_a_defect_is_a_500_and_logged_once(site, caplog) -> None:
    site.broken = True
    for _ in range(5):
        assert site.ask(b"GET /metrics HTTP/1.1\r\n\r\n")[0] == "500 Internal Server Error"
    assert ["/metrics could not be made"] == [record.getMessage() for record in caplog.records]
    site.broken = False
    assert site.ask(b"GET /metrics HTTP/1.1\r\n\r\n")[0] == "200 OK"


def test_a_large_page_is_compressed_for_who_takes_it(site) -> None:
    site.grow(100)
    _, _, page = site.ask(b"GET /metrics HTTP/1.1\r\n\r\n")
    _, headers, body = site.ask(b"GET /metrics HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n\r\n")
    assert ("gzip", page) == (headers["content-encoding"], gzip.decompress(body))
    for coding in (b"Accept-Encoding: gzip;q=0\r\n", b"Accept-Encoding: identity\r\n"):
        _, headers, body = site.ask(b"GET /metrics HTTP/1.1\r\n" + coding + b"\r\n")
        assert (None, page) == (headers.get("content-encoding"), body)


def test_many_scrapes_are_one_rendering_a_second(site) -> None:
    for _ in range(20):
        site.ask(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert site.renderings == 1
    site.recorded.seconds += 1.0
    site.ask(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert site.renderings == 2


def test_a_secret_that_a_host_has_echoed_is_masked_in_healthz() -> None:
    recorded = Recorded()
    recorded(ApiLost(reason="bad secret hunter2hunter2", status=401, code=None, correlation_id=None))
    recorded(report(1, "failed", failed=1))
    pages = Pages(
        recorded.metrics, monotonic=lambda: 0.0, mask=lambda text: text.replace("hunter2hunter2", "***")
    )
    [body] = pages({"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz"}, lambda *_: None)
    assert b"bad secret ***" in body


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/livez", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_it_is_a_wsgi_application(path, method) -> None:
    """Checked by the standard library's own validator."""
    recorded = Recorded()
    pages = validator(Pages(recorded.metrics, monotonic=lambda: 0.0, mask=str))
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "a",
        "SERVER_PORT": "1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    answer = pages(environ, lambda status, headers, exc_info=None: lambda data: None)
    with contextlib.closing(answer):
        list(answer)


@given(data=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_the_next_scrape_is_answered_and_nothing_is_logged(
    data, site, caplog, capfd
) -> None:
    with contextlib.suppress(OSError), site.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received(connection)
    assert site.ask(b"GET /livez HTTP/1.1\r\n\r\n")[0] == "200 OK"
    assert ([], ("", "")) == (caplog.records, tuple(capfd.readouterr()))


def test_slow_connections_do_not_keep_a_scraper_out(site) -> None:
    """A hundred that dribble their request: the oldest give way."""
    with contextlib.ExitStack() as held:
        for _ in range(100):
            with contextlib.suppress(OSError):
                held.enter_context(site.connect()).sendall(b"GET /metr")
        began = time.monotonic()
        assert site.ask(b"GET /livez HTTP/1.1\r\n\r\n")[0] == "200 OK"
        assert time.monotonic() - began < 2


def test_a_flood_stays_bounded_and_quiet(site, caplog, capfd) -> None:
    """Connections stay under the limit at every moment, each thread ends with its own, and no line is written."""

    def served() -> int:
        return sum(thread.name.startswith("Thread-") for thread in threading.enumerate())

    most = 0
    with contextlib.ExitStack() as held:
        for number in range(600):
            with contextlib.suppress(OSError):
                connection = held.enter_context(site.connect())
                if number % 3:
                    connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" if number % 2 else b"\x16\x03\x01")
            most = max(most, len(site.listener.connections))
        assert most <= server.MAX_CONNECTIONS
        until(lambda: served() <= server.MAX_CONNECTIONS, 10)
        assert site.ask(b"GET /livez HTTP/1.1\r\n\r\n")[0] == "200 OK"
    assert ([], ("", "")) == (caplog.records, tuple(capfd.readouterr()))


def test_a_request_that_never_ends_is_cut_off(site, monkeypatch) -> None:
    """Also one that dribbles: the limit is for the whole request, not for each byte."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)
    began = time.monotonic()
    with site.connect() as connection, contextlib.suppress(OSError):
        while time.monotonic() - began < 5:
            connection.sendall(b"G")
            connection.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                assert connection.recv(100) == b""
                break
    assert time.monotonic() - began < 4


def test_an_answer_that_nobody_reads_is_cut_off(site, monkeypatch) -> None:
    monkeypatch.setattr(server, "RESPONSE_SECONDS", 0.3)
    site.grow(2000)
    with site.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        deadline = time.monotonic() + 10
        while len(site.listener.connections) == 0 and time.monotonic() < deadline:
            pass
        while len(site.listener.connections) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(site.listener.connections) == 0


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


@pytest.mark.parametrize("listen", ["no-such-host.invalid:1", "192.0.2.1:9477", f"{'a' * 70}.b:1", "..:1"])
def test_an_address_that_cannot_be_had_is_an_error_of_the_system(listen) -> None:
    with pytest.raises(OSError):
        bind(listen)


def test_a_name_server_that_does_not_answer_ends_the_lookup_within_its_time(monkeypatch) -> None:
    """Nothing can interrupt getaddrinfo: a stop would wait for it."""
    answered = threading.Event()
    monkeypatch.setattr(server, "LOOKUP_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(10))
    with pytest.raises(OSError, match=r"not found within 0\.1 s"):
        bind("slow.example:9477")
    answered.set()


@needs_ipv6
@pytest.mark.parametrize(
    ("listen", "hosts"),
    [("[::1]:0", ["::1"]), ("localhost:0", ["127.0.0.1", "::1"]), ("[::]:0", ["127.0.0.1", "::1"])],
)
def test_a_name_is_served_on_each_of_its_addresses(listen, hosts) -> None:
    site = Site(listen)
    with contextlib.closing(site.listener):
        for host in hosts:
            with socket.create_connection((host, site.listener.port), timeout=5) as connection:
                connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
                assert split(received(connection))[0] == "200 OK"
        assert site.listener.url == f"http://{listen.rpartition(':')[0]}:{site.listener.port}"


def test_close_frees_the_port_at_once(site) -> None:
    with site.connect():
        site.listener.close()
        for bound in bind(f"127.0.0.1:{site.listener.port}"):
            bound.close()


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "authority")


def scrape(site: Site, context: ssl.SSLContext) -> str:
    with context.wrap_socket(site.connect(), server_hostname="localhost") as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        return split(received(connection))[0]


def test_tls_serves_with_the_certificate_and_refuses_plain_http(authority) -> None:
    cert, key = authority.sign("server")
    site = Site(tls=server_context(Metrics(None, cert, key)))
    with contextlib.closing(site.listener):
        assert site.listener.url.startswith("https://")
        assert scrape(site, ssl.create_default_context(cafile=str(authority.cert))) == "200 OK"
        with pytest.raises(ssl.SSLCertVerificationError):
            scrape(site, ssl.create_default_context())
        with contextlib.suppress(OSError), site.connect() as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert b"queuetick" not in received(connection)


def test_a_client_without_a_certificate_of_the_ca_is_refused(authority, tmp_path) -> None:
    cert, key = authority.sign("server")
    site = Site(tls=server_context(Metrics(None, cert, key, str(authority.cert))))
    with contextlib.closing(site.listener):
        trusting = ssl.create_default_context(cafile=str(authority.cert))
        with pytest.raises(OSError):
            scrape(site, trusting)
        trusting.load_cert_chain(*Authority(tmp_path, "stranger").sign("client"))
        with pytest.raises(OSError):
            scrape(site, trusting)
        invited = ssl.create_default_context(cafile=str(authority.cert))
        invited.load_cert_chain(*authority.sign("client"))
        assert scrape(site, invited) == "200 OK"


def test_hands_that_never_shake_do_not_keep_a_scraper_out(authority) -> None:
    site = Site(tls=server_context(Metrics(None, *authority.sign("server"))))
    with contextlib.closing(site.listener), contextlib.ExitStack() as held:
        for _ in range(60):
            held.enter_context(site.connect())
        assert scrape(site, ssl.create_default_context(cafile=str(authority.cert))) == "200 OK"


def test_a_certificate_that_is_no_use_is_a_problem(authority, tmp_path) -> None:
    """The configuration's rules have tried the files; they may change before they are used."""
    cert, key = authority.sign("server")
    other = authority.sign("other")[1]
    locked = authority.sign("locked", passphrase="secret123")
    junk = tmp_path / "junk.pem"
    junk.write_text("no PEM")
    for metrics in (
        Metrics(None, str(tmp_path / "none"), key),
        Metrics(None, cert, other),
        Metrics(None, *locked),
        Metrics(None, str(junk), key),
        Metrics(None, cert, key, str(junk)),
    ):
        with pytest.raises(ConfigError) as raised:
            server_context(metrics)
        assert ["metrics.tls_cert"] == [problem.key for problem in raised.value.problems], metrics
