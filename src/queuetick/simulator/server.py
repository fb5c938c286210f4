"""The API on a socket, with aiohttp, and the faults of the connection."""

import asyncio
import errno
import socket
import struct
import threading
from collections.abc import Callable

from aiohttp import web

from queuetick.simulator.api import MAX_REQUEST_BYTES, Api, Outcome, Request
from queuetick.simulator.api_errors import Answer
from queuetick.simulator.routes import route_of

_PORTS_TRIED = 10

# With SO_LINGER on and zero, close() sends RST instead of FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


def api_server(api: Api, lock: threading.Lock) -> web.Server:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        asked = Request(
            request.method,
            request.raw_path,
            headers.get("Authorization"),
            headers.get("Content-Type", ""),
            await _read(request),
        )
        if route_of(request.path) == "stats":
            # Seconds of computing for a day of many queues: other requests are answered meanwhile.
            await asyncio.get_running_loop().run_in_executor(None, api.prepare, asked)
            if api.stopping.is_set():
                return web.Response(status=503)
        with lock:
            outcome = api.respond(asked)
        # Real time even when the simulator's clock is a fake: the client's timeouts are real.
        if outcome.delay:
            await asyncio.sleep(outcome.delay)
        if outcome.broken is not None:
            return await _break(request, outcome)
        return response(outcome.answer)

    # Cancel a request when its client disconnects; hung requests would otherwise never end.
    return web.Server(answer, handler_cancellation=True)


async def _read(request: web.BaseRequest) -> bytes:
    """The body, or as much of it as shows that it is too large."""
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) <= MAX_REQUEST_BYTES:
        return await request.content.read() if request.content_length else await request.read()
    await request.release()
    return b" " * (MAX_REQUEST_BYTES + 1)


def response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=_headers(answer))


def _headers(answer: Answer) -> list[tuple[str, str]]:
    return [("Content-Type", answer.content_type), *answer.headers.items(), *answer.repeated]


async def _break(request: web.BaseRequest, outcome: Outcome) -> web.StreamResponse:
    transport = request.transport
    if outcome.broken == "hang":
        # The client's disconnect, or the end of the simulator, cancels this wait.
        await asyncio.Event().wait()
    elif outcome.broken == "reset":
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            transport.abort()
    else:
        answer = outcome.answer
        half = web.StreamResponse(
            status=answer.status,
            headers=[("Content-Length", str(len(answer.body))), *_headers(answer)],
        )
        await half.prepare(request)
        await half.write(answer.body[: len(answer.body) // 2])
        if transport is not None:
            transport.close()
    # Nothing of this is sent: the transport is gone.
    return web.Response(status=500)


class Listener:
    """One aiohttp server on one port; start and stop it in its own event loop."""

    def __init__(self, server: web.Server, host: str, port: int) -> None:
        self._runner = web.ServerRunner(server, shutdown_timeout=0.05)
        self._host, self._port = host, port

    async def start(self) -> int:
        """Listen; the port that was given, or chosen for 0. Raises OSError.

        `localhost` means both loopback addresses, on the same port, where the system has both.
        """
        await self._runner.setup()
        if self._host != "localhost":
            return await self._listen(self._host, self._port)
        for _ in range(_PORTS_TRIED):
            port = await self._listen("127.0.0.1", self._port)
            try:
                return await self._listen("::1", port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return port
                if self._port:
                    raise
                for site in list(self._runner.sites):
                    await site.stop()
        raise OSError(errno.EADDRINUSE, "no port is free on both 127.0.0.1 and ::1")

    async def _listen(self, host: str, port: int) -> int:
        await web.TCPSite(self._runner, host, port).start()
        chosen: int = self._runner.addresses[-1][1]
        return chosen

    async def stop(self) -> None:
        await self._runner.cleanup()


Respond = Callable[[Request], Answer]


def plain_server(respond: Respond) -> web.Server:
    """A server of plain answers, for the control address."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        return response(respond(Request(request.method, request.raw_path, None, "", body)))

    return web.Server(answer)
