"""What a listing may change: only what it says with evidence, and only for the session that asked."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from queuetick.clock import Clock
from queuetick.config import Queues
from queuetick.events import Queue, QueuesNoneSelected, QueuesRefreshed, QueuesRefreshFailed
from queuetick.genesys.errors import Forbidden, ListingContradicted, Transient
from queuetick.polling.discovery import Discovery
from queuetick.polling.schedule import Grid
from support.virtual import EPOCH, World

SALES, LOBBY = Queue("id-sales", "Sales", "Home", "d1"), Queue("id-lobby", "Lobby", "Front", "d2")


class Lister:
    """Lists `answers` in turn, the last one again and again; an error is raised."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.held: threading.Event | None = None

    def queues(self, *, deadline):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.held is not None:
            assert self.held.wait(10)
        if isinstance(answer, Exception):
            raise answer
        return answer


def discovery(lister: Lister, **settings) -> tuple[Discovery, list]:
    said: list = []
    clock = Clock(wait=lambda _: False)
    return Discovery(lister, Queues(**settings), clock=clock, emit=lambda *facts: said.extend(facts)), said


def test_a_listing_that_falls_to_nothing_drops_nothing_and_is_told_once():
    found, said = discovery(Lister([SALES, LOBBY], []))
    found.run()
    found.run()
    found.run()
    assert found.queues == [SALES, LOBBY]
    assert [type(fact) for fact in said] == [QueuesRefreshed, QueuesRefreshFailed]
    assert "fell from 2 queues to none" in said[-1].reason


@pytest.mark.parametrize(
    "error", [ListingContradicted("45 of 1200"), Forbidden("no", status=403, genuine=True)]
)
def test_a_listing_that_is_not_believed_drops_nothing(error):
    found, _ = discovery(Lister([SALES], error))
    found.run()
    assert not found.run()
    assert (found.queues, found.error) == ([SALES], error)


def test_a_listing_is_not_asked_for_again_when_its_time_would_be_over():
    waited: list[float] = []
    clock = Clock(monotonic=lambda: 100.0 + sum(waited), wait=lambda seconds: bool(waited.append(seconds)))
    lister = Lister(Transient("away", status=500))
    Discovery(lister, Queues(), clock=clock, emit=lambda *_: None).run(deadline=101.0)
    assert ([0.5], 2) == (waited, lister.asked)


def test_nothing_selected_is_told_on_the_change_with_what_matched_nothing():
    found, said = discovery(Lister([SALES, LOBBY]), names=("Saless",), divisions=("Nowhere",))
    found.run()
    found.run()
    [none] = [fact for fact in said if isinstance(fact, QueuesNoneSelected)]
    assert (none.total, none.names, none.divisions) == (2, ["Saless"], ["Nowhere"])
    assert "'Saless'" in none.reason
    assert found.queues == []


def test_a_cycle_over_nothing_is_failed_and_loses_no_api():
    world = World(queues=5, queues_names=("Suport*",))
    world.run(3)
    assert {report.outcome for report in world.reports} == {"failed"}
    assert world.events("api.lost") == []
    assert len(world.events("queues.none_selected")) == 1
    assert "none of 5 queues is selected" in world.cycles.outage.status


def test_discoveries_do_not_overlap():
    lister = Lister([SALES])
    lister.held = threading.Event()
    found, _ = discovery(lister)
    first = threading.Thread(target=found.run)
    first.start()
    while not lister.asked:
        pass
    assert not found.run()
    lister.held.set()
    first.join(10)
    assert (lister.asked, found.queues) == (1, [SALES])


def test_a_listing_across_a_reload_is_believed_by_nobody():
    lister = Lister([SALES])
    lister.held = threading.Event()
    earlier, said = discovery(lister)
    listing = threading.Thread(target=earlier.run)
    listing.start()
    while not lister.asked:
        pass
    earlier.close()
    lister.held.set()
    listing.join(10)
    assert (earlier.queues, earlier.believed, said) == (None, False, [])


def test_a_listing_that_is_needed_and_not_believed_makes_a_cycle_partial():
    world = World(queues=5, queues_ids=("00000000-0000-4000-8000-00000000000a",), queues_names=("*",))
    world.cycles.discovery._client = Lister(ListingContradicted("5 of 6"))
    world.cycles.discover()
    world.run(1)
    assert world.reports[0].outcome == "partial"


def test_a_429_of_the_listing_pauses_no_cycle():
    world = World(queues=45, queues_refresh=60)
    world.run(2)
    respond = world.api.respond

    def limited(request):
        outcome = respond(request)
        if request.target.startswith("/api/v2/routing/queues"):
            outcome.answer.status, outcome.answer.body = 429, b"{}"
            outcome.answer.headers["Retry-After"] = "1800"
        return outcome

    world.api.respond = limited
    world.run(20)
    assert world.events("cycle.skipped") == []
    assert {report.snapshots for report in world.reports} == {45}
    assert {line["route"] for line in world.events("rate_limit.paused")} == {"listing"}


@pytest.mark.parametrize("fault", ["paused", "contradicted"])
def test_queues_found_by_name_beside_explicit_ids_wait_for_no_refresh_after_a_fault_at_start(fault):
    world = World(queues=45, queues_names=("*",), queues_ids=("00000000-0000-4000-8000-00000000000a",))
    respond = world.api.respond

    def faulty(request):
        outcome = respond(request)
        if request.target.startswith("/api/v2/routing/queues") and world.time.now() < EPOCH + 40:
            if fault == "contradicted":
                outcome.answer.body = json.dumps(json.loads(outcome.answer.body) | {"total": 46}).encode()
            else:
                outcome.answer.status, outcome.answer.body = 429, b"{}"
                outcome.answer.headers["Retry-After"] = "40"
        return outcome

    world.api.respond = faulty
    world.cycles.discover(deadline=world.time.monotonic() + 15)
    world.run(6)
    assert [46, 46, 46] == [report.queues for report in world.reports[3:]]


def test_a_clock_set_from_1970_costs_the_refresh_one_step():
    grid = Grid(1.0, offset=0.25)
    now = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
    following = grid.get_next_fire_time(datetime(1970, 1, 1, tzinfo=UTC), now)
    assert 0 < (following - now).total_seconds() <= 1
    assert following.timestamp() % 1 == pytest.approx(0.25)
