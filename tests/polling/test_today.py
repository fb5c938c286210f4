"""queue.stats: after the observations, on its own route, and at no other cost than its own lines."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuetick.polling.capacity import stats_requests_per_minute
from queuetick.simulator import Faults
from support.account import breaches
from support.virtual import World

AGGREGATES = "/api/v2/analytics/conversations/aggregates/query"


def asked(world: World) -> list[tuple[float, int]]:
    return [(at, status) for at, path, status in world.transport.requests if path == AGGREGATES]


@pytest.mark.parametrize(("queues", "requests"), [(0, 0), (137, 2), (1500, 15), (5000, 50)])
def test_a_hundred_queues_are_one_request(queues, requests):
    assert stats_requests_per_minute(queues, 60) == requests


def test_it_is_off_unless_enabled():
    world = World(queues=20)
    world.run(9)
    assert asked(world) == []


def test_each_queue_has_one_line_a_round_at_a_place_of_the_grid():
    world = World(queues=137, stats_enabled=True, stats_every=60)
    world.run(13)
    lines = world.events("queue.stats")
    rounds = sorted({line["scheduled_at"] for line in lines})
    assert [place[14:19] for place in rounds] == ["00:15", "01:00", "02:00", "03:00"]
    assert len(lines) == 4 * 137
    assert len({(line["queue_id"], line["scheduled_at"]) for line in lines}) == len(lines)
    assert len(asked(world)) == 4 * 2
    assert breaches(world.text) == []


def test_a_failure_is_told_once_costs_no_snapshot_and_its_end_is_told_once():
    world = World(queues=45, stats_enabled=True, stats_every=60)
    world.run(2)
    world.api.faults = Faults(denied_permissions=("analytics:conversationAggregate:view",))
    world.run(14)
    world.api.faults = Faults()
    world.run(20)
    [failed] = world.events("stats.failed")
    assert (failed["status"], failed["queues"]) == (403, 45)
    assert len(world.events("stats.recovered")) == 1
    assert {report.outcome for report in world.reports} == {"ok"}
    assert {report.snapshots for report in world.reports} == {45}


def test_a_process_that_may_start_no_thread_ends_each_cycle_once_and_asks_again_later():
    world = World(queues=5, stats_enabled=True, stats_every=15)
    begin, world.cycles._today._background = world.cycles._today._background, no_thread
    world.run(3)
    world.cycles._today._background = begin
    world.run(4)
    assert breaches(world.text) == []
    assert len(world.events("queue.stats")) == 5


def no_thread(_work):
    raise RuntimeError("can't start new thread")


def test_the_budget_goes_to_observations_first_and_what_was_left_out_comes_first_later():
    world = World(
        queues=600, poll_batch_size=20, poll_requests_per_minute=126, stats_enabled=True, stats_every=300
    )
    world.run(40)
    assert {report.snapshots for report in world.reports[2:]} == {600}
    first = {line["queue_id"] for line in world.events("queue.stats")}
    assert len(first) == 600
    assert world.events("stats.failed") == []


class Door:
    """Stands before the simulator's API and answers aggregates queries as `refuse(ids)` says: None, or the refusal."""

    def __init__(self, world: World, refuse) -> None:
        self.refuse = refuse
        self._respond = world.api.respond
        world.api.respond = self

    def __call__(self, request):
        outcome = self._respond(request)
        if request.target == AGGREGATES and outcome.answer.status == 200:
            clauses = json.loads(request.body)["filter"]["clauses"]
            refusal = self.refuse([each["value"] for each in clauses[0]["predicates"]])
            if refusal is not None:
                status, code = refusal
                body = {"message": "refused", "code": code, "status": status}
                outcome.answer.status, outcome.answer.body = status, json.dumps(body).encode()
        return outcome


def by_round(world: World) -> list[set[str]]:
    rounds: dict[str, set[str]] = {}
    for line in world.events("queue.stats"):
        rounds.setdefault(line["scheduled_at"], set()).add(line["queue_id"])
    return list(rounds.values())


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queues=st.integers(1, 150), limit=st.integers(3, 120))
def test_the_size_that_an_answer_has_room_for_is_remembered_until_a_refresh(queues, limit):
    world = World(queues=queues, stats_enabled=True, stats_every=60, queues_refresh=86_400)
    Door(world, lambda ids: (400, "response.entity.too.large") if len(ids) > limit else None)
    world.run(5)
    first = len(asked(world))
    world.run(9)
    second = len(asked(world)) - first
    assert second <= 2 * math.ceil(queues / min(limit, 100))
    world.cycles.refresh()
    before = len(asked(world))
    world.run(13)
    grown = len(asked(world)) - before
    assert grown > second or min(queues, 100) <= limit, "full size is tried again"
    world.close()
    assert all(len(ids) == queues for ids in by_round(world)[1:])


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad.request"),
        (401, "bad.credentials"),
        (403, "missing.division.permission"),
        (404, "not.found"),
        (409, "conflict"),
        (504, "request.timeout"),
    ],
)
@pytest.mark.parametrize(
    ("queues", "bad"),
    [(120, [40]), (230, [40, 41, 42]), (130, [0, 60, 110]), (2, [0]), (40, [0, 1, 2, 3, 4])],
)
def test_a_queue_whose_stats_are_refused_costs_its_neighbours_no_line_and_no_login_a_round(
    status, code, queues, bad
):
    """Also where every request of a round has a queue that is refused."""
    world = World(queues=queues, stats_enabled=True, stats_every=60, queues_refresh=86_400)
    ids = [queue.id for queue in world.centre.queues]
    refused = {ids[place] for place in bad}
    Door(world, lambda asked: (status, code) if refused & set(asked) else None)
    world.run(21)
    assert by_round(world)[-1] == set(ids) - refused
    assert len(world.events("stats.failed")) == 1
    assert len([path for _, path, _ in world.transport.requests if path == "/oauth/token"]) <= 2
    assert {report.outcome for report in world.reports} == {"ok"}


@pytest.mark.parametrize(("status", "code"), [(500, "internal.server.error"), (403, "missing.permissions")])
def test_a_round_that_fails_as_a_whole_is_ended_early_and_told_once(status, code):
    world = World(queues=900, poll_batch_size=200, stats_enabled=True, stats_every=60, queues_refresh=86_400)
    Door(world, lambda _: (status, code))
    world.run(21)
    assert len(asked(world)) <= 6 * 3
    assert len(world.events("stats.failed")) == 1
