"""A server that says on the wire whatever it is told to, where the simulator is too well bred."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Self

Speak = Callable[[socket.socket], bool | None]
"""Answers one request on its connection; a true value keeps the connection for the next one."""

TOKEN = b'{"access_token":"token-of-the-raw-server","expires_in":86400}'

NO_QUEUES = b'{"entities":[],"pageSize":500,"pageNumber":1,"total":0,"pageCount":0}'


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer; `length` lies about its length."""
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Content-Type: application/json", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def say(*parts: bytes, keep: bool = False) -> Speak:
    def speak(connection: socket.socket) -> bool:
        for part in parts:
            connection.sendall(part)
        return keep

    return speak


class RawServer:
    """Logs everybody in, lists no queues, and lets `answers` speak to the other requests.

    In turn; the last one again and again.
    """

    def __init__(self, *answers: Speak) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._serving: list[threading.Thread] = []
        self._lock = threading.Lock()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            serving = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._serving.append(serving)
            serving.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            try:
                while (request := _read(connection)) is not None:
                    if b"/oauth/token " in request:
                        connection.sendall(http(TOKEN))
                    elif request.startswith(b"GET "):
                        connection.sendall(http(NO_QUEUES, "Connection: close"))
                        break
                    elif not self._next(request)(connection):
                        break
            finally:
                self._open.discard(connection)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _next(self, request: bytes) -> Speak:
        with self._lock:
            self.requests.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *self._serving):
            thread.join(5)


def _read(connection: socket.socket) -> bytes | None:
    """One request with its body; None when the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    return head + b"\r\n\r\n" + body


def observations(*queue_ids: str, waiting: int = 4) -> bytes:
    """A good answer for these queues."""
    results = []
    for queue_id in queue_ids:
        users = [{"metric": "oOnQueueUsers", "qualifier": "IDLE", "stats": {"count": 2}}]
        voice = [{"metric": "oWaiting", "stats": {"count": waiting}}]
        results.append({"group": {"queueId": queue_id}, "data": users})
        results.append({"group": {"queueId": queue_id, "mediaType": "voice"}, "data": voice})
    return json.dumps({"results": results}).encode()
