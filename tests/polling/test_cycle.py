"""One cycle against a client that answers as it is told: which lines are written, and where every queue ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from queuetick.clock import Clock, Stopped
from queuetick.events import (
    Batch,
    BatchFailed,
    CycleReport,
    Queue,
    QueueInvalid,
    QueueMissing,
    QueueRecovered,
    QueueSnapshot,
)
from queuetick.genesys.errors import (
    ApiError,
    Forbidden,
    LoginFailed,
    RateLimited,
    RequestRefused,
    Transient,
    Unreachable,
)
from queuetick.genesys.queries import Answer
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.cycle import GIVE_UP_AFTER, MAX_ATTEMPTS, Cycle
from queuetick.polling.memory import Memory
from queuetick.polling.plan import Plan

NAMED = Queue("a", "Support", "Home")
BARE = Queue("b")


def snapshot(queue: Queue, cycle: int, waiting: int | None = 2) -> QueueSnapshot:
    return QueueSnapshot(
        cycle=cycle,
        scheduled_at="2026-11-24T04:00:15.000Z",
        queue_id=queue.id,
        waiting=waiting,
        agents_available=1,
        interacting=0,
        alerting=0,
        longest_wait_seconds=None,
        agents_on_queue=1,
        agents_by_status=None,
        members=1,
        members_joined=1,
        media=None,
        observed_at="2026-11-24T04:00:15.398Z",
    )


class Script:
    """Cycles whose client asks `script(batch, attempt)`: an Answer, an error to raise, or the missing ids.

    `lookups` gives what looking an id up comes to: an error, or None for an id that does not exist.
    """

    permission = "analytics:queueObservation:view"

    def __init__(self, script, *, concurrency: int = 1, uniform=max) -> None:
        self.script = script
        self.asked: list[Batch] = []
        self.looked_up: list[str] = []
        self.lookups: dict[str, ApiError | None] = {}
        self.lines: list = []
        self.waited: list[float] = []
        self.held: list[float] = []
        self.jitters: list[tuple[float, float]] = []
        self.progress = 0
        self.time = 100.0
        self.stopping = False
        self.uniform = uniform
        self.number = 0
        self.memory = Memory()
        self.concurrency = concurrency
        self.threads = ThreadPoolExecutor(concurrency)

    def observe(self, batch, *, cycle, scheduled_at, deadline, usage) -> Answer:
        assert (self.number, self.deadline) == (cycle, deadline)
        self.asked.append(batch)
        usage.requests += 1
        found = self.script(batch, sum(batch.queue_ids == earlier.queue_ids for earlier in self.asked))
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, Answer):
            return found
        missing = {queue.id for queue in batch.queues} & set(found)
        return Answer(
            [snapshot(queue, cycle) for queue in batch.queues if queue.id not in missing],
            [(queue, "left out") for queue in batch.queues if queue.id in missing],
        )

    def hold(self, seconds) -> None:
        self.held.append(seconds)

    def find_refused_metric(self, queue_id, error, *, deadline, usage, requests) -> list:
        return []

    def queue(self, queue_id, *, deadline, usage) -> Queue | None:
        self.looked_up.append(queue_id)
        usage.requests += 1
        found = self.lookups.get(queue_id, Queue(queue_id))
        if isinstance(found, ApiError):
            raise found
        return found

    def wait(self, seconds: float) -> bool:
        if seconds:  # 0 is the question whether the daemon is stopping
            self.waited.append(seconds)
        self.time += seconds
        return self.stopping

    def jitter(self, low: float, high: float) -> float:
        self.jitters.append((low, high))
        return self.uniform(low, high)

    def progressed(self) -> None:
        self.progress += 1

    def run(
        self, *queues: Queue, batch_size: int = 20, deadline: float = 113.5, lost: bool = False, output=None
    ) -> CycleReport:
        self.number += 1
        self.deadline = deadline
        self.lines.clear()
        plan = Plan(
            self.number,
            queues,
            1_795_492_815.0 + 15 * (self.number - 1),
            deadline,
            batch_size,
            self.concurrency,
            lateness=0.0124,
            lost=lost,
        )
        self.result = Cycle(
            self,
            self.memory,
            plan,
            threads=self.threads,
            clock=Clock(wait=self.wait, monotonic=lambda: self.time),
            uniform=self.jitter,
            emit=lambda *facts: self.lines.extend(facts),
            output=output,
            progress=self.progressed,
        ).run()
        return self.result.report

    def told(self, kind):
        return [line for line in self.lines if isinstance(line, kind)]


def queues(count: int) -> list[Queue]:
    return [Queue(f"q{number:03d}") for number in range(count)]


def counts(report) -> tuple[int, int, int, int, int, int]:
    return (report.queues, report.snapshots, report.missing, report.invalid, report.failed, report.deferred)


# A good cycle


def test_a_good_cycle_is_its_snapshots_and_a_report_that_adds_up() -> None:
    cycle = Script(lambda *_: [])
    report = cycle.run(*queues(45))
    assert [20, 20, 5] == [len(batch.queues) for batch in cycle.asked]
    assert [1, 2, 3] == [batch.number for batch in cycle.asked]
    assert 45 == len(cycle.lines) == len(cycle.told(QueueSnapshot))
    assert (1, "ok", 45, 45, 3, 3) == (
        report.cycle, report.outcome, report.queues, report.snapshots, report.batches, report.requests,
    )  # fmt: skip
    assert (0, 0, 0.012) == (report.batches_failed, report.retries, report.lateness_seconds)
    assert (None, 90) == (cycle.result.last_error, cycle.result.waiting)
    assert 3 == cycle.progress


def test_waiting_counts_what_is_known() -> None:
    unknown = [snapshot(NAMED, 1, waiting=None), snapshot(BARE, 1, waiting=5)]
    cycle = Script(lambda *_: Answer(unknown, []))
    cycle.run(NAMED, BARE)
    assert 5 == cycle.result.waiting


def test_a_cycle_that_takes_its_time_is_waited_for_until_its_last_answer() -> None:
    """The poller asks now and then whether the daemon is stopping; here that question lets the answer go."""
    release = threading.Event()
    cycle = Script(lambda *_: [] if release.wait(10) else Forbidden("not released"))
    asked = []
    ask = cycle.wait

    def question(seconds: float) -> bool:
        asked.append(seconds)
        if len(asked) == 2:
            release.set()
        return ask(seconds)

    cycle.wait = question
    assert 1 == cycle.run(NAMED).snapshots
    assert [0.0, 0.0] == asked[:2]


def test_no_queues_are_a_failed_cycle_without_requests() -> None:
    report = Script(lambda *_: []).run()
    assert ("failed", 0, 0) == (report.outcome, report.batches, report.requests)


def test_the_duration_is_from_the_start_to_the_last_answer() -> None:
    cycle = Script(lambda *_: [])

    def slow(batch, attempt):
        cycle.time += 1.23456
        return []

    cycle.script = slow
    assert 2.469 == cycle.run(*queues(40)).duration_seconds


def test_batches_are_under_way_together_as_far_as_concurrency_goes() -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(batch, attempt):
        together.wait()
        return []

    assert "ok" == Script(meet, concurrency=3).run(*queues(6), batch_size=2).outcome


def test_batches_that_are_all_answered_before_the_first_doubling_take_one_thread(monkeypatch) -> None:
    monkeypatch.setattr("queuetick.polling.cycle.SLOW_START", 60.0)
    asked_by = set()

    def note(batch, attempt):
        asked_by.add(threading.get_ident())
        return []

    assert 64 == Script(note, concurrency=8).run(*queues(64), batch_size=1).snapshots
    assert 1 == len(asked_by)


def test_where_the_system_gives_no_further_thread_the_cycle_goes_on_with_those_it_has() -> None:
    refused = threading.Event()

    class Few(ThreadPoolExecutor):
        def submit(self, *work):
            if self._threads:
                refused.set()
                raise RuntimeError("can't start new thread")
            return super().submit(*work)

    cycle = Script(
        lambda *_: [] if refused.wait(10) else Forbidden("never asked for a second thread"), concurrency=4
    )
    cycle.threads = Few(4)
    assert ("ok", 6) == ((report := cycle.run(*queues(6), batch_size=2)).outcome, report.snapshots)


# Missing, and back


def test_a_missing_queue_is_told_on_the_change_with_its_names_and_so_is_its_return() -> None:
    cycle = Script(lambda *_: ["a", "b"])
    report = cycle.run(NAMED, BARE)
    named, bare = cycle.told(QueueMissing)
    assert (1, "a", "Support", "Home", "left out") == (
        named.cycle, named.queue_id, named.queue_name, named.division, named.reason,
    )  # fmt: skip
    assert (msgspec.UNSET, msgspec.UNSET) == (bare.queue_name, bare.division)
    assert ("partial", (2, 0, 2, 0, 0, 0)) == (report.outcome, counts(report))
    cycle.run(NAMED, BARE)
    assert [] == cycle.told(QueueMissing)
    cycle.script = lambda *_: ["b"]
    cycle.run(NAMED, BARE)
    assert ["a"] == [line.queue_id for line in cycle.told(QueueSnapshot)]
    [back] = cycle.told(QueueRecovered)
    assert (3, "a", "Support", "Home", "missing", 2) == (
        back.cycle, back.queue_id, back.queue_name, back.division, back.was, back.cycles,
    )  # fmt: skip
    cycle.script = lambda *_: []
    cycle.run(NAMED, BARE)
    [back] = cycle.told(QueueRecovered)
    assert (4, "b", msgspec.UNSET, msgspec.UNSET, "missing", 3) == (
        back.cycle, back.queue_id, back.queue_name, back.division, back.was, back.cycles,
    )  # fmt: skip
    cycle.run(NAMED, BARE)
    assert [] == cycle.told(QueueRecovered)


def test_a_queue_that_is_polled_no_more_is_forgotten() -> None:
    cycle = Script(lambda *_: ["a", "b"])
    cycle.run(NAMED, BARE)
    cycle.run(BARE)
    cycle.script = lambda *_: []
    cycle.run(NAMED, BARE)
    assert ["b"] == [line.queue_id for line in cycle.told(QueueRecovered)]


# 400


def test_a_bad_id_is_told_alone_set_aside_and_told_again_when_it_is_back() -> None:
    refused = RequestRefused("no such queue", status=400, code="bad.request", correlation_id="c-1")
    cycle = Script(lambda batch, _: refused if {"a", "b"} & set(batch.queue_ids) else [])
    not_yours = Forbidden("not yours", status=403, genuine=True)
    not_yours.single_queue = True
    cycle.lookups = {"a": None, "b": not_yours}
    report = cycle.run(NAMED, Queue("x"), Queue("y"), BARE)
    named, bare = sorted(cycle.told(QueueInvalid), key=lambda line: line.queue_id)
    assert (1, "a", "Support", "Home") == (named.cycle, named.queue_id, named.queue_name, named.division)
    assert (400, "bad.request", "c-1", "no such queue") == (
        named.status, named.code, named.correlation_id, named.reason,
    )  # fmt: skip
    assert (msgspec.UNSET, msgspec.UNSET) == (bare.queue_name, bare.division)
    assert ("partial", (4, 2, 0, 2, 0, 0)) == (report.outcome, counts(report))
    assert {1} == {batch.number for batch in cycle.asked}
    asked = len(cycle.asked)
    report = cycle.run(NAMED, Queue("x"), Queue("y"), BARE)
    assert ((4, 2, 0, 2, 0, 0), 4) == (counts(report), len(cycle.asked) - asked), "both again, and each alone"
    report = cycle.run(NAMED, Queue("x"), Queue("y"), BARE)
    assert ((4, 2, 0, 2, 0, 0), 5) == (counts(report), len(cycle.asked) - asked), (
        "not in the cycle after that"
    )
    cycle.memory.try_all_again()
    cycle.run(NAMED, Queue("x"), Queue("y"), BARE)
    assert [] == cycle.told(QueueInvalid), "still refused: nothing has changed"
    cycle.memory.try_all_again()
    cycle.script = lambda *_: []
    assert 4 == cycle.run(NAMED, Queue("x"), Queue("y"), BARE).snapshots
    back, _ = sorted(cycle.told(QueueRecovered), key=lambda line: line.queue_id)
    assert (5, "a", "Support", "Home", "invalid", 4) == (
        back.cycle, back.queue_id, back.queue_name, back.division, back.was, back.cycles,
    )  # fmt: skip


def test_an_answer_that_names_the_bad_id_costs_two_requests() -> None:
    refused = RequestRefused("bad id", status=400)
    refused.named = "the value 'Q003' is not a queue"
    cycle = Script(lambda batch, _: refused if "q003" in batch.queue_ids else [])
    report = cycle.run(*queues(20))
    assert ((20, 19, 0, 1, 0, 0), 3) == (counts(report), report.requests)
    assert [20, 19, 1] == [len(batch.queues) for batch in cycle.asked]
    assert {1} == {batch.number for batch in cycle.asked}


def test_a_queue_that_was_missing_and_is_refused_now_is_invalid_only() -> None:
    cycle = Script(lambda *_: ["a"])
    cycle.run(NAMED)
    cycle.script, cycle.lookups = (lambda *_: RequestRefused("no", status=400)), {"a": None}
    cycle.run(NAMED)
    assert ["a"] == [line.queue_id for line in cycle.told(QueueInvalid)]
    cycle.memory.try_all_again()
    cycle.script = lambda *_: []
    cycle.run(NAMED)
    assert [("invalid", 1)] == [(line.was, line.cycles) for line in cycle.told(QueueRecovered)]


def test_a_queue_that_was_invalid_and_is_left_out_now_is_missing_only() -> None:
    cycle = Script(lambda *_: RequestRefused("no", status=400))
    cycle.lookups = {"a": None}
    cycle.run(NAMED)
    cycle.memory.try_all_again()
    cycle.script = lambda *_: ["a"]
    assert (1, 0, 1, 0, 0, 0) == counts(cycle.run(NAMED))
    cycle.script = lambda *_: []
    cycle.run(NAMED)
    assert ["missing"] == [line.was for line in cycle.told(QueueRecovered)]


# Failures


def test_a_batch_that_fails_costs_its_own_queues_and_says_everything_that_is_known() -> None:
    error = Forbidden("missing permission", status=403, code="missing.permissions", correlation_id="c-9")
    cycle = Script(lambda batch, _: error if batch.number == 2 else [])
    report = cycle.run(*queues(5), batch_size=2)
    [line] = cycle.told(BatchFailed)
    assert (1, 2, ["q002", "q003"], 1) == (line.cycle, line.batch, line.queue_ids, line.attempts)
    assert (403, "missing.permissions", "c-9", "missing permission") == (
        line.status, line.code, line.correlation_id, line.reason,
    )  # fmt: skip
    assert ("partial", (5, 3, 0, 0, 2, 0), 1, 3) == (
        report.outcome, counts(report), report.batches_failed, report.requests,
    )  # fmt: skip
    assert error is cycle.result.last_error


def test_each_failed_batch_is_counted() -> None:
    cycle = Script(lambda batch, _: [] if batch.number == 1 else Forbidden("no", status=403))
    assert 3 == cycle.run(*queues(4), batch_size=1).batches_failed


def test_a_failure_that_passes_is_tried_again_with_full_jitter_and_a_growing_limit() -> None:
    def script(batch, attempt):
        return Transient("try later", status=503) if batch.number == 2 and attempt < MAX_ATTEMPTS else []

    cycle = Script(script)
    report = cycle.run(BARE, NAMED, batch_size=1, deadline=1000.0)
    assert [(0.0, 1.0), (0.0, 2.0), (0.0, 4.0)] == cycle.jitters
    assert [1.0, 2.0, 4.0] == cycle.waited
    assert ("ok", 5, 3) == (report.outcome, report.requests, report.retries)
    assert 5 == cycle.progress


def test_retries_are_counted_over_all_batches() -> None:
    cycle = Script(lambda _, attempt: Transient("later", status=503) if attempt < 3 else [])
    report = cycle.run(*queues(3), batch_size=1, deadline=1000.0)
    assert ("ok", 9, 6) == (report.outcome, report.requests, report.retries)


def test_answers_between_failures_keep_the_rest_of_the_cycle_going() -> None:
    cycle = Script(lambda batch, _: [] if batch.number % 8 == 1 else Forbidden("no", status=403))
    assert 0 == cycle.run(*queues(30), batch_size=1).deferred


def test_the_wait_before_a_retry_has_a_cap(monkeypatch) -> None:
    monkeypatch.setattr("queuetick.polling.cycle.MAX_ATTEMPTS", 7)
    cycle = Script(lambda batch, _: [] if batch.number == 1 else Unreachable("no answer"))
    cycle.run(BARE, NAMED, batch_size=1, deadline=1000.0)
    assert [1.0, 2.0, 4.0, 5.0, 5.0, 5.0] == cycle.waited


def test_a_failure_that_does_not_pass_is_given_up_after_four_attempts() -> None:
    cycle = Script(lambda batch, _: [] if batch.number == 1 else Unreachable("no answer"))
    report = cycle.run(BARE, NAMED, batch_size=1, deadline=1000.0)
    assert ("partial", 5, 3) == (report.outcome, report.requests, report.retries)
    assert [4] == [line.attempts for line in cycle.told(BatchFailed)]


@pytest.mark.parametrize(("deadline", "requests"), [(101.0, 1), (101.001, 2), (103.0, 2), (103.001, 3)])
def test_a_retry_that_would_begin_at_the_deadline_or_later_is_not_waited_for(deadline, requests) -> None:
    cycle = Script(lambda *_: Unreachable("no answer"))
    assert requests == cycle.run(NAMED, deadline=deadline).requests
    assert [1.0, 2.0][: requests - 1] == cycle.waited


def test_a_stop_ends_the_wait_for_a_retry() -> None:
    cycle = Script(lambda *_: Unreachable("no answer"))
    cycle.stopping = True
    assert (1, [1.0]) == (cycle.run(NAMED).requests, cycle.waited)


def test_after_an_answer_that_never_comes_the_attempts_before_are_in_its_line() -> None:
    errors = [Transient("503", status=503), Forbidden("no", status=403)]
    cycle = Script(lambda _, attempt: errors[attempt - 1])
    cycle.run(NAMED, deadline=1000.0)
    assert [2] == [line.attempts for line in cycle.told(BatchFailed)]


@pytest.mark.parametrize(("deferrals", "place"), [(1, 3), (3, 3), (4, 0)])
def test_of_failing_queues_that_lose_their_turn_one_batch_goes_first_in_the_end(deferrals, place) -> None:
    memory, polled = Memory(), queues(5)
    memory.failing, memory.failures = {"q000", "q001"}, 1
    memory.deferred = {"q000": 0, "q001": deferrals, "q004": 1}
    order = [queue.id for batch in memory.batches(polled, 1) for queue in batch.queues]
    assert (place, 4) == (order.index("q001"), order.index("q000"))
    assert ["q004", "q002", "q003"] == [each for each in order if each not in memory.failing], "longest first"


def test_a_503_is_held_as_long_as_it_asks_where_no_batch_was_answered() -> None:
    later = Transient("503", status=503)
    later.retry_after = 60.0
    cycle = Script(lambda batch, _: later if batch.number == 1 or cycle.number == 2 else [])
    cycle.run(*queues(3), batch_size=1)
    assert [] == cycle.held
    cycle.run(*queues(3), batch_size=1)
    assert [60.0] == cycle.held


def test_a_429_is_tried_again_without_a_wait_of_its_own_and_is_no_failure() -> None:
    cycle = Script(lambda _, attempt: RateLimited("slow down", status=429) if attempt < 3 else [])
    report = cycle.run(NAMED)
    assert ("ok", 3, 2, []) == (report.outcome, report.requests, report.retries, cycle.waited)


def test_a_503_that_names_a_time_beyond_the_cycle_is_a_failure_of_the_batch_that_got_it() -> None:
    later = Transient("503", status=503)
    later.retry_after = 60.0
    cycle = Script(lambda batch, _: later if cycle.number == 1 == batch.number else Deferred(160.0))
    report = cycle.run(*queues(4), batch_size=2)
    assert ("failed", (4, 0, 0, 0, 2, 2), later) == (report.outcome, counts(report), cycle.result.last_error)
    report = cycle.run(*queues(4), batch_size=2, lost=True)
    assert ("failed", (4, 0, 0, 0, 0, 4)) == (report.outcome, counts(report))  # as long as the 503 holds


@pytest.mark.parametrize("ending", [Deferred(200.0), Stopped()], ids=repr)
def test_what_loses_its_turn_is_deferred_without_a_line_and_goes_first_in_the_next_cycle(ending) -> None:
    cycle = Script(lambda batch, _: ending if batch.number > 1 else [])
    report = cycle.run(*queues(5), batch_size=2)
    assert ("partial", (5, 2, 0, 0, 0, 3)) == (report.outcome, counts(report))
    assert [] == cycle.told(BatchFailed)
    cycle.script, cycle.asked = (lambda *_: []), []
    cycle.run(*queues(5), batch_size=2)
    assert ["q002", "q003", "q004", "q000", "q001"] == [
        queue.id for batch in cycle.asked for queue in batch.queues
    ]
    cycle.asked = []
    cycle.run(*queues(5), batch_size=2)
    assert "q000" == cycle.asked[0].queue_ids[0]


def test_a_cycle_in_which_all_is_deferred_is_partial_and_one_in_which_all_failed_is_failed() -> None:
    assert "partial" == Script(lambda *_: Deferred(1.0)).run(NAMED).outcome
    assert "failed" == Script(lambda *_: Forbidden("no")).run(NAMED).outcome
    half = Script(lambda batch, _: Forbidden("no") if batch.number == 1 else Deferred(1.0))
    assert "failed" == half.run(NAMED, BARE, batch_size=1).outcome
    missing = Script(lambda batch, _: Forbidden("no") if batch.number == 1 else ["b"])
    assert "partial" == missing.run(NAMED, BARE, batch_size=1).outcome


def test_when_eight_batches_in_a_row_fail_before_any_answer_the_rest_is_left_alone() -> None:
    cycle = Script(lambda *_: Forbidden("no", status=403))
    report = cycle.run(*queues(30), batch_size=1)
    assert (GIVE_UP_AFTER, 30 - GIVE_UP_AFTER, GIVE_UP_AFTER) == (
        report.failed,
        report.deferred,
        report.requests,
    )
    assert "failed" == report.outcome


def test_one_answer_shows_that_the_api_is_there_and_nothing_is_left_alone() -> None:
    cycle = Script(lambda batch, _: [] if batch.number == 7 else Forbidden("no", status=403))
    report = cycle.run(*queues(30), batch_size=1)
    assert (1, 29, 0) == (report.snapshots, report.failed, report.deferred)


def test_without_a_token_no_other_batch_is_tried() -> None:
    cycle = Script(lambda *_: LoginFailed("login host away"))
    report = cycle.run(*queues(30), batch_size=1)
    assert (1, 29, 1) == (report.failed, report.deferred, report.requests)


def test_a_defect_ends_the_cycle_and_is_raised_where_it_runs() -> None:
    defect = ZeroDivisionError("a defect")
    cycle = Script(lambda *_: defect)
    with pytest.raises(ZeroDivisionError):
        cycle.run(*queues(5), batch_size=1)
    assert 1 == len(cycle.asked)


def test_a_request_that_stop_cannot_end_gives_its_queues_up_and_its_late_answer_no_line(monkeypatch) -> None:
    monkeypatch.setattr("queuetick.polling.cycle.LAST_REQUESTS", 0.01)
    for ending in (
        list,
        lambda: Forbidden("no"),
        lambda: RequestRefused("no", status=400),
        lambda: Deferred(1.0),
    ):
        release, over = threading.Event(), threading.Event()
        cycle = Script(lambda *_, end=ending, go=release: (go.wait(10), end())[1])
        cycle.stopping = True
        cycle.progressed = over.set
        report = cycle.run(NAMED)
        release.set()
        assert over.wait(10)
        assert ("partial", (1, 0, 0, 0, 0, 1), []) == (report.outcome, counts(report), cycle.lines)
