"""`output.snapshots = "changed"`: a line when something but ages and instants differs, and at each heartbeat."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from queuetick.config import Output
from queuetick.events import MediaCounts
from queuetick.polling.memory import Memory, content_of
from support.account import breaches
from support.virtual import World, quick_snapshot

CHANGED = Output(snapshots="changed", heartbeat=60)
LINE = msgspec.structs.replace(
    quick_snapshot(1, "q"), media={"voice": MediaCounts(1, 2, 0, longest_wait_seconds=4.0)}, over_target=False
)

SAME = {
    "cycle": {"cycle": 2},
    "scheduled_at": {"scheduled_at": "2026-11-24T05:00:00.000Z"},
    "observed_at": {"observed_at": "2026-11-24T05:00:00.000Z"},
    "longest_wait_seconds": {"longest_wait_seconds": 19.0},
    "longest_interaction_seconds": {"longest_interaction_seconds": 19.0},
    "an age of a medium": {"media": {"voice": MediaCounts(1, 2, 0, longest_wait_seconds=19.0)}},
}
OTHER = {
    "waiting": {"waiting": 2},
    "agents": {"agents_available": 0},
    "over_target": {"over_target": True},
    "name": {"queue_name": "Other"},
    "division": {"division": "Other"},
    "presence": {"off_queue_by_presence": {"meal": 1}},
    "a medium": {"media": {"voice": MediaCounts(2, 2, 0, longest_wait_seconds=4.0)}},
    "a target": {
        "media": {"voice": MediaCounts(1, 2, 0, longest_wait_seconds=4.0, wait_target_seconds=20.0)}
    },
    "a medium more": {"media": {"voice": MediaCounts(1, 2, 0), "email": MediaCounts(0, 0, 0)}},
    "no media": {"media": None},
}


@pytest.mark.parametrize("what", SAME)
def test_ages_and_instants_make_no_line(what):
    assert content_of(LINE) == content_of(msgspec.structs.replace(LINE, **SAME[what]))


@pytest.mark.parametrize("what", OTHER)
def test_everything_else_does(what):
    assert content_of(LINE) != content_of(msgspec.structs.replace(LINE, **OTHER[what]))


def test_a_line_comes_at_each_heartbeat_by_the_grid_and_after_a_clock_that_was_set_back():
    memory = Memory()
    written = [
        bool(memory.to_be_written([LINE], CHANGED, scheduled=at)) for at in (0, 15, 30, 45, 60, 75, 120, 30)
    ]
    assert written == [True, False, False, False, True, False, True, True]


def test_the_report_counts_what_was_not_written_and_each_queue_has_a_line_a_minute():
    world = World(queues=45, output_snapshots="changed", output_heartbeat=60)
    world.run(21)
    assert {report.outcome for report in world.reports} == {"ok"}
    assert {report.snapshots + report.unchanged for report in world.reports} == {45}
    assert sum(report.unchanged for report in world.reports) > 0
    lines = world.events("queue.snapshot")
    for queue in world.centre.queues:
        places = [line["cycle"] for line in lines if line["queue_id"] == queue.id]
        assert max(b - a for a, b in pairwise(places)) <= 4
    assert breaches(world.text) == []


def test_the_first_line_after_an_outage_is_written():
    world = World(queues=5, output_snapshots="changed", output_heartbeat=86_400)
    world.run(2)
    world.transport.down = True
    world.run(4)
    world.transport.down = False
    world.run(5)
    assert world.reports[-1].snapshots == 5
