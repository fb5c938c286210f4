"""The API itself, without a wire: a request goes in, what to send and how comes out.

The order of the checks is that of a gateway before a service: faults of the network, the path, the
token, the token's rate limit, the permission, the request's own sense.
"""

import base64
import binascii
import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from queuetick.simulator import api_errors
from queuetick.simulator.answer_faults import login_without_token, spoil
from queuetick.simulator.api_errors import Answer, Problem
from queuetick.simulator.contact_centre import ContactCentre
from queuetick.simulator.fault_draws import Chance, Drawn, concerns, status_headers
from queuetick.simulator.faults import (
    OBSERVATION_PERMISSION,
    QUEUE_PERMISSION,
    QUEUE_SEARCH_PERMISSION,
    Faults,
)
from queuetick.simulator.names import stable_uuid
from queuetick.simulator.observations import Plan, details_body, observation_body
from queuetick.simulator.queries import check_uuid, parse_details_query, parse_observation_query
from queuetick.simulator.queue_pages import queue_entity, queue_page
from queuetick.simulator.tokens import Tokens, refusal

MAX_REQUEST_BYTES = 512_000
"""request.bytes.max of the platform's limits page."""
MAX_LOGGED = 5000
"""Requests remembered; older ones are forgotten."""

LOGIN_PATH = "/oauth/token"
OBSERVATIONS_PATH = "/api/v2/analytics/queues/observations/query"
DETAILS_PATH = "/api/v2/analytics/queues/details/query"
QUEUES_PATH = "/api/v2/routing/queues"

CONNECTION_FAULTS = frozenset({"hang", "reset", "half_answer"})


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    """Path and query as sent."""
    authorization: str | None
    content_type: str
    body: bytes


@dataclass(slots=True)
class LoggedRequest:
    """One request as the log keeps it."""

    time: float
    """Simulator's clock, epoch seconds: the instant whose numbers were answered."""
    method: str
    path: str
    status: int
    """What was answered, or would have been, had the connection held."""
    queue_ids: tuple[str, ...]
    """Queues asked for by a well-formed query."""
    fault: str | None
    """The fault it met, by name or status."""
    correlation_id: str

    @property
    def queue_count(self) -> int:
        return len(self.queue_ids)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What goes out: an answer, later by `delay` real seconds, or the way the connection breaks."""

    answer: Answer
    delay: float = 0.0
    broken: str | None = None
    """One of CONNECTION_FAULTS."""


@dataclass(slots=True)
class _Call:
    """One request while it is being answered."""

    request: Request
    path: str
    query: str
    now: float
    faults: Faults
    queue_ids: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """Answers requests. Called by the serving thread alone; `faults` may be replaced from any."""

    def __init__(
        self, centre: ContactCentre, clock: Callable[[], float], faults: Faults, client: tuple[str, str]
    ) -> None:
        self.centre = centre
        self.clock = clock
        self.faults = faults
        self.client_id, self.client_secret = client
        seed = centre.seed
        self.chance = Chance(seed)
        self.tokens = Tokens(random.Random(f"{seed}/tokens"))  # noqa: S311
        self.log: deque[LoggedRequest] = deque(maxlen=MAX_LOGGED)
        self._correlation = random.Random(f"{seed}/correlation")  # noqa: S311
        self._plans: dict[tuple[frozenset[str], str], Plan] = {}

    def respond(self, request: Request) -> Outcome:
        path, _, query = request.target.partition("?")
        call = _Call(request, path, query, self.clock(), self.faults)
        correlation_id = self._new_id()
        login = path == LOGIN_PATH
        drawn = self.chance.draw_login(call.faults) if login else self.chance.draw(call.faults, path)
        fault = drawn.fault
        try:
            answer = self._login(call, drawn) if login else self._answer(call, drawn)
        except Problem as problem:
            answer = problem.answer(correlation_id)
        if fault == "garbage" and login:
            answer = login_without_token(answer)
        elif (
            fault is not None
            and fault not in CONNECTION_FAULTS
            and drawn.status is None
            and fault != "revoke"
        ):
            spoiled = spoil(answer, fault, call.faults, self.chance.rng)
            fault, answer = (fault, spoiled) if spoiled is not None else (None, answer)
        answer.headers |= call.headers
        answer.headers["ININ-Correlation-Id"] = correlation_id
        answer.headers["Date"] = formatdate(call.now + call.faults.clock_skew, usegmt=True)
        self.log.append(
            LoggedRequest(
                call.now, request.method, path, answer.status, call.queue_ids, fault, correlation_id
            )
        )
        return Outcome(answer, drawn.delay, fault if fault in CONNECTION_FAULTS else None)

    def _new_id(self) -> str:
        digits = f"{self._correlation.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    # --- login ---

    def _login(self, call: _Call, drawn: Drawn) -> Answer:
        request, faults = call.request, call.faults
        if drawn.status is not None:
            if drawn.status == 429:
                seconds = faults.login_retry_after
                raise api_errors.too_many_requests(int(seconds), f"{seconds:g}")
            raise api_errors.by_status(drawn.status, status_headers(drawn.status, faults.login_retry_after))
        if request.method != "POST":
            raise api_errors.method_not_allowed("POST")
        form = {
            name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()
        }
        client_id, secret = _basic(request.authorization) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        if form.get("grant_type") != "client_credentials":
            return api_errors.login_refused(400, "unsupported_grant_type", "grant type not supported")
        if client_id != self.client_id:
            return api_errors.login_refused(400, "invalid_client", "client not found")
        if secret != self.client_secret:
            return api_errors.login_refused(401, "invalid_client", "authentication failed")
        token = self.tokens.issue(call.now)
        stated = faults.stated_lifetime if faults.stated_lifetime is not None else faults.token_lifetime
        body = {"access_token": token.value, "token_type": "bearer", "expires_in": int(stated)}
        return Answer(200, json.dumps(body).encode())

    # --- everything under /api/v2 ---

    def _answer(self, call: _Call, drawn: Drawn) -> Answer:
        request, faults = call.request, call.faults
        if drawn.status is not None:
            if drawn.status == 429:
                seconds = 1 if faults.status_retry_after is None else int(faults.status_retry_after)
                header = None if faults.retry_after == "absent" else str(seconds)
                raise api_errors.too_many_requests(seconds, header)
            raise api_errors.by_status(drawn.status, status_headers(drawn.status, faults.status_retry_after))
        if len(request.body) > MAX_REQUEST_BYTES:
            raise api_errors.request_too_large(MAX_REQUEST_BYTES)
        token = self.tokens.find(request.authorization, call.now, faults)
        if drawn.fault == "revoke":
            self.tokens.revoke(token)
            raise api_errors.bad_credentials()
        if faults.rate_limit:
            allowance = self.tokens.count(token, call.now, faults)
            if faults.rate_limit_headers:
                call.headers |= allowance.headers()
            if allowance.used > allowance.allowed:
                raise refusal(allowance, call.now, faults)
        return self._route(call)

    def _route(self, call: _Call) -> Answer:
        path = call.path
        if path == OBSERVATIONS_PATH:
            self._require(call, "POST", OBSERVATION_PERMISSION)
            return self._observations(call)
        if path == DETAILS_PATH:
            self._require(call, "POST", OBSERVATION_PERMISSION)
            return self._details(call)
        if path == QUEUES_PATH:
            self._require(call, "GET", QUEUE_PERMISSION)
            return Answer(200, queue_page(self.centre, path, parse_qs(call.query)))
        if path in (f"{QUEUES_PATH}/divisionviews", f"{QUEUES_PATH}/divisionviews/all"):
            self._require(call, "GET", QUEUE_SEARCH_PERMISSION)
            largest = 500 if path.endswith("/all") else 100
            return Answer(
                200,
                queue_page(self.centre, path, parse_qs(call.query), largest=largest, simplified=True),
            )
        if path.startswith(f"{QUEUES_PATH}/") and path.count("/") == QUEUES_PATH.count("/") + 1:
            self._require(call, "GET", QUEUE_PERMISSION)
            queue = self.centre.get(check_uuid(path.rpartition("/")[2]))
            if queue is None:
                raise api_errors.not_found()
            return Answer(200, json.dumps(queue_entity(queue), ensure_ascii=False).encode())
        raise api_errors.not_found()

    def _require(self, call: _Call, method: str, permission: str) -> None:
        if call.request.method != method:
            raise api_errors.method_not_allowed(method)
        if permission in call.faults.denied_permissions:
            raise api_errors.missing_any_permissions(permission)

    def _json(self, call: _Call) -> Any:
        declared = call.request.content_type
        if declared and not declared.startswith(api_errors.JSON):
            raise api_errors.unsupported_media_type()
        try:
            return json.loads(call.request.body)
        except (ValueError, RecursionError):
            raise api_errors.bad_request("The request body is not valid JSON.") from None

    def _observations(self, call: _Call) -> Answer:
        query = parse_observation_query(self._json(call))
        known = self._known(call, query.queue_ids)
        faults = call.faults
        key = (query.metrics, faults.unknown_media)
        plan = self._plans.setdefault(key, Plan(*key))
        seed, chosen = self.centre.seed, faults.queues_without_data
        without_data = (lambda queue_id: concerns(queue_id, chosen, seed, "no data")) if chosen else None
        strangers: list[str] = []
        if faults.unknown_queue == "no_data":
            strangers = [each for each in query.queue_ids if self.centre.get(each) is None]
        with self.centre.at(call.now, known) as queues:
            return Answer(200, observation_body(queues, plan, query.wants, without_data, strangers))

    def _details(self, call: _Call) -> Answer:
        known = self._known(call, parse_details_query(self._json(call)))
        with self.centre.at(call.now, known) as queues:
            return Answer(200, details_body(queues, call.now))

    def _known(self, call: _Call, queue_ids: tuple[str, ...]) -> list[str]:
        """The ids to answer for; raises the 400 of bad ones."""
        faults, centre = call.faults, self.centre
        call.queue_ids = queue_ids
        bad = [each for each in queue_ids if each in faults.bad_ids] if faults.bad_ids else []
        if faults.unknown_queue == "bad_request":
            bad += [each for each in queue_ids if centre.get(each) is None and each not in bad]
        if bad:
            raise api_errors.bad_queue_ids(bad)
        known = [each for each in queue_ids if centre.get(each) is not None]
        if faults.missing_queues:
            seed, chosen = centre.seed, faults.missing_queues
            known = [each for each in known if not concerns(each, chosen, seed, "missing")]
        return known


def _basic(authorization: str | None) -> tuple[str, str] | None:
    """Client id and secret of a Basic Authorization header."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = decoded.partition(":")
    return client_id, secret


def client_credentials(seed: int) -> tuple[str, str]:
    """The organization's one OAuth client."""
    return stable_uuid(seed, "client"), stable_uuid(seed, "secret").replace("-", "") + "_simulated"
