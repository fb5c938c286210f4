"""A verdict needs evidence: what is refused, who is blamed for it, and what it may cost."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from queuetick.simulator import Faults
from support.account import breaches
from support.virtual import World

QUERY = "/api/v2/analytics/queues/observations/query"


class Truth:
    """Stands before the simulator's API and refuses queries as `refuse(ids, metrics)` says: a status and a body."""

    def __init__(self, world: World, refuse) -> None:
        self.refuse = refuse
        self.answered: list[set[str]] = []
        self.requests = 0
        self._respond = world.api.respond
        world.api.respond = self

    def __call__(self, request):
        outcome = self._respond(request)
        path = request.target.partition("?")[0]
        if "/routing/queues" in path or path == QUERY:
            self.requests += 1
        refusal = self.refuse(path, *read(request.body) if path == QUERY else (set(), ()))
        if refusal is not None:
            outcome.answer.status, outcome.answer.body = refusal
        elif path == QUERY and outcome.answer.status == 200:
            self.answered.append(read(request.body)[0])
        return outcome


def read(body: bytes) -> tuple[set[str], tuple[str, ...]]:
    query = json.loads(body)
    return {each["value"] for each in query["filter"]["predicates"]}, tuple(query["metrics"])


def refusal(status: int, code: str) -> tuple[int, bytes]:
    return status, json.dumps(
        {"message": "refused", "code": code, "status": status, "contextId": "c"}
    ).encode()


BLANKET = {
    "a page with 400": (400, b"<html>Bad Request</html>"),
    "a page with 403": (403, b"<html>Forbidden</html>"),
    "a page with 404": (404, b"<html>Not Found</html>"),
    "another shape with 400": (400, b'{"error": {"text": "no"}}'),
    "a genuine 400": refusal(400, "bad.request"),
    "a genuine 403": refusal(403, "missing.division.permission"),
    "a genuine 404": refusal(404, "not.found"),
    "too large": refusal(400, "response.entity.too.large"),
}


@pytest.mark.parametrize("shape", BLANKET)
@pytest.mark.parametrize(("queues", "batch_size"), [(200, 20), (45, 200), (1, 20)])
def test_where_nothing_is_answered_no_id_is_blamed_and_a_cycle_costs_three_requests_a_batch_at_most(
    shape, queues, batch_size
):
    world = World(queues=queues, poll_batch_size=batch_size, queues_refresh=86_400)
    world.run(1)
    truth = Truth(world, lambda path, *_: BLANKET[shape] if path == QUERY else None)
    batches = -(-queues // batch_size)
    for cycle in range(2, 7):
        sent = truth.requests
        world.run(cycle)
        assert truth.requests - sent <= 3 * batches
    assert world.events("queue.invalid") == []
    assert [report.outcome for report in world.reports[1:]] == ["failed"] * 5
    assert len(world.events("api.lost")) == 1
    assert {line["cycle"] for line in world.events("batch.failed")} == {2}, (
        "named in the cycle that lost the API"
    )
    truth.refuse = lambda *_: None
    world.run(8)
    assert world.reports[-1].outcome == "ok"
    assert len(world.events("api.recovered")) == 1
    assert breaches(world.text) == []


def test_requests_sent_again_after_a_401_count_among_those_of_a_cycle_without_an_answer():
    world = World(queues=1, queues_refresh=86_400)
    world.run(1)
    sent = 0

    def refuse(path, *_):
        nonlocal sent
        sent += path == QUERY
        return refusal(*[(401, "bad.credentials"), (400, "bad.request")][sent > 1]) if path == QUERY else None

    truth = Truth(world, refuse)
    before = truth.requests
    world.run(2)
    assert (3, "failed") == (truth.requests - before, world.reports[-1].outcome)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not.found"), (403, "not.authorized"), (403, "missing.division.permission")]
)
def test_a_look_up_that_is_refused_for_the_id_is_evidence_about_it(status, code):
    world = World(queues=1, queues_refresh=86_400)
    world.run(1)
    Truth(
        world, lambda path, *_: refusal(*{True: (400, "bad.request"), False: (status, code)}[path == QUERY])
    )
    world.run(2)
    assert 1 == len(world.events("queue.invalid"))


@pytest.mark.parametrize("queues", [1, 45])
def test_a_role_that_may_look_up_no_queue_says_nothing_of_one(queues):
    world = World(queues=queues, poll_batch_size=20, queues_refresh=86_400)
    world.run(1)
    codes = {True: (400, "bad.request"), False: (403, "missing.permissions")}
    Truth(world, lambda path, *_: refusal(*codes[path == QUERY]))
    world.run(20)
    assert world.events("queue.invalid") == []
    assert {report.failed for report in world.reports[1:]} == {queues}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("unavailable", [{0}, {4}, {0, 1}, {0, 3, 4}, {0, 1, 2, 3}])
def test_a_503_of_some_batches_says_nothing_of_the_others_however_long_it_asks_to_wait(
    unavailable, concurrency
):
    world = World(queues=25, poll_batch_size=5, poll_concurrency=concurrency, queues_refresh=86_400)
    world.run(1)
    ids = [queue.id for queue in world.cycles.queues]
    bad = {each for number in unavailable for each in ids[5 * number : 5 * number + 5]}
    respond = world.api.respond

    def answer(request):
        outcome = respond(request)
        if request.target == QUERY and read(request.body)[0] & bad:
            outcome.answer.status, outcome.answer.body = 503, b""
            outcome.answer.headers["Retry-After"] = "60"
        return outcome

    world.api.respond = answer
    world.run(20)
    assert {report.snapshots for report in world.reports[1:]} == {len(ids) - len(bad)}
    assert breaches(world.text) == []


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_good_queues_are_found_behind_any_number_of_batches_that_fail(concurrency):
    world = World(queues=130, poll_batch_size=5, poll_concurrency=concurrency, queues_refresh=86_400)
    world.run(1)
    ids = [queue.id for queue in world.cycles.queues]
    good = set(ids[100:])
    Truth(world, lambda path, asked, _: (500, b"") if path == QUERY and not asked <= good else None)
    world.run(16)
    assert {report.snapshots for report in world.reports[5:]} == {len(good)}
    assert breaches(world.text) == []


@pytest.mark.parametrize(
    ("status", "code"), [(403, "missing.division.permission"), (404, "not.found"), (400, "bad.request")]
)
@pytest.mark.parametrize("queues", [1, 2, 40])
def test_one_queue_that_refuses_its_batch_is_set_aside_and_its_neighbours_are_polled(status, code, queues):
    world = World(queues=queues, poll_batch_size=20, queues_refresh=86_400)
    bad = world.centre.queues[-1]

    def refuse(path, ids, _):
        alone = bad.id in ids or path.endswith(bad.id)
        return (
            refusal(status if path == QUERY else 404, code if path == QUERY else "not.found")
            if alone
            else None
        )

    Truth(world, refuse)
    world.run(4)
    [invalid] = world.events("queue.invalid")
    assert (invalid["queue_id"], invalid["status"], invalid["code"]) == (bad.id, status, code)
    assert invalid["division"]
    assert ("permission" in invalid) == (status == 403)
    assert world.reports[-1].snapshots == queues - 1
    assert world.reports[-1].outcome == ("partial" if queues > 1 else "failed")


def test_a_metric_that_the_organisation_refuses_is_left_out_and_every_queue_polled():
    world = World(queues=45, poll_batch_size=20, queues_refresh=86_400)
    Truth(
        world,
        lambda _, __, metrics: refusal(400, "bad.request") if "oLongestInteracting" in metrics else None,
    )
    world.run(12)
    [found] = world.events("metric.refused")
    assert found["metric"] == "oLongestInteracting"
    assert world.events("queue.invalid") == []
    assert (world.reports[-1].outcome, world.reports[-1].snapshots) == ("ok", 45)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.1, 0.3, 0.6, 1.0]),
    shapes=st.lists(st.sampled_from(sorted(BLANKET)), min_size=1, max_size=3, unique=True),
    bad=st.sets(st.integers(0, 59), max_size=4),
    queues=st.sampled_from([3, 20, 60]),
    batch_size=st.sampled_from([1, 7, 20, 200]),
    trouble=st.integers(1, 6),
    lookups=st.booleans(),
)
@example(
    seed=0, share=1.0, shapes=["a genuine 400"], bad={0, 1}, queues=3, batch_size=7, trouble=1, lookups=False
)
@example(
    seed=1, share=1.0, shapes=["a genuine 404"], bad={0, 1}, queues=3, batch_size=20, trouble=2, lookups=True
)
@example(
    seed=0,
    share=0.6,
    shapes=["a genuine 400", "a page with 400", "a genuine 403"],
    bad=set(),
    queues=60,
    batch_size=1,
    trouble=1,
    lookups=True,
)
@example(
    seed=5114,
    share=0.6,
    shapes=["a genuine 400"],
    bad={0, 1, 3},
    queues=60,
    batch_size=20,
    trouble=2,
    lookups=False,
)
def test_what_the_server_would_answer_is_polled_two_cycles_after_the_last_fault_and_ok_means_all(
    seed, share, shapes, bad, queues, batch_size, trouble, lookups
):
    """Random refusals, genuine or not, over some ids that are refused always; `lookups`: they are random as well.

    Where most ids are bad, the two requests that a cycle of one batch has for telling them apart take some cycles more.
    """
    chance = random.Random(seed)
    world = World(
        queues=queues,
        poll_batch_size=batch_size,
        poll_concurrency=1,
        faults=Faults(rate_limit=0),  # the law is about evidence: 60 batches and their retries exceed 300
        poll_requests_per_minute=10_000,
        queues_refresh=86_400,
    )
    ids = [queue.id for queue in world.centre.queues]
    forbidden = {ids[n] for n in bad if n < queues}
    calm = False

    def refuse(path, asked, _):
        looked_up = path.rpartition("/")[2]
        if asked & forbidden or looked_up in forbidden:
            return refusal(404, "not.found")
        looks_up = lookups and "/routing/queues/" in path
        if calm or not (path == QUERY or looks_up) or chance.random() > share:
            return None
        return BLANKET[chance.choice(shapes)]

    truth = Truth(world, refuse)
    world.run(1 + trouble)
    calm = True
    truth.answered.clear()
    world.run(1 + trouble + (2 if 2 * len(forbidden) < queues else 6))
    world.close()
    polled = set().union(*truth.answered)
    assert set(ids) - forbidden - polled == set()
    for report in world.reports:
        if report.outcome == "ok":
            assert report.snapshots + report.missing == report.queues == queues
    assert breaches(world.text) == []


def logins(world: World) -> int:
    return len([path for _, path, _ in world.transport.requests if path == "/oauth/token"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    batches=st.integers(2, 12),
    bad=st.sets(st.integers(0, 11), min_size=1),
    concurrency=st.sampled_from([1, 4]),
    login_away=st.booleans(),
)
def test_batches_that_are_answered_401_for_ever_cost_no_other_queue_and_few_logins(
    batches, bad, concurrency, login_away
):
    """`login_away`: the login host refuses everything but the first login."""
    world = World(queues=batches * 5, poll_batch_size=5, poll_concurrency=concurrency, queues_refresh=86_400)
    world.run(1)
    ids = [queue.id for queue in world.cycles.queues]
    bad = {number for number in bad if number < batches} or {0}
    if len(bad) == batches:
        bad.remove(batches - 1)
    rejected = {each for number in bad for each in ids[5 * number : 5 * number + 5]}
    Truth(world, lambda _, asked, __: refusal(401, "bad.credentials") if asked & rejected else None)
    if login_away:
        world.api.faults = Faults(login_status={503: 1.0})
    world.run(21)
    world.close()
    assert [report.snapshots for report in world.reports[1:]] == [len(ids) - len(rejected)] * 20
    assert {report.failed for report in world.reports[1:]} == {len(rejected)}
    assert logins(world) <= (3 if login_away else 2)
    assert world.events("api.lost") == world.events("queue.invalid") == []
    assert breaches(world.text, secrets=world.secrets) == []


@pytest.mark.parametrize(
    ("queues", "status", "code"),
    [
        (2, 401, "bad.credentials"),
        (20, 401, "bad.credentials"),
        *((60, *refused) for refused in [
            (401, "bad.credentials"), (403, "missing.permissions"), (409, "conflict"), (410, "gone"),
            (422, "x.y"), (500, "internal.server.error"), (200, "a page"),
        ]),
    ],
)  # fmt: skip
def test_the_neighbours_of_a_queue_whose_batches_fail_for_ever_are_polled(queues, status, code):
    world = World(queues=queues, poll_batch_size=20, queues_refresh=86_400)
    bad = world.centre.queues[-1].id
    answer = refusal(status, code) if status != 200 else (200, b"<html>")
    Truth(world, lambda _, asked, __: answer if bad in asked else None)
    world.run(12)
    assert (world.reports[-1].snapshots, world.reports[-1].failed) == (queues - 1, 1)
    assert logins(world) <= 3
    assert world.events("queue.invalid") == []
    sent = len(world.transport.requests)
    world.run(112)
    assert len(world.transport.requests) - sent <= 100 * (
        -(-queues // 20) + (1 if status < 500 and status != 200 else 4)
    ), "with retries"
    assert breaches(world.text, secrets=world.secrets) == []


def test_a_token_that_is_rejected_while_no_queue_is_known_is_given_up():
    """The listing alone is asked then; the token endpoint gives two tokens that the API does not know."""
    world = World(queues=5, queues_refresh=86_400)
    respond, dead = world.api.respond, set()

    def answer(request):
        outcome = respond(request)
        if request.target.startswith("/oauth") and len(dead) < 2:
            dead.add("Bearer " + json.loads(outcome.answer.body)["access_token"])
        elif request.authorization in dead:
            outcome.answer.status, outcome.answer.body = refusal(401, "bad.credentials")
        return outcome

    world.api.respond = answer
    world.run(8)
    assert (2, 5) == (len(dead), world.reports[-1].snapshots)
