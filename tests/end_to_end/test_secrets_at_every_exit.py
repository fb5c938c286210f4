"""Whatever a host echoes of what it was sent, no command shows it: doors x secrets, by real processes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

CLIENT_ID = "c1c1c1c1-aaaa-4bbb-8ccc-0123456789ab"
SECRET = "s3cr/t+of&the=client_Zq%9"
TOKEN = "tok-en.Of_the~ClientQQ77"
BASIC = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
NEEDLES = [SECRET, CLIENT_ID, TOKEN, BASIC, quote(SECRET, safe=""), SECRET.replace("/", "\\/")]

COMMANDS = {
    "run": ["run"],
    "once": ["once"],
    "queues": ["queues"],
    "check --json": ["check", "--json"],
    "check --report": ["check", "--report"],
}


class _Echo(BaseHTTPRequestHandler):
    """Answers with all that the request held, in the shape that `door` names."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        authorization = self.headers.get("Authorization", "")
        words = f"{authorization} {body} {CLIENT_ID}:{SECRET} {quote(SECRET, safe='')} {BASIC}"
        door = self.server.door
        login = self.path.endswith("/oauth/token")
        if not login:
            words += f" {TOKEN}"
        if login and not door.startswith("login"):
            return self._answer(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "bearer"})
        if door == "login 401":
            return self._answer(
                401, {"error": "invalid_client", "error_description": words, "description": words}
            )
        if door == "login 400":
            return self._answer(400, {"error": "invalid_client", "error_description": words})
        if door == "login page":
            return self._answer(403, f"<html>{words}</html>", words)
        if door == "login 200 without a token":
            return self._answer(200, {"message": words})
        if door == "api 403":
            return self._answer(
                403, {"code": "missing.any.permissions", "status": 403, "message": words}, words
            )
        if door == "api 400":
            return self._answer(
                400, {"code": "bad.request", "status": 400, "message": words, "contextId": words}
            )
        if door == "api 500":
            return self._answer(500, {"message": words, "code": words}, words)
        if door == "a queue's name":
            entity = {"id": "5f0c0d6e-0000-4000-8000-000000000001", "name": f"Desk {words}"}
            entity["division"] = {"id": "5f0c0d6e-0000-4000-8000-00000000000d", "name": words}
            if self.command == "GET":
                page = {"entities": [entity], "total": 1, "pageCount": 1, "pageNumber": 1, "pageSize": 500}
                return self._answer(200, page)
            return self._answer(200, {"results": []})
        return self._answer(200, words)

    do_GET = do_POST  # noqa: N815 - the name that http.server calls

    def _answer(self, status: int, body: object, header: str = "none") -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("ININ-Correlation-Id", header)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def echo() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


DOORS = [
    "login 401", "login 400", "login page", "login 200 without a token",
    "api 403", "api 400", "api 500", "api page", "a queue's name",
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_no_command_shows_what_a_host_echoes(door, echo, queuetick, environment) -> None:
    echo.door = door
    env = {
        **environment,
        "GENESYS_API_URL": f"http://127.0.0.1:{echo.server_address[1]}",
        "GENESYS_CLIENT_ID": CLIENT_ID,
        "GENESYS_CLIENT_SECRET": SECRET,
    }
    for name, arguments in COMMANDS.items():
        if name == "run" and not door.startswith(("login 40", "api 403")):
            continue  # it would go on for ever
        done = queuetick(*arguments, env=env, config="[poll]\ninterval = 1\n", timeout=60)
        shown = done.stdout + done.stderr
        assert "Traceback" not in done.stderr, name
        for needle in NEEDLES:
            assert needle not in shown, f"{name}: {needle}"
