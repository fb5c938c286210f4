"""What the client asks, page by page and token by token, and what it makes of each answer."""

from __future__ import annotations

import json

import pytest

from queuetick import __version__
from queuetick.events import Batch, Queue, RateLimit
from queuetick.genesys.client import Client, Usage
from queuetick.genesys.errors import (
    Forbidden,
    LoginFailed,
    NotFound,
    RateLimited,
    Refused,
    RequestRefused,
    TokenRejected,
    TooLarge,
    Transient,
    Unreachable,
)
from queuetick.genesys.hosts import Hosts, hosts
from queuetick.genesys.login import Token
from queuetick.genesys.metric_set import MetricSet
from queuetick.genesys.rate_limit import Deferred
from queuetick.genesys.transport import Response

TICK = "2026-11-24T04:00:15.000Z"
API = "https://api.example.test"
Q = "e8963ace-0000-4000-8000-000000000001"


def answer(body, status=200, **headers) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, None, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def error_body(status: int, code: str = "some.code") -> dict:
    """Genesys's own error body (facts, 3.4)."""
    return {"message": "no", "code": code, "status": status, "contextId": "c-1", "details": [], "errors": []}


REFUSED = answer({"message": "bad request", "code": "bad.request"}, 400)
REJECTED = answer(
    {"message": "Invalid login credentials.", "code": "bad.credentials", "status": 401, "contextId": "c-1"},
    401,
)


class Scripted:
    """A transport that answers from a list, or from a function of the request; keeps what was asked."""

    def __init__(self, answers) -> None:
        self.answers = answers if callable(answers) else iter(answers)
        self.asked = []
        self.headers = []
        self.timeouts = []

    def send(self, options, *, timeout, most):
        self.asked.append(options)
        self.headers.append(dict(options.headers))  # the SDK masks its own copy afterwards
        self.timeouts.append(timeout)
        found = self.answers(options) if callable(self.answers) else next(self.answers)
        if isinstance(found, Exception):
            raise found
        return found


class Tokens:
    """A token source whose renewal gives the next token."""

    def __init__(self, *, renewal: Exception | None = None) -> None:
        self.number = 1
        self.renewal = renewal
        self.rejected = []
        self.held = []

    def token(self) -> Token:
        return Token(f"token-{self.number}", 300.0)

    def renew(self, rejected: Token, about) -> bool:
        self.rejected.append(rejected.value)
        if self.renewal is not None:
            raise self.renewal
        self.number += 1
        return len(self.rejected) % 2 == 1

    def accepted(self, token: Token, about) -> None:
        self.held.append(token.value)
        self.rejected.clear()


class Budget:
    """A budget that lets everything leave before its deadline, and keeps what it heard."""

    def __init__(self) -> None:
        self.log = []

    def acquire(self, route: str, deadline: float) -> None:
        if deadline <= 0:
            raise Deferred(1.0)
        self.log.append(f"acquire {route}")

    def release(self, route: str) -> None:
        self.log.append(f"release {route}")

    def reset_backoff(self, route: str) -> None:
        self.log.append("reset_backoff")

    def update_from_headers(self, route: str, rate_limit: RateLimit | None) -> None:
        if rate_limit is not None:
            self.log.append(rate_limit)

    def hold(self, route: str, seconds: float) -> None:
        self.log.append(("hold", route, seconds))

    def pause(self, route: str, seconds: float | None, source: str) -> None:
        self.log.append((route, seconds, source))


def client(transport, tokens=None, budget=None, *, endpoint="observations") -> Client:
    return Client(
        transport,
        tokens or Tokens(),
        budget or Budget(),
        MetricSet(),
        api_url=API,
        endpoint=endpoint,
        timeout=10.0,
        monotonic=lambda: 100.0,
        now=lambda: 1_795_492_800.0,
    )


def observe(transport, tokens=None, budget=None, *, usage=None, deadline=113.5, endpoint="observations"):
    asked = client(transport, tokens, budget, endpoint=endpoint)
    return asked.observe(
        Batch(1, (Queue(Q),)),
        cycle=7,
        scheduled_at=TICK,
        deadline=deadline,
        usage=usage if usage is not None else Usage(),
    )


SEEN = answer({"results": [{"group": {"queueId": Q, "mediaType": "voice"}, "data": [
    {"metric": "oWaiting", "stats": {"count": 4}}]}]})  # fmt: skip


# Hosts


@pytest.mark.parametrize(
    ("region_url", "api_url", "login_url", "expected"),
    [
        (
            "https://api.mypurecloud.ie",
            None,
            None,
            ("https://api.mypurecloud.ie", "https://login.mypurecloud.ie"),
        ),
        (
            "https://api.usw2.pure.cloud/",
            None,
            None,
            ("https://api.usw2.pure.cloud", "https://login.usw2.pure.cloud"),
        ),
        ("https://api.x", "http://127.0.0.1:1/", None, ("http://127.0.0.1:1", "http://127.0.0.1:1")),
        ("https://api.x", "https://api.gw/api./", None, ("https://api.gw/api.", "https://login.gw/api.")),
        ("https://api.x", None, "https://id.example/", ("https://api.x", "https://id.example")),
        ("https://api.x", "https://gw/api.", "https://id", ("https://gw/api.", "https://id")),
    ],
)
def test_login_is_the_api_host_with_another_name_unless_it_is_given(
    region_url, api_url, login_url, expected
) -> None:
    assert Hosts(*expected) == hosts(region_url, api_url=api_url, login_url=login_url)


# One request


def test_a_batch_is_one_post_with_its_token_through_the_sdk() -> None:
    transport, usage = Scripted([SEEN]), Usage()
    found = observe(transport, usage=usage)
    [asked] = transport.asked
    assert f"{API}/api/v2/analytics/queues/observations/query" == asked.url
    [headers] = transport.headers
    assert ("POST", "Bearer token-1") == (asked.method, headers["Authorization"])
    assert ("application/json", "application/json") == (headers["Accept"], headers["Content-Type"])
    assert headers["User-Agent"].startswith(f"queuetick/{__version__} PureCloud SDK/")
    assert [Q] == [predicate["value"] for predicate in json.loads(asked.body)["filter"]["predicates"]]
    assert (1, 0, [10.0]) == (usage.requests, usage.retries, transport.timeouts)
    [snapshot] = found.snapshots
    assert (7, 4, "2026-11-24T04:00:00.000Z") == (snapshot.cycle, snapshot.waiting, snapshot.observed_at)


def test_the_details_endpoint_has_its_own_path_and_permission() -> None:
    transport = Scripted([answer({"groups": []})])
    assert [Q] == [queue.id for queue, _ in observe(transport, endpoint="details").missing]
    assert transport.asked[0].url.endswith("/analytics/queues/details/query")
    assert "statistics:queue:read" == client(transport, endpoint="details").permission
    assert "analytics:queueObservation:view" == client(transport).permission


@pytest.mark.parametrize(
    ("sent", "deadline", "timeout"), [(0, 100.1, 10.0), (1, 104.0, 4.0), (1, 100.1, 0.5), (1, 200.0, 10.0)]
)
def test_a_first_attempt_has_the_whole_timeout_and_a_retry_ends_with_the_cycle(
    sent, deadline, timeout
) -> None:
    transport = Scripted([SEEN])
    observe(transport, usage=Usage(requests=sent), deadline=deadline)
    assert [timeout] == transport.timeouts


def test_every_request_asks_the_budget_and_tells_it_what_became_of_it() -> None:
    budget = Budget()
    observe(Scripted([SEEN]), budget=budget)
    assert ["acquire observations", "release observations", "reset_backoff"] == budget.log


def test_a_request_that_gets_no_answer_frees_its_place_and_proves_nothing() -> None:
    budget, usage = Budget(), Usage()
    with pytest.raises(Unreachable):
        observe(Scripted([Unreachable("no answer")]), budget=budget, usage=usage)
    assert ["acquire observations", "release observations"] == budget.log
    assert 1 == usage.requests


def test_a_request_that_may_not_leave_in_time_is_not_sent_or_counted() -> None:
    transport, usage = Scripted([]), Usage()
    with pytest.raises(Deferred):
        observe(transport, usage=usage, deadline=0.0)
    assert ([], 0) == (transport.asked, usage.requests)


def test_rate_limit_headers_of_any_answer_reach_the_budget() -> None:
    budget = Budget()
    headers = {"inin_ratelimit_allowed": "300", "inin_ratelimit_count": "7", "inin_ratelimit_reset": "42"}
    with pytest.raises(Forbidden):
        observe(Scripted([answer(error_body(403), 403, **headers)]), budget=budget)
    assert [
        "acquire observations",
        "release observations",
        RateLimit(300, 7, 42.0),
        "reset_backoff",
    ] == budget.log


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry_After": "12"}, ("observations", 12.0, "retry-after")),
        ({"Retry_After": "5, 5"}, ("observations", 5.0, "retry-after")),
        ({}, ("observations", None, "backoff")),
    ],
)
def test_a_429_pauses_the_budget_and_is_not_an_admission(headers, pause) -> None:
    budget = Budget()
    with pytest.raises(RateLimited):
        observe(Scripted([answer({}, 429, **headers)]), budget=budget)
    assert ["acquire observations", "release observations", pause] == budget.log


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RequestRefused),
        (403, Forbidden),
        (404, NotFound),
        (408, Transient),
        (500, Transient),
        (302, Refused),
        (199, Transient),
    ],
)
def test_a_failure_is_an_error_of_its_kind_and_is_not_sent_again(status, error) -> None:
    transport = Scripted([answer(error_body(status), status)])
    with pytest.raises(error) as caught:
        observe(transport)
    assert (error, status, 1) == (type(caught.value), caught.value.status, len(transport.asked))


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad Request</html>", b"[]", b'{"message":"Forbidden"}', b'{"status":1}']
)
def test_a_refusal_without_genesyss_own_error_body_is_a_fault_that_passes(status, body) -> None:
    tokens = Tokens()
    with pytest.raises(Transient, match="proxy or firewall") as caught:
        observe(Scripted([answer(body, status)]), tokens)
    assert (Transient, False, []) == (type(caught.value), caught.value.genuine, tokens.rejected)


@pytest.mark.parametrize(
    ("status", "code", "kind", "single_queue"),
    [
        (403, "missing.division.permission", Forbidden, True),
        (403, "missing.permissions", Forbidden, False),
        (404, "not.found", NotFound, None),
        (400, "response.entity.too.large", TooLarge, None),
        (413, "whatever.it.is", TooLarge, None),
    ],
)
def test_a_genuine_refusal_says_what_it_is_about(status, code, kind, single_queue) -> None:
    with pytest.raises(kind) as caught:
        observe(Scripted([answer(error_body(status, code), status)]))
    assert (True, code) == (caught.value.genuine, caught.value.code)
    assert single_queue == getattr(caught.value, "single_queue", None)


@pytest.mark.parametrize(
    ("message", "single_queue"),
    [
        ("permissions assigned in at least one of the following division(s): [Home]", True),
        ("permissions assigned", False),
    ],
)
def test_a_403_that_names_divisions_may_be_due_to_a_single_queue(message, single_queue) -> None:
    body = {**error_body(403, "missing.any.permissions"), "message": message}
    with pytest.raises(Forbidden) as caught:
        observe(Scripted([answer(body, 403)]))
    assert single_queue == caught.value.single_queue


def test_a_forbidden_answer_names_its_permission() -> None:
    body = {
        **error_body(403),
        "message": "missing the following permission(s): [analytics:queueObservation:view]",
    }
    with pytest.raises(Forbidden) as caught:
        observe(Scripted([answer(body, 403)]))
    assert "analytics:queueObservation:view" == caught.value.permission


@pytest.mark.parametrize("seconds", ["7", "7, 7"])
def test_a_503_with_retry_after_holds_its_route_but_for_observations_whose_cycle_asks_others_too(
    seconds,
) -> None:
    budget, unavailable = Budget(), [answer(b"", 503, Retry_After=seconds)]
    with pytest.raises(Transient) as caught:
        observe(Scripted(unavailable), budget=budget)
    assert (7.0, "reset_backoff") == (caught.value.retry_after, budget.log[-1])
    with pytest.raises(Transient):
        client(Scripted(unavailable), budget=budget).queues()
    assert ("hold", "listing", 7.0) == budget.log[-1]


@pytest.mark.parametrize("status", [201, 202, 204, 205])
def test_an_empty_answer_is_a_failure_that_passes_and_keeps_its_status(status) -> None:
    with pytest.raises(Transient, match=f"HTTP {status}: the answer is empty") as caught:
        observe(Scripted([answer(b"", status)]))
    assert status == caught.value.status


# 401


def test_a_401_renews_the_token_and_the_request_is_sent_once_more() -> None:
    transport, tokens, budget, usage = Scripted([REJECTED, SEEN]), Tokens(), Budget(), Usage()
    assert observe(transport, tokens, budget, usage=usage).snapshots
    assert ["Bearer token-1", "Bearer token-2"] == [sent["Authorization"] for sent in transport.headers]
    assert transport.asked[0].body == transport.asked[1].body
    assert (["token-2"], 2, 1) == (tokens.held, usage.requests, usage.retries)
    assert ["acquire observations", "release observations", "reset_backoff"] * 2 == budget.log


def test_a_second_401_is_a_failure() -> None:
    transport, tokens, usage = Scripted([REJECTED, REJECTED, SEEN]), Tokens(), Usage()
    with pytest.raises(TokenRejected):
        observe(transport, tokens, usage=usage)
    assert (2, ["token-1", "token-2"], []) == (len(transport.asked), tokens.rejected, tokens.held)
    assert (2, 1) == (usage.requests, usage.retries)


def test_a_renewal_that_fails_is_the_failure_of_the_request() -> None:
    transport = Scripted([REJECTED])
    with pytest.raises(LoginFailed):
        observe(transport, Tokens(renewal=LoginFailed("login host away")))
    assert 1 == len(transport.asked)


def test_each_page_may_be_replayed() -> None:
    first = {"entities": [{"id": "a"}], "pageCount": 2}
    second = {"entities": [{"id": "b"}], "pageCount": 2}
    transport, usage = Scripted([REJECTED, answer(first), REJECTED, answer(second)]), Usage()
    assert ["a", "b"] == [queue.id for queue in client(transport).queues(usage=usage)]
    assert (4, 2) == (usage.requests, usage.retries)


def test_without_a_token_nothing_is_asked_of_the_budget() -> None:
    class NoToken(Tokens):
        def token(self) -> str:
            raise LoginFailed("login host away")

    budget = Budget()
    with pytest.raises(LoginFailed):
        observe(Scripted([]), NoToken(), budget)
    with pytest.raises(LoginFailed):
        client(Scripted([]), NoToken(), budget).login()
    assert [] == budget.log


def test_login_makes_sure_of_a_token_and_sends_no_request() -> None:
    transport = Scripted([])
    assert None is client(transport).login()
    assert [] == transport.asked


# One queue


def test_a_queue_is_looked_up_by_its_id() -> None:
    transport = Scripted([answer({"id": Q, "name": "Support"})])
    assert Queue(Q, "Support") == client(transport).queue(Q)
    assert f"{API}/api/v2/routing/queues/{Q}" == transport.asked[0].url


def test_a_queue_that_is_not_there_is_none_and_any_other_refusal_is_an_error() -> None:
    assert None is client(Scripted([answer(error_body(404, "not.found"), 404)])).queue(Q)
    with pytest.raises(Refused):
        client(Scripted([answer({}, 405)])).queue(Q)
    with pytest.raises(Forbidden):
        client(Scripted([answer(error_body(403), 403)])).queue(Q)
    with pytest.raises(Transient):
        client(Scripted([answer(b"<html>", 404)])).queue(Q)


def test_a_look_up_that_is_sent_again_after_a_401_counts_twice() -> None:
    usage = Usage()
    client(Scripted([REJECTED, answer({"id": Q})])).queue(Q, usage=usage)
    assert Usage(requests=2, retries=1) == usage


def test_a_look_up_keeps_its_deadline() -> None:
    with pytest.raises(Deferred):
        client(Scripted([])).queue(Q, deadline=0.0)
    with pytest.raises(Deferred):
        client(Scripted([])).queues(deadline=0.0)
