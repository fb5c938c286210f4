"""Servers that a broken set-up meets where it expects Genesys Cloud, and check's results by name."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Diagnosis:
    """What `queuetick check --json` said."""

    code: int
    document: dict[str, Any]

    def __getitem__(self, name: str) -> dict[str, Any]:
        return next(check for check in self.document["checks"] if check["name"] == name)

    @property
    def failed(self) -> list[str]:
        return [check["name"] for check in self.document["checks"] if check["status"] == "fail"]

    @property
    def skipped(self) -> list[str]:
        return [check["name"] for check in self.document["checks"] if check["status"] == "skipped"]


@pytest.fixture
def check(queuetick: Callable[..., Any]) -> Callable[..., Diagnosis]:
    """Run `queuetick check --json` and read its one document."""

    def run(
        *, env: Mapping[str, str], config: str | None = None, arguments: tuple[str, ...] = ()
    ) -> Diagnosis:
        done = queuetick("check", "--json", *arguments, env=env, config=config)
        assert done.stderr == ""
        return Diagnosis(done.code, json.loads(done.stdout))

    return run


def has_ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses connections for as long as the test runs."""
    with socket.socket() as bound:  # bound and never listening: nobody else gets it
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def on_a_terminal(tmp_path: Path) -> Callable[..., str]:
    """Run a command with a terminal as its stdout and stderr; what it wrote there."""

    def run(*arguments: str, env: Mapping[str, str]) -> str:
        master, slave = pty.openpty()
        chunks = []

        def read() -> None:
            try:
                while chunk := os.read(master, 65536):
                    chunks.append(chunk)
            except OSError:  # EIO: the last writer is gone
                pass

        reader = threading.Thread(target=read)
        reader.start()
        command = [sys.executable, "-m", "queuetick", *arguments]
        subprocess.run(command, env=env, cwd=tmp_path, stdout=slave, stderr=slave, check=False)
        os.close(slave)
        reader.join()
        os.close(master)
        return b"".join(chunks).decode()

    return run


@dataclass
class Certificate:
    """A self-signed certificate for localhost and its key, as PEM files."""

    certificate: Path
    key: Path


@pytest.fixture
def self_signed(tmp_path: Path) -> Callable[..., Certificate]:
    def make(name: str = "localhost", days: int = 365) -> Certificate:
        made = Certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", f"/O=Example Proxy/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
             "-days", str(days), "-keyout", str(made.key), "-out", str(made.certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        return made

    return make


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = _answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Callable[..., int]]:
    """Start servers that give one answer to everything; returns the port."""
    running: list[ThreadingHTTPServer] = []

    def start(status: int = 200, body: bytes = b"{}", certificate: Certificate | None = None) -> int:
        each: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
        each.answer = (status, body)
        each.handle_error = lambda *_: None  # a client that distrusts the certificate hangs up
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            each.socket = context.wrap_socket(each.socket, server_side=True)
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(each)
        return int(each.server_address[1])

    yield start
    for each in running:
        each.shutdown()
        each.server_close()


class _Tunnel(socketserver.StreamRequestHandler):
    """An HTTP proxy that knows only CONNECT."""

    server: Any

    def handle(self) -> None:
        target = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(target)
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(upstream, self.connection))
            back.start()
            self._pump(self.connection, upstream)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy's URL, and the targets that it has been asked to connect to."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Tunnel) as running:
        running.daemon_threads = True
        asked: list[str] = []
        running.asked = asked  # type: ignore[attr-defined]
        running.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()
