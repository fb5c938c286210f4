"""A clock that stands still until told, and a client of a few lines for the simulator."""

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from queuetick.simulator import Simulator

OBSERVATIONS = "/api/v2/analytics/queues/observations/query"
DETAILS = "/api/v2/analytics/queues/details/query"
QUEUES = "/api/v2/routing/queues"
STRANGER = "00000000-0000-4000-8000-000000000000"
"""An id that no queue has."""
# A Tuesday, 12:00 UTC: every division is awake.
NOON = 1_764_072_000.0


class Clock:
    """Epoch seconds that pass only when a test says so."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def exchange(
    url: str,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 10.0,
) -> Reply:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


class Client:
    """Logged in to one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.token = self.login().json["access_token"]

    def login(self, form: bytes = b"grant_type=client_credentials", **headers: str) -> Reply:
        known = basic(self.simulator.client_id, self.simulator.client_secret)
        return exchange(self.simulator.url, "POST", "/oauth/token", form, headers or known)

    def call(self, method: str, target: str, body: Any = None, timeout: float = 10.0) -> Reply:
        encoded = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return exchange(self.simulator.url, method, target, encoded, headers, timeout)

    def observe(self, queue_ids: list[str], *metrics: str, timeout: float = 10.0) -> Reply:
        return self.call("POST", OBSERVATIONS, observation_query(queue_ids, *metrics), timeout)

    def control(self, method: str, target: str, body: Any = None) -> Reply:
        encoded = None if body is None else json.dumps(body).encode()
        return exchange(self.simulator.control_url, method, target, encoded)


def observation_query(queue_ids: list[str], *metrics: str) -> dict[str, Any]:
    predicates = [{"type": "dimension", "dimension": "queueId", "value": each} for each in queue_ids]
    return {"filter": {"type": "or", "predicates": predicates}, "metrics": list(metrics or ("oWaiting",))}


def groups(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["results"]
    return found
