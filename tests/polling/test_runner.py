"""From ticks to numbers: interval and budget, deferred turns, bad ids, outage, and clocks that lie."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queuetick.daemon.daemon import Daemon
from queuetick.genesys.queries import Answer
from queuetick.lines import Emitter
from queuetick.polling.capacity import interval_in_force, shortest_interval
from queuetick.polling.isolation import FEWEST_PIECES
from queuetick.polling.schedule import Grid
from queuetick.simulator import Faults
from support.account import breaches
from support.virtual import EPOCH, Ledger, MemoryOutput, QuickObserver, VirtualTime, World, configuration

# The budget and the interval


@settings(deadline=None)
@given(batches=st.integers(0, 10_000), budget=st.integers(1, 10_000))
def test_the_shortest_interval_is_within_the_budget_and_a_step_less_would_not_be(batches, budget):
    interval = shortest_interval(batches, budget)
    step = 1.0 if interval > 1 else 0.1
    assert batches * 60 <= interval * budget + 1e-6
    if interval > 0.1:
        assert batches * 60 > (interval - step) * budget - 1e-6


@pytest.mark.parametrize(
    ("batches", "interval", "budget"), [(4, 2.5, 100), (101, 20.5, 300), (75, 15.0, 300)]
)
def test_an_interval_that_fits_is_not_stretched_to_whole_seconds(batches, interval, budget):
    assert interval_in_force(batches, interval, budget) == interval


def test_a_budget_too_small_stretches_the_interval_with_the_numbers_that_would_fit():
    world = World(queues=200, poll_batch_size=2, poll_requests_per_minute=100)
    world.run(4)
    [stretched] = world.events("interval.stretched")
    assert (stretched["from"], stretched["to"]) == (15, 64)
    assert stretched["why"] == (
        "100 requests every 15 s are 400 a minute, the budget is 100; batch_size 8 would fit"
    )
    assert [report.outcome for report in world.reports[1:]] == ["ok"] * (len(world.reports) - 1)
    ends = [datetime.fromisoformat(line["timestamp"]) for line in world.events("cycle.completed")]
    assert (ends[-1] - ends[-2]).total_seconds() == pytest.approx(64, abs=5)


def test_it_is_restored_when_the_queues_have_become_few_enough():
    world = World(queues=100, poll_batch_size=1, queues_refresh=60)
    world.run(2)
    assert world.cycles.interval == 22
    for queue in list(world.centre.queues)[30:]:
        world.centre.remove(queue.id)
    world.run(8)
    [restored] = world.events("interval.restored")
    assert (restored["from"], restored["to"]) == (22, 15)
    assert restored["why"] == "30 requests every 15 s are 120 a minute, the budget is 300"


def test_what_the_headers_allow_counts_when_it_is_less_than_the_setting():
    world = World(queues=120, faults=Faults(rate_limit=180), poll_batch_size=2)
    world.run(3)
    [stretched] = world.events("interval.stretched")
    assert (stretched["from"], stretched["to"]) == (15, 22)
    assert "the budget is 180" in stretched["why"]


def test_a_reload_that_makes_it_fit_again_says_so():
    world = World(queues=100, poll_batch_size=1)
    world.run(2)
    assert world.cycles.interval == 22
    config = replace_poll(world, batch_size=10)
    world.reload(config)
    assert world.cycles.interval == 15
    assert [(line["from"], line["to"]) for line in world.events("interval.restored")] == [(22, 15)]


def test_a_reload_to_the_very_interval_that_is_in_force_restores_it():
    world = World(queues=400, poll_batch_size=1)
    world.cycles.discover()
    client = (world.config.credentials.client_id, world.config.credentials.client_secret)
    world.reload(configuration(client=client, poll_batch_size=1, poll_interval=world.cycles.interval))
    [stretched], [restored] = world.events("interval.stretched"), world.events("interval.restored")
    assert (15.0, stretched["to"]) == (stretched["from"], restored["to"])
    assert world.cycles.interval == restored["from"] == restored["to"] == 85.0


def test_a_reload_that_changes_nothing_says_nothing_of_the_interval():
    world = World(queues=100, poll_batch_size=1)
    world.run(2)
    world.reload(world.config)
    world.run(4)
    assert len(world.events("interval.stretched")) == 1
    assert world.events("interval.restored") == []


def replace_poll(world: World, **changes):
    poll = msgspec.structs.replace(world.config.poll, **changes)
    return msgspec.structs.replace(world.config, poll=poll)


@pytest.mark.parametrize(("batch_size", "interval"), [(200, 15), (20, 106)])
def test_10000_queues_fit_at_200_a_batch_and_are_stretched_to_106_s_at_20(batch_size, interval):
    ids = tuple(f"{n:036d}" for n in range(10_000))
    # One thread: several would advance the one fake clock past each other's deadlines.
    world = World(
        queues=1, poll_batch_size=batch_size, queues_ids=ids, poll_concurrency=1, emit=lambda *_: None
    )
    org, ledger = world.cycles.org, Ledger(300)
    world.cycles.org.client = QuickObserver(org.limits, ledger, world.time, lambda: 0.01)
    world.cycles.fit_interval()
    world.run(3)
    assert world.cycles.interval == interval
    assert [report.queues for report in world.reports] == [10_000] * 3
    assert {report.snapshots for report in world.reports} == {10_000}
    assert ledger.refused == 0


# Turns


def test_batches_that_lost_their_turn_to_a_pause_go_first_in_the_next_cycle():
    world = World(queues=60, poll_batch_size=10, poll_concurrency=1)
    world.run(1)
    order = asked_ids(world)
    world.api.faults = Faults(script=("ok", "ok", "429"), status_retry_after=14.0)
    world.run(2)
    assert (world.reports[-1].snapshots, world.reports[-1].deferred) == (20, 40)
    world.api.faults = Faults()
    world.run(3)
    assert asked_ids(world)[-6:] == order[2:] + order[:2]


def asked_ids(world: World) -> list[str]:
    """The first queue id of each answered batch, in order."""
    return [entry.queue_ids[0] for entry in world.api.log if entry.queue_ids and entry.status == 200]


def test_a_pause_that_ends_within_the_cycle_costs_no_queue():
    world = World(queues=60, poll_batch_size=10, poll_concurrency=1)
    world.run(1)
    world.api.faults = Faults(script=("ok", "429"), status_retry_after=3.0)
    world.run(2)
    report = world.reports[-1]
    assert (report.outcome, report.snapshots, report.retries) == ("ok", 60, 1)
    assert 3 <= report.duration_seconds < 5


def test_what_a_crashed_cycle_left_in_the_pool_writes_nothing_later():
    world = World(queues=45, poll_concurrency=2)
    world.cycles.discover()
    pool = world.cycles._threads
    begun = []

    def submit(work):
        begun.append(work)  # as ThreadPoolExecutor: the work is in its queue before it starts a thread
        raise RuntimeError("can't start new thread")

    world.cycles._threads = SimpleNamespace(submit=submit, shutdown=pool.shutdown)
    world.run(1)
    begun[0]()
    assert len(begun) == len(world.events("cycle.crashed")) == 1
    assert world.events("queue.snapshot") == []


# Bad ids


@settings(max_examples=25, deadline=None)
@given(bad=st.sets(st.integers(0, 63), max_size=6), batch_size=st.sampled_from([16, 64]))
@example(bad={12, 15, 17, 28, 32, 35}, batch_size=64)
@example(bad={0, 1, 2, 23, 55}, batch_size=64)
def test_bad_ids_cost_their_own_queues_once_and_a_bounded_number_of_requests(bad, batch_size):
    world = World(queues=64, poll_batch_size=batch_size, poll_concurrency=1)
    ids = [queue.id for queue in world.centre.queues]
    world.api.faults = Faults(bad_ids=tuple(ids[n] for n in bad))
    # The answers name the bad ids; here they do not, so that the halving is what is bounded.
    hide_names(world)
    world.run(12)  # of one batch with several bad ids the first cycles may find no answer at all
    world.close()
    last = world.reports[-1]
    assert (last.snapshots, last.invalid) == (64 - len(bad), len(bad))
    for report in world.reports:
        assert report.requests <= report.batches + max(2 * report.batches, FEWEST_PIECES)
    assert {line["queue_id"] for line in world.events("queue.invalid")} == {ids[n] for n in bad}
    assert len(world.events("queue.invalid")) == len(bad)
    assert breaches(world.text) == []


def hide_names(world: World) -> None:
    respond = world.api.respond

    def nameless(request):
        outcome = respond(request)
        if outcome.answer.status == 400:
            outcome.answer.body = (
                b'{"message":"The request could not be understood.","code":"bad.request","status":400}'
            )
        return outcome

    world.api.respond = nameless


def test_an_answer_that_names_the_bad_id_saves_the_halving():
    world = World(queues=64, poll_batch_size=64, poll_concurrency=1)
    bad = world.centre.queues[17].id
    world.api.faults = Faults(bad_ids=(bad,))
    world.run(1)
    assert world.reports[0].requests == 3
    assert (world.reports[0].snapshots, world.reports[0].invalid) == (63, 1)


def test_a_bad_id_is_tried_again_at_each_refresh_and_said_to_be_back():
    world = World(queues=20, queues_refresh=60)
    bad = world.centre.queues[3].id
    world.api.faults = Faults(bad_ids=(bad,))
    world.run(9)
    assert len(world.events("queue.invalid")) == 1
    world.api.faults = Faults()
    world.run(15)
    [back] = world.events("queue.recovered")
    assert (back["queue_id"], back["was"]) == (bad, "invalid")
    assert world.reports[-1].snapshots == 20


def test_a_400_for_everything_is_not_taken_for_thousands_of_bad_ids():
    world = World(queues=400, faults=Faults(status={400: 1.0}, only=("query",)), poll_batch_size=20)
    world.run(1)
    report = world.reports[0]
    assert report.requests < 150
    assert report.invalid + report.failed + report.deferred == 400


# Outage


def test_an_outage_is_said_once_and_its_end_once_with_its_length():
    world = World(queues=45)
    world.run(3)
    world.transport.down = True
    world.run(23)
    world.transport.down = False
    world.run(26)
    assert len(world.events("api.lost")) == 1
    [recovered] = world.events("api.recovered")
    assert recovered["cycles"] == 20
    assert 280 <= recovered["outage_seconds"] <= 301
    assert breaches(world.text) == []


def test_the_cycles_of_an_outage_in_which_nothing_could_be_sent_count_too():
    world = World(queues=45)
    world.cycles.discover()
    respond = world.api.respond

    def unavailable(request):
        outcome = respond(request)
        if "observations" in request.target and world.time.now() < EPOCH + 60:
            outcome.answer.status, outcome.answer.body = 503, b""
            outcome.answer.headers["Retry-After"] = "100"
        return outcome

    world.api.respond = unavailable
    world.run(10)
    [recovered] = world.events("api.recovered")
    assert recovered["cycles"] == [report.outcome for report in world.reports].count("failed") == 6


def test_an_outage_is_noticed_while_a_bad_id_is_set_aside():
    world = World(queues=45)
    world.api.faults = Faults(bad_ids=(world.centre.queues[0].id,))
    world.run(2)
    world.transport.down = True
    world.run(4)
    assert world.reports[-1].outcome == "failed"
    assert len(world.events("api.lost")) == 1


def test_one_batch_failing_costs_its_own_queues_and_no_others():
    world = World(queues=60, poll_batch_size=20, poll_concurrency=1)
    world.run(1)
    world.api.faults = Faults(script=("500", "500", "500", "500"))
    world.run(2)
    report = world.reports[-1]
    assert (report.outcome, report.snapshots, report.failed, report.batches_failed) == ("partial", 40, 20, 1)
    [failed] = world.events("batch.failed")
    assert (failed["status"], failed["attempts"]) == (500, 4)
    names = {queue.id: queue.name for queue in world.cycles.queues}
    assert failed["queue_names"] == [names[queue_id] for queue_id in failed["queue_ids"]]


# Clocks


def test_after_an_hour_asleep_there_is_one_line_for_the_missed_ticks_and_no_burst():
    world = World(queues=10)
    world.run(2)
    world.time.advance(3600)
    world.run(6)
    [skipped] = world.events("cycle.skipped")
    assert (skipped["cycle"], skipped["reason"], skipped["ticks"]) == (3, "stalled", 240)
    starts = [line["timestamp"][11:19] for line in world.events("cycle.completed")]
    assert starts == ["04:00:15", "04:00:30", "05:00:45", "05:01:00", "05:01:15"]
    assert breaches(world.text) == []


@pytest.mark.parametrize("by", [3600.0, -3600.0, 7.0, -7.0, 1.5])
def test_a_clock_that_is_set_is_no_time_that_has_passed(by):
    world = World(queues=10)
    world.run(4)
    world.time.set_wall_clock(by)
    world.run(10)
    assert world.events("cycle.skipped") == []
    assert len(world.reports) == 10
    assert {report.outcome for report in world.reports} == {"ok"}
    assert max(report.lateness_seconds for report in world.reports) < 1


def test_a_pause_runs_on_whatever_the_wall_clock_is_set_to():
    world = World(queues=10, poll_concurrency=1, queues_refresh=86_400)
    world.run(2)
    world.api.faults = Faults(script=("429",), status_retry_after=100.0)
    world.run(3)
    world.time.set_wall_clock(7200.0)
    world.run(12)
    assert len(world.events("cycle.skipped")) == 6


def test_a_cycle_that_overruns_names_each_tick_it_swallowed():
    world = World(queues=20, poll_concurrency=1, genesys_timeout=60.0)
    world.run(1)
    world.api.faults = Faults(script=("hang",))
    world.run(6)
    skipped = world.events("cycle.skipped")
    assert [(line["cycle"], line["reason"], line["running_cycle"]) for line in skipped] == [
        (3, "overrun", 2),
        (4, "overrun", 2),
        (5, "overrun", 2),
        (6, "overrun", 2),
    ]
    assert breaches(world.text) == []


# Discovery


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b"[]",
        b'{"entities":null}',
        b'{"entities":5}',
        b'{"entities":[1,2]}',
        b'{"entities":[],"total":45}',
        b'{"entities":[{"name":"no id"}]}',
        b"<html>",
        b"",
        b'{"entities":{"id":"x"}}',
    ],
)
def test_a_listing_that_lies_removes_no_queue(body):
    world = World(queues=45, queues_refresh=60)
    world.run(2)
    respond = world.api.respond

    def lie(request):
        outcome = respond(request)
        if request.target.startswith("/api/v2/routing/queues"):
            outcome.answer.body = body
        return outcome

    world.api.respond = lie
    world.run(12)
    assert {report.snapshots for report in world.reports} == {45}
    assert len(world.events("queues.refresh_failed")) == 1
    assert len(world.events("queues.refreshed")) == 1


def test_a_listing_that_never_ends_is_given_up_after_its_first_page_without_a_new_queue():
    world = World(queues=45)
    respond = world.api.respond

    def endless(request):
        outcome = respond(request)
        outcome.answer.body = outcome.answer.body.replace(b'"pageCount": 1', b'"pageCount": 1000000')
        return outcome

    world.api.respond = endless
    world.run(2)
    assert sum(path.endswith("/queues") for _, path, _ in world.transport.requests) <= 2
    assert world.reports[-1].snapshots == 45


def test_a_listing_that_never_answers_ends_with_its_cycle_and_swallows_no_tick():
    world = World(queues=45, faults=Faults(hang=1.0))
    world.run(3)
    world.api.faults = Faults()
    world.run(4)
    assert world.events("cycle.skipped") == []
    assert [report.outcome for report in world.reports] == ["failed"] * 3 + ["ok"]


def test_queues_found_by_name_do_not_wait_for_the_next_refresh_after_an_outage_at_start():
    world = World(queues=45, queues_names=("*",), queues_ids=("00000000-0000-4000-8000-00000000000a",))
    world.transport.down = True
    world.cycles.discover(deadline=world.time.monotonic() + 15)
    world.run(2)
    world.transport.down = False
    world.run(4)
    assert world.reports[-1].queues == 46
    assert world.time.now() < EPOCH + 120


# The grid and the main thread's round


@given(
    now=st.floats(1.7e9, 1.9e9),
    ahead=st.none() | st.floats(-7200.0, 30.0),
    interval=st.sampled_from([0.1, 0.5, 1.0, 15.0, 100.0, 3600.0]),
)
def test_the_next_tick_is_a_place_on_the_grid_after_now_and_never_one_that_has_passed(now, ahead, interval):
    """`ahead`: when the last tick was, against now; in the future where the clock was set back since."""
    present = datetime.fromtimestamp(now, UTC)
    last = None if ahead is None else datetime.fromtimestamp(now + ahead, UTC)
    following = Grid(interval).get_next_fire_time(last, present).timestamp()
    assert following > present.timestamp()
    assert following > (last or present).timestamp()
    assert following - max(present, last or present).timestamp() <= interval + 1e-3
    assert abs(following / interval - round(following / interval)) < 1e-5


@pytest.mark.parametrize(
    ("by", "times", "moves"), [(-3600.0, 1, 1), (-2.0, 1, 1), (3600.0, 1, 1), (0.05, 100, 0)]
)
def test_the_main_thread_puts_the_next_tick_where_a_clock_that_was_set_and_not_slewed_has_the_grid(
    by, times, moves
):
    time = VirtualTime()
    daemon = Daemon(configuration(), Emitter(MemoryOutput(), now=time.now), environ={}, load=configuration)
    daemon._clock = time.clock()
    daemon._clock_offset = daemon._offset()
    replaced = []
    daemon._app.schedule.replace = lambda: replaced.append(time.now())
    daemon._look_around()
    assert replaced == []
    for _ in range(times):
        time.set_wall_clock(by)
        daemon._look_around()
        daemon._look_around()
    assert len(replaced) == moves
    daemon._app.runner.close()


@pytest.mark.parametrize(("after", "skipped"), [(0.3, 0), (7.4, 0), (7.6, 1)])
def test_a_grid_place_close_behind_the_first_cycle_is_no_missed_tick(after, skipped):
    """The first cycle runs at once, wherever on the grid that is; only a full half interval makes a tick of it."""
    lines = []
    world = World(queues=1, poll_concurrency=1, emit=lambda *facts: lines.extend(facts))
    began = world.time.now()
    world.cycles.org.client = Overtaken(lambda: world.cycles.overrun(began + after))
    world.cycles.first_tick(began + 15)
    assert skipped == sum(type(fact).__name__ == "CycleSkipped" for fact in lines)


class Overtaken:
    """An observer during whose only request a place on the grid passes."""

    def __init__(self, passes):
        self.passes = passes

    def observe(self, batch, **_):
        self.passes()
        return Answer([], [(queue, "not asked for here") for queue in batch.queues])


def test_a_tick_skipped_in_a_pause_feeds_the_watchdog_and_one_behind_a_hung_cycle_does_not():
    time = VirtualTime()
    output = MemoryOutput()
    daemon = Daemon(configuration(), Emitter(output, now=time.now), environ={}, load=configuration)
    daemon._app.announce()
    daemon._app.runner.org.limits.pause("observations", 7200.0, "retry-after")
    daemon._app.runner.progress_at = 0.0
    daemon._tick()
    assert daemon._app.runner.progress_at > 0
    daemon._app.runner.running = daemon._app.runner._numbers.last = 7
    daemon._app.runner._running.acquire()
    daemon._app.runner.progress_at = 0.0
    daemon._tick()
    assert daemon._app.runner.progress_at == 0
    daemon._app.runner.close()
    reasons = [json.loads(line).get("reason") for line in output.lines if b"cycle.skipped" in line]
    assert reasons == ["rate_limit", "overrun"]
