"""queue.stats: after the observations, on its own route, and at no other cost than its own lines."""

from __future__ import annotations

import pytest

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
    world.close()
    assert asked(world) == []


def test_each_queue_has_one_line_a_round_at_a_place_of_the_grid():
    world = World(queues=137, stats_enabled=True, stats_every=60)
    world.run(13)
    world.close()
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
    world.close()
    [failed] = world.events("stats.failed")
    assert (failed["status"], failed["queues"]) == (403, 45)
    assert len(world.events("stats.recovered")) == 1
    assert {report.outcome for report in world.reports} == {"ok"}
    assert {report.snapshots for report in world.reports} == {45}


def test_the_budget_goes_to_observations_first_and_what_was_left_out_comes_first_later():
    world = World(
        queues=600, poll_batch_size=20, poll_requests_per_minute=126, stats_enabled=True, stats_every=300
    )
    world.run(40)
    world.close()
    assert {report.snapshots for report in world.reports[2:]} == {600}
    first = {line["queue_id"] for line in world.events("queue.stats")}
    assert len(first) == 600
    assert world.events("stats.failed") == []
