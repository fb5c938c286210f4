"""One request is one request: it ends in time, it is never repeated in silence, and it goes where it should."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuetick.clock import Stopped
from queuetick.config.proxies import parse_proxy
from queuetick.genesys import sdk
from queuetick.genesys.errors import Transient, Unreachable
from queuetick.genesys.in_flight import CONNECT_PATIENCE
from queuetick.genesys.transport import MAX_BODY, Transport
from support.raw import RawServer, http, say

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def raw_server(answer, context=None, address="127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads one request per connection and calls `answer(connection)`; the requests' bytes are kept."""
    requests: list[bytes] = []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        server.settimeout(20)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        def handle(connection) -> None:
            with contextlib.suppress(OSError), connection, contextlib.ExitStack() as stack:
                if context is not None:
                    connection = stack.enter_context(context.wrap_socket(connection, server_side=True))
                requests.append(read_request(connection))
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], requests


def read_request(connection) -> bytes:
    """Headers and body: to close on unread bytes would reset the connection under the answer."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        head, found, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if found and len(body) >= (int(length[1]) if length else 0):
            break
    return data


def make(**options) -> Transport:
    return Transport(**{"connections": 2, "proxy_for": lambda _: None, "ca_bundle": None, **options})


def send(transport, url, *, timeout=5.0, body="{}", most=MAX_BODY):
    options = sdk.load().HttpRequestOptions(url=url, method="POST", headers={"X": "y"}, body=body)
    return transport.send(options, timeout=timeout, most=most)


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = make()
    yield made
    made.close()


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_an_answer_and_not_a_silent_sleep(status, transport) -> None:
    answer = f"HTTP/1.1 {status} No\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(lambda c: c.sendall(answer)) as (port, requests):
        response = send(transport, f"http://127.0.0.1:{port}/x")
    assert (status, "30", 1) == (response.status, response.getheader("retry-after"), len(requests))


def test_a_hanging_server_ends_with_the_timeout(transport) -> None:
    hold = threading.Event()
    with (
        raw_server(lambda _: hold.wait(20)) as (port, requests),
        pytest.raises(Unreachable, match="no answer within"),
    ):
        send(transport, f"http://127.0.0.1:{port}/x", timeout=0.2)
    hold.set()
    assert 1 == len(requests)


def test_a_byte_now_and_then_does_not_beat_the_timeout(transport) -> None:
    done = threading.Event()

    def drip(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not done.wait(0.05):
            connection.sendall(b" ")

    began = time.monotonic()
    with raw_server(drip) as (port, _), pytest.raises(Unreachable, match="no answer within"):
        send(transport, f"http://127.0.0.1:{port}/x", timeout=0.3)
    done.set()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", b"garbage\r\n\r\n"],
    ids=["reset", "half a body", "no HTTP"],
)
def test_half_an_answer_is_no_answer_and_is_asked_for_once(answer, transport) -> None:
    with raw_server(lambda c: c.sendall(answer)) as (port, requests), pytest.raises(Unreachable):
        send(transport, f"http://127.0.0.1:{port}/x")
    assert 1 == len(requests)


def test_a_huge_body_is_cut_off(transport) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000
    with raw_server(lambda c: c.sendall(answer)) as (port, _), pytest.raises(Transient, match="larger than"):
        send(transport, f"http://127.0.0.1:{port}/x", most=1000)


def test_a_redirect_is_not_followed_so_that_the_token_stays_here(transport) -> None:
    with raw_server(lambda c: c.sendall(OK)) as (other, followed):
        answer = (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with raw_server(lambda c: c.sendall(answer)) as (port, _):
            assert 302 == send(transport, f"http://127.0.0.1:{port}/x").status
    assert [] == followed


def test_abort_ends_what_is_under_way_and_refuses_what_comes_later(transport) -> None:
    hold, arrived, caught = threading.Event(), threading.Event(), []

    def hang(_) -> None:
        arrived.set()
        hold.wait(20)

    def ask(port) -> None:
        try:
            send(transport, f"http://127.0.0.1:{port}/x", timeout=20)
        except Stopped as stopped:
            caught.append(stopped)

    with raw_server(hang) as (port, _):
        asking = threading.Thread(target=ask, args=(port,))
        asking.start()
        assert arrived.wait(10)
        transport.abort()
        asking.join(10)
        assert 1 == len(caught)
        with pytest.raises(Stopped):
            send(transport, f"http://127.0.0.1:{port}/x")
    hold.set()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_close_lets_a_request_end_refuses_later_ones_and_leaves_no_thread_or_descriptor() -> None:
    def slow(connection) -> None:
        asked.set()
        release.wait(10)
        connection.sendall(OK)

    asked, release, answers = threading.Event(), threading.Event(), []
    before = descriptors()
    made = make()
    with raw_server(slow) as (port, _):
        url = f"http://127.0.0.1:{port}/x"
        asking = threading.Thread(target=lambda: answers.append(send(made, url).status))
        asking.start()
        assert asked.wait(10)
        made.close()
        with pytest.raises(Stopped):
            send(made, url)
        release.set()
        asking.join(10)
    assert [200] == answers
    watcher = made._watcher
    assert watcher is not None
    watcher.join(10)
    assert not watcher.is_alive()
    until = time.monotonic() + 10
    while descriptors() > before and time.monotonic() < until:
        time.sleep(0.05)  # the server's side closes on a thread of its own
    assert descriptors() <= before


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, pem = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context, str(pem)


def test_tls_is_verified_and_a_ca_bundle_is_honoured(certificate, transport) -> None:
    context, bundle = certificate
    with raw_server(lambda c: c.sendall(OK), context) as (port, _):
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            send(transport, f"https://127.0.0.1:{port}/x")
        trusting = make(ca_bundle=bundle)
        assert 200 == send(trusting, f"https://127.0.0.1:{port}/x").status
        trusting.close()


def connect_proxy(target: int):
    """A proxy that answers CONNECT and pipes bytes to `target`."""

    def pipe(source, sink) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def answer(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", target)) as upstream:
            threading.Thread(target=pipe, args=(connection, upstream), daemon=True).start()
            pipe(upstream, connection)

    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_proxy_is_used_where_the_configuration_names_one(host, certificate) -> None:
    context, bundle = certificate
    address = "::1" if host == "[::1]" else "127.0.0.1"
    with (
        raw_server(lambda c: c.sendall(OK), context) as (port, _),
        raw_server(lambda c: c.sendall(OK)) as (plain, _),
        raw_server(connect_proxy(port), address=address) as (proxy, seen),
    ):
        named = parse_proxy("HTTPS_PROXY", f"http://user:p%40s%C3%9F@{host}:{proxy}", https_only=True)
        through = make(ca_bundle=bundle, proxy_for=lambda url: named if url.startswith("https:") else None)
        assert 200 == send(through, f"https://localhost:{port}/x").status
        assert seen[0].startswith(f"CONNECT localhost:{port} ".encode())
        login = base64.b64encode("user:p@s\u00df".encode()).decode()
        assert f"basic {login}".lower() in seen[0].decode().lower()
        assert 200 == send(through, f"http://127.0.0.1:{plain}/x").status
        assert 1 == len(seen)
        through.close()


def test_names_that_do_not_resolve_are_said_in_words(transport) -> None:
    with pytest.raises(Unreachable, match="does not resolve"):
        send(transport, "http://no-such-host.invalid/x")


def test_fifty_requests_over_one_kept_connection_leave_no_descriptor_behind(transport) -> None:
    def serve(connection) -> None:
        connection.sendall(OK)
        while received := connection.recv(65536):
            while not received.endswith(b"{}"):  # head and body may come apart
                received += connection.recv(65536)
            connection.sendall(OK)

    with raw_server(serve) as (port, requests):
        for _ in range(50):
            assert b"{}" == send(transport, f"http://127.0.0.1:{port}/x").data
    assert 1 == len(requests)


# Addresses, names and certificates


def addresses(monkeypatch, *found: tuple[socket.AddressFamily, tuple]) -> None:
    """Make every host name have these addresses."""
    infos = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: infos)


@pytest.fixture
def dead() -> Iterator[tuple[str, int]]:
    """An address whose connections are never accepted: its backlog is full."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()


def test_a_dead_address_before_a_good_one_does_not_eat_the_timeout(dead, transport, monkeypatch) -> None:
    with raw_server(lambda c: c.sendall(OK)) as (port, _):
        good = ("127.0.0.1", port)
        addresses(monkeypatch, (socket.AF_INET, dead), (socket.AF_INET, good))
        began = time.monotonic()
        assert 200 == send(transport, "http://two-addresses.example/x", timeout=10.0).status
        assert time.monotonic() - began < CONNECT_PATIENCE + 2


def test_many_dead_addresses_of_one_family_do_not_hide_the_other(dead, transport, monkeypatch) -> None:
    with raw_server(lambda c: c.sendall(OK), address="::1") as (port, _):
        four = [(socket.AF_INET, dead)] * 5
        addresses(monkeypatch, *four, (socket.AF_INET6, ("::1", port, 0, 0)))
        began = time.monotonic()
        assert 200 == send(transport, "http://six-addresses.example/x", timeout=10.0).status
        assert time.monotonic() - began < CONNECT_PATIENCE + 2


def test_the_last_address_has_all_the_time_and_the_error_says_it(dead, transport, monkeypatch) -> None:
    addresses(monkeypatch, (socket.AF_INET, dead))
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no answer within 2 s"):
        send(transport, "http://one-address.example/x", timeout=2.0)
    assert time.monotonic() - began > CONNECT_PATIENCE + 0.5


def test_a_connection_that_is_being_made_ends_with_abort(dead, transport) -> None:
    caught = []

    def ask() -> None:
        try:
            send(transport, f"http://127.0.0.1:{dead[1]}/x", timeout=30.0)
        except Stopped:
            caught.append(time.monotonic())

    asking = threading.Thread(target=ask)
    asking.start()
    while not any(request.socket is not None for request in list(transport._in_flight.values())):
        time.sleep(0.01)
    aborted = time.monotonic()
    transport.abort()
    asking.join(10)
    assert caught
    assert caught[0] - aborted < 5


def test_a_host_beyond_ascii_is_asked_under_its_idna_name(transport, monkeypatch) -> None:
    asked = []

    def resolve(host, port, **_options):
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Unreachable, match="does not resolve"):
        send(transport, "https://api.b\u00fccher.example/x")
    assert ["api.xn--bcher-kva.example"] == asked


def test_what_strict_x509_refuses_is_named_with_a_fix(tmp_path) -> None:
    """A CA without key usage: Python 3.13 refuses what 3.12 accepts."""
    ca, key, pem, request = (tmp_path / name for name in ("ca.pem", "key.pem", "cert.pem", "request.pem"))
    plain = tmp_path / "plain.cnf"
    plain.write_text(
        "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=CA:TRUE\n[leaf]\nsubjectAltName=IP:127.0.0.1\n"
    )
    for arguments in (
        ["req", "-x509", "-config", plain, "-extensions", "ca", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
         "-out", ca, "-days", "2", "-subj", "/CN=Old CA"],
        ["req", "-new", "-config", plain, "-key", key, "-out", request, "-subj", "/CN=127.0.0.1"],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-out", pem, "-days", "2",
         "-extfile", plain, "-extensions", "leaf"],
    ):  # fmt: skip
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    strict = make(ca_bundle=str(ca))
    strict.ssl_context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        raw_server(lambda c: c.sendall(OK), context) as (port, _),
        pytest.raises(Unreachable, match=r"RFC 5280.*Python 3\.13.*issue a new one"),
    ):
        send(strict, f"https://127.0.0.1:{port}/x")
    strict.close()


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 Whatever"])
def test_interim_answers_are_skipped_also_where_the_answer_comes_later(transport, interim):
    """On a connection that is kept, an answer that came late would be taken for that of the next request."""
    said = b"HTTP/1.1 " + interim + b"\r\nLink: </x>\r\n\r\n"
    with RawServer(say(said + said, http(b"1"), keep=True), say(said, http(b"2"))) as server:
        assert [b"1", b"2"] == [send(transport, f"{server.url}/x").data for _ in range(2)]
        assert 1 == server.connections


PIECES = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\n\r\n"),
    *(b"HTTP/1.1 -1 x\r\n", b"HTTP/2.0 200\r\n", b"Content-Length: 2\r\n", b"Content-Length: -2\r\n"),
    *(b"Content-Length: 99999999999999999999\r\n", b"Content-Length: x\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate, br\r\n"),
    *(b"Connection: close\r\n", b"no colon\r\n", b" folded\r\n", b"\xff\xfe: \x00\r\n", b"\r\n", b"{}", b"0\r\n\r\n"),
    *(b"-5\r\n", b"2\r\n{}\r\n", b"ffffffffffffffffffff\r\n", b"2;a=b\r\n", gzip.compress(b"{}"), b"\x1f\x8b\x08"),
]  # fmt: skip


def test_whatever_comes_is_an_answer_or_an_error_of_the_request(transport):
    said = [b""]
    with raw_server(lambda connection: connection.sendall(said[0])) as (port, _):

        @settings(max_examples=400, deadline=None)
        @given(
            st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join),
            st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]),
            st.binary(max_size=20),
        )
        def answers(pieces, begin, end):
            said[0] = begin + pieces + end
            with contextlib.suppress(Transient):
                send(transport, f"http://127.0.0.1:{port}/", timeout=5.0, most=4096)

        answers()
