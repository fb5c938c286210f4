"""The API without sockets: takes a request, returns what to send and how.

The order of the checks is that of a gateway before a service: faults of the network, the path, the
token, the token's rate limit, the permission, the request's own sense.
"""

import contextlib
import json
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import parse_qs

from queuetick.simulator import api_errors
from queuetick.simulator.aggregates import parse_aggregate_query
from queuetick.simulator.answer_faults import login_without_token, spoil
from queuetick.simulator.api_errors import Answer, Problem
from queuetick.simulator.calls import Call, Request
from queuetick.simulator.contact_centre import ContactCentre
from queuetick.simulator.fault_draws import FaultDraws
from queuetick.simulator.faults import Faults
from queuetick.simulator.names import stable_uuid
from queuetick.simulator.operations import Operations
from queuetick.simulator.routes import STATS_PATH, route_of
from queuetick.simulator.rule_answers import RuleAnswer, Rules
from queuetick.simulator.tokens import Tokens, refusal

__all__ = ["MAX_REQUEST_BYTES", "Api", "LoggedRequest", "Outcome", "Request", "client_credentials"]

MAX_REQUEST_BYTES = 512_000
"""request.bytes.max of the platform's limits page."""
MAX_LOGGED = 5000
"""Requests remembered; older ones are forgotten."""

CONNECTION_FAULTS = frozenset({"hang", "reset", "half_answer"})


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
    """The fault that was applied, by name or status."""
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


class Api:
    """Answer requests. Only the serving thread calls it; any thread may replace `faults`."""

    def __init__(
        self, centre: ContactCentre, clock: Callable[[], float], faults: Faults, client: tuple[str, str]
    ) -> None:
        self.centre = centre
        self.clock = clock
        self.faults = faults
        self.client_id, self.client_secret = client
        seed = centre.seed
        self.draws = FaultDraws(seed)
        self.tokens = Tokens(random.Random(f"{seed}/tokens"))  # noqa: S311
        self.log: deque[LoggedRequest] = deque(maxlen=MAX_LOGGED)
        self.stopping = threading.Event()
        """Set when the simulator stops: ends prepare()."""
        self._correlation = random.Random(f"{seed}/correlation")  # noqa: S311
        self._rules = Rules(centre, self.draws)
        self._operations = Operations(centre, self._rules)

    def respond(self, request: Request) -> Outcome:
        path, _, query = request.target.partition("?")
        call = Call(request, path, query, route_of(path), self.clock(), self.faults)
        correlation_id = self._new_id()
        login = call.route == "login"
        drawn = self.draws.draw_login(call.faults) if login else self.draws.draw(call.faults, path)
        call.fault, call.delay = drawn.fault, drawn.delay
        try:
            if call.faults.rules:
                self._rules.meet(call, None)
            answer = self._login(call) if login else self._answer(call)
        except RuleAnswer as met:
            answer = self._rules.answer(met.rule, call, correlation_id)
        except Problem as problem:
            answer = self._spoil(call, problem.answer(correlation_id))
        else:
            answer = self._spoil(call, answer)
        answer.headers |= call.headers
        answer.headers["ININ-Correlation-Id"] = correlation_id
        answer.headers["Date"] = formatdate(call.now + call.faults.clock_skew, usegmt=True)
        for name, value in call.rule_headers.items():
            if isinstance(value, str):
                answer.headers[name] = value
            else:
                answer.headers.pop(name, None)
                answer.repeated += tuple((name, each) for each in value)
        fault = call.fault
        self.log.append(
            LoggedRequest(
                call.now, request.method, path, answer.status, call.queue_ids, fault, correlation_id
            )
        )
        return Outcome(answer, call.delay, fault if fault in CONNECTION_FAULTS else None)

    def prepare(self, request: Request) -> None:
        """Compute what would make respond() slow. Any thread may call it, also during respond()."""
        if request.target == STATS_PATH:
            with contextlib.suppress(Problem, ValueError, RecursionError):
                query = parse_aggregate_query(json.loads(request.body))
                ids = query.queue_ids or [queue.id for queue in self.centre.queues]
                self.centre.prepare_accounts(ids, query.since, min(query.until, self.clock()), self.stopping)

    def _spoil(self, call: Call, answer: Answer) -> Answer:
        """Apply the call's fault to the answer; remove the fault from the call where it does not apply."""
        fault = call.fault
        if fault is None or fault == "revoke" or fault in CONNECTION_FAULTS or call.fault_status is not None:
            return answer
        if fault == "garbage" and call.route == "login":
            return login_without_token(answer)
        spoiled = spoil(answer, fault, call.faults, self.draws.rng)
        if spoiled is None:
            call.fault = None
            return answer
        return spoiled

    def _new_id(self) -> str:
        digits = f"{self._correlation.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    # --- login ---

    def _login(self, call: Call) -> Answer:
        request, faults = call.request, call.faults
        if call.fault_status is not None:
            raise api_errors.by_status(call.fault_status, faults.login_retry_after)
        if request.method != "POST":
            raise api_errors.method_not_allowed("POST")
        form = {
            name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()
        }
        if (request.authorization or "").partition(" ")[0].lower() == "basic":
            client_id, _, secret = request.credentials.partition(":")
        else:
            client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
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

    def _answer(self, call: Call) -> Answer:
        request, faults = call.request, call.faults
        if call.fault_status is not None:
            seconds = faults.status_retry_after
            if call.fault_status == 429 and seconds is None:
                seconds = 1.0
            header = call.fault_status != 429 or faults.retry_after != "absent"
            raise api_errors.by_status(call.fault_status, seconds, header=header)
        if len(request.body) > MAX_REQUEST_BYTES:
            raise api_errors.request_too_large(MAX_REQUEST_BYTES)
        token = self.tokens.find(request.authorization, call.now, faults)
        if call.fault == "revoke":
            self.tokens.revoke(token)
            raise api_errors.bad_credentials()
        if faults.rate_limit:
            allowance = self.tokens.count(token, call.now, faults)
            if faults.rate_limit_headers:
                call.headers |= allowance.headers()
            if allowance.used > allowance.allowed:
                raise refusal(allowance, call.now, faults)
        return self._operations.answer(call)


def client_credentials(seed: int) -> tuple[str, str]:
    """The organization's one OAuth client."""
    return stable_uuid(seed, "client"), stable_uuid(seed, "secret").replace("-", "") + "_simulated"
