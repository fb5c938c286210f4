"""Rules and named faults: which requests they touch, what those get, and the listing against its own total."""

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulator_client import DETAILS, OBSERVATIONS, QUEUES, Client, Clock, Reply

from queuetick.simulator import Faults, Simulator, UnknownFaultError
from queuetick.simulator.named_faults import NAMED

LIMITS = "/api/v2/organizations/limits/namespaces/platform.api"


def listing(client: Client, size: int = 500, number: int = 1) -> Any:
    return client.call("GET", f"{QUEUES}?pageSize={size}&pageNumber={number}").json


def is_genuine(reply: Reply) -> bool:
    """Whether it is Genesys Cloud's own error body."""
    body = reply.json
    return body["status"] == reply.status and body["contextId"] == reply.headers["ININ-Correlation-Id"]


def refused_among(simulator: Simulator, client: Client) -> list[str]:
    """The queues that are refused when asked for alone."""
    simulator.set_faults(rate_limit=0)
    return [each for each in simulator.queue_ids if client.observe([each]).status != 200]


# --- which requests ---


def test_a_rule_touches_its_route_and_no_other(simulator, client):
    simulator.set_faults(rules=[{"route": "listing", "status": 429, "retry_after": 1800}])
    refused = client.call("GET", QUEUES)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1800")
    assert client.observe(simulator.queue_ids).status == 200
    assert client.call("GET", f"{QUEUES}/{simulator.queue_ids[0]}").status == 200
    assert client.login().status == 200


def test_a_rule_without_route_touches_all_but_logins(simulator, client):
    simulator.set_faults(rules=[{"status": 400}])
    assert client.login().status == 200
    for method, path in (("POST", OBSERVATIONS), ("POST", DETAILS), ("GET", QUEUES), ("GET", LIMITS)):
        assert is_genuine(reply := client.call(method, path, {} if method == "POST" else None))
        assert (reply.status, reply.json["code"]) == (400, "bad.request")


def test_after_and_times_choose_some_in_a_row_and_other_changes_do_not_begin_again(simulator, client):
    simulator.set_faults(rules=[{"route": "observations", "after": 1, "times": 2, "status": 503}])
    statuses = []
    for latency in (0.0, 0.001, 0.0, 0.001, 0.0):
        simulator.set_faults(latency=latency)
        statuses.append(client.observe(simulator.queue_ids).status)
    assert statuses == [200, 503, 503, 200, 200]


def test_above_counts_the_queues_of_a_query(simulator, client):
    simulator.set_faults(rules=[{"above": 20, "status": 400, "code": "response.entity.too.large"}])
    assert client.observe(simulator.queue_ids[:20]).status == 200
    refused = client.observe(simulator.queue_ids[:21])
    assert (refused.status, refused.json["code"]) == (400, "response.entity.too.large")


def test_a_queue_of_a_rule_refuses_whatever_names_it_and_nothing_else(simulator, client):
    """Observations, details, and the queue's own page agree."""
    forbidden = simulator.queues[3]
    simulator.set_faults(
        rules=[{"queues": [forbidden.id], "status": 403, "code": "missing.division.permission"}]
    )
    refused = client.observe(simulator.queue_ids)
    assert is_genuine(refused)
    assert refused.json["code"] == "missing.division.permission"
    assert forbidden.division_id in refused.json["message"]
    assert "[analytics:queueObservation:view]" in refused.json["message"]
    assert refused_among(simulator, client) == [forbidden.id]
    assert client.call("GET", f"{QUEUES}/{forbidden.id}").status == 403
    assert client.call("GET", f"{QUEUES}/{simulator.queue_ids[4]}").status == 200


def test_a_rule_may_only_slow_down_or_break_the_connection(simulator, client):
    simulator.set_faults(
        rules=[{"delay": 0.15, "route": "observations"}, {"fault": "reset", "route": "listing"}]
    )
    before = time.monotonic()
    assert client.observe(simulator.queue_ids).status == 200
    assert time.monotonic() - before >= 0.15
    with pytest.raises(ConnectionResetError):
        client.call("GET", QUEUES)


def test_the_first_rule_that_answers_wins_and_headers_add_up(simulator, client):
    simulator.set_faults(
        rules=[{"headers": {"X-Gateway": "a"}}, {"status": 502, "body": "html"}, {"status": 400}]
    )
    reply = client.observe(simulator.queue_ids)
    assert (reply.status, reply.headers["X-Gateway"]) == (502, "a")
    assert reply.headers["Content-Type"] == "text/html"
    assert simulator.requests[-1].fault == "502/html"


@pytest.mark.parametrize("body", ["html", "json", "empty"])
def test_somebody_on_the_way_answers_without_genesys_clouds_error_body(body, simulator, client):
    simulator.set_faults(rules=[{"status": 403, "body": body}])
    reply = client.observe(simulator.queue_ids)
    assert reply.status == 403
    assert b"contextId" not in reply.body
    assert b'"code"' not in reply.body


# --- named faults ---


Answers = Callable[[Faults], list[Any]]


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    """What a centre of 120 queues answers to a day's requests, and whether that takes its time."""
    with Simulator(queues=120, seed=1, clock=Clock()) as simulator:

        def ask(faults: Faults) -> list[Any]:
            simulator.reset()
            simulator.faults = faults
            client = object.__new__(Client)
            client.simulator = simulator
            logins = [client.login() for _ in range(2)]
            client.token = logins[-1].json.get("access_token", "")
            began = time.monotonic()
            replies = [
                client.observe(simulator.queue_ids, "oWaiting", "oLongestInteracting"),
                client.call("GET", f"{QUEUES}?pageSize=500"),
                client.call("GET", f"{QUEUES}?pageSize=40&pageNumber=2"),
                client.call("POST", "/api/v2/analytics/conversations/aggregates/query", {}),
            ]
            took = time.monotonic() - began
            return [*map(comparable, replies), *(each.status for each in logins), took > 2.0]

        yield ask


def comparable(reply: Reply) -> tuple[Any, ...]:
    """Without the id that each answer has of its own."""
    told = [reply.headers[name] for name in ("Retry-After", "inin-ratelimit-allowed")]
    return reply.status, reply.body.replace(reply.headers["ININ-Correlation-Id"].encode(), b""), told


@pytest.fixture(scope="module")
def plain(answers: Answers) -> list[Any]:
    first, second = answers(Faults()), answers(Faults())
    assert first == second, "nothing but a fault makes a difference"
    return first


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_named_fault_touches_somebody(name, answers, plain):
    """Each of them changes an answer of a day's requests, or when it comes."""
    assert answers(Faults.from_mapping({"named": [name]})) != plain


def test_named_faults_add_up_and_knobs_come_on_top():
    both = Faults.from_mapping({"named": ["listing_429", "login_echo", "slow"], "latency": 0.2})
    assert [rule.route for rule in both.rules] == [("listing",), ("login",)]
    assert both.latency == 0.2
    with pytest.raises(UnknownFaultError, match=r"the known names are .*page_cut"):
        Faults.from_mapping({"named": ["pagecut"]})


def test_a_waf_answers_the_first_login_and_the_first_query_only(simulator, client):
    simulator.set_faults(named=["login_403_html", "query_403_html"])
    for ask in (client.login, lambda: client.observe(simulator.queue_ids)):
        first, second = ask(), ask()
        assert (first.status, first.headers["Content-Type"]) == (403, "text/html")
        assert second.status == 200


def test_a_refused_metric_refuses_the_query_that_asks_for_it(simulator, client):
    simulator.set_faults(named=["refused_metric"])
    refused = client.observe(simulator.queue_ids, "oWaiting", "oLongestInteracting")
    assert is_genuine(refused)
    assert "oLongestInteracting" in refused.json["message"]
    assert client.observe(simulator.queue_ids, "oWaiting", "oLongestWaiting").status == 200


@pytest.mark.parametrize(
    ("name", "code"),
    [("forbidden_queues", "missing.division.permission"), ("lost_queues", "not.found")],
)
def test_one_queue_in_twenty_is_refused_with_a_code_of_its_own(name, code, simulator, client):
    simulator.set_faults(named=[name])
    assert client.observe(simulator.queue_ids).json["code"] == code
    refused = refused_among(simulator, client)
    assert 0 < len(refused) < 9
    for queue in simulator.queue_ids[:10]:
        looked_up = client.call("GET", f"{QUEUES}/{queue}").status
        assert (looked_up == 200) is (queue not in refused)


def test_a_429_of_the_token_names_its_limit_and_one_of_a_route_does_not(simulator, client):
    simulator.set_faults(named=["token_429"])
    token = client.observe(simulator.queue_ids)
    assert (token.status, token.headers["Retry-After"]) == (429, "30")
    assert token.json["limit"]["key"] == "token.rate.per.minute"
    assert token.json["code"] == "too.many.requests.retry.after"
    simulator.set_faults(named=["observations_429"])
    assert "token.rate.per.minute" not in client.observe(simulator.queue_ids).body.decode()


def test_retry_after_can_come_twice_and_beside_a_503(simulator, client):
    simulator.set_faults(named=["retry_after_twice"])
    assert client.observe(simulator.queue_ids).headers.get_all("Retry-After") == ["5", "5"]
    simulator.set_faults(named=["retry_after_503"])
    reply = client.observe(simulator.queue_ids)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")


def test_headers_may_lie_about_the_limit_while_the_limits_page_does_not(simulator, client):
    simulator.set_faults(rules=[{"headers": {"inin-ratelimit-allowed": "1e300"}, "times": 1}])
    told = [client.observe(simulator.queue_ids).headers["inin-ratelimit-allowed"] for _ in range(2)]
    assert told == ["1e300", "300"]
    limit = {"key": "token.rate.per.minute", "namespace": "platform.api", "value": 300}
    assert client.call("GET", LIMITS).json == {"entities": [limit]}
    simulator.set_faults(denied_permissions=("limits:organization:view",))
    assert client.call("GET", LIMITS).json["code"] == "missing.any.permissions"


def test_an_answer_without_results_is_a_200_and_an_object(simulator, client):
    simulator.set_faults(named=["no_results"])
    reply = client.observe(simulator.queue_ids)
    assert (reply.status, reply.body) == (200, b"{}")


def test_a_login_host_can_echo_what_it_was_sent(simulator, client):
    """In the clear and as the Basic header, inside an OAuth error body of its own."""
    simulator.set_faults(named=["login_echo"])
    body = client.login().json
    pair = f"{simulator.client_id}:{simulator.client_secret}"
    assert pair in body["description"]
    assert base64.b64encode(pair.encode()).decode() in body["description"]
    assert body["error"] == "invalid_request"


# --- the listing ---


def test_an_empty_listing_has_no_queue_and_says_so(simulator, client):
    simulator.set_faults(listing_empty=True)
    page = listing(client)
    assert (page["entities"], page["total"], page["pageCount"]) == ([], 0, 0)


@pytest.mark.parametrize("stated", [0, 1, "3", 3.0])
def test_page_count_and_total_say_what_they_are_told(stated, simulator, client):
    simulator.set_faults(listing_total=1200, listing_page_count=stated)
    page = listing(client)
    assert (page["total"], page["pageCount"]) == (1200, stated)
    assert type(page["pageCount"]) is type(stated)
    assert len(page["entities"]) == 45


def test_pages_can_be_capped_under_a_page_count_for_the_size_asked_for(simulator, client):
    simulator.set_faults(listing_page_cap=10)
    pages = [listing(client, 20, number) for number in (1, 2, 3)]
    assert [(page["pageSize"], page["pageCount"], page["total"]) for page in pages] == [(20, 3, 45)] * 3
    shown = [each["id"] for page in pages for each in page["entities"]]
    assert len(shown) == len(set(shown)) == 30


def test_one_page_can_be_cut_short(simulator, client):
    simulator.set_faults(listing_cut={2: 3})
    assert [len(listing(client, 20, number)["entities"]) for number in (1, 2, 3)] == [20, 3, 5]
    assert listing(client, 20, 2)["total"] == 45


def test_rows_can_be_unreadable_or_come_twice(simulator, client):
    chosen = tuple(simulator.queue_ids[:12])
    simulator.set_faults(listing_unreadable=chosen)
    rows = listing(client)["entities"]
    readable = [each for each in rows if isinstance(each, dict) and isinstance(each.get("id"), str)]
    assert len(rows) == 45
    assert {each["id"] for each in readable} == set(simulator.queue_ids[12:])
    simulator.set_faults(listing_unreadable=(), listing_repeated=chosen)
    rows = [each["id"] for each in listing(client)["entities"]]
    assert len(rows) == 57
    assert set(rows) == set(simulator.queue_ids)


def test_a_queue_deleted_between_two_pages_hides_another(simulator, client):
    names = {each["id"] for each in listing(client)["entities"]}
    deleted = listing(client, 20)["entities"][4]["id"]
    simulator.set_faults(listing_deletes=(deleted,))
    pages = [listing(client, 20, number) for number in (1, 2, 3)]
    assert [page["total"] for page in pages] == [45, 44, 44]
    shown = [each["id"] for page in pages for each in page["entities"]]
    assert len(names - set(shown)) == 1, "the row that moved to the page already read"
    again = [each["id"] for number in (1, 2, 3) for each in listing(client, 20, number)["entities"]]
    assert set(again) == names - {deleted}
