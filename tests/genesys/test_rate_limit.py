"""The token's budget: what rate_limit.py promises, on a clock that only moves when somebody waits."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuetick.clock import Stopped, utc
from queuetick.events import RateLimit
from queuetick.genesys.errors import RateLimited, from_answer
from queuetick.genesys.headers import rate_limit, retry_after
from queuetick.genesys.rate_limit import (
    BACKOFF_CAP,
    BACKOFF_FLOOR,
    BELIEVED_AFTER,
    LONGEST_BELIEF,
    LONGEST_HOLD,
    WINDOW,
    Deferred,
    RateLimiter,
)
from queuetick.polling.capacity import interval_in_force
from queuetick.simulator import Faults
from support.virtual import Ledger, QuickObserver, VirtualTime, World

ROUTE = "observations"


def believe(subject: RateLimiter, rate_limit: RateLimit, route: str = ROUTE) -> None:
    """State a limit as often as it must be to be believed."""
    for _ in range(BELIEVED_AFTER):
        subject.update_from_headers(route, rate_limit)


def limiter(time: VirtualTime, budget: int = 5, *, uniform=lambda low, high: high, facts: list | None = None):
    return RateLimiter(
        budget,
        monotonic=time.monotonic,
        now=time.now,
        wait=time.wait,
        uniform=uniform,
        emit=(facts if facts is not None else []).append,
    )


def most_within_a_minute(moments: list[float]) -> int:
    """The largest number of `moments` in any half-open 60 seconds."""
    moments = sorted(moments)
    most = first = 0
    for last, moment in enumerate(moments):
        # Added, as the limiter does: subtracting would round the same two moments to less than a minute apart.
        while moments[first] + WINDOW <= moment:
            first += 1
        most = max(most, last - first + 1)
    return most


# One step: ask for leave with this much patience; let so much time pass before the answer; then say what it said.
_ANSWERS = st.one_of(
    st.just(("ok", 0.0)),
    st.tuples(st.just("429"), st.sampled_from([0.0, 0.01, 1.0, 14.0, 3600.0])),
    st.just(("429 without a time", 0.0)),
    st.tuples(st.just("used up"), st.sampled_from([0.5, 30.0, 61.0, 1000.0])),
)
_STEPS = st.lists(
    st.tuples(st.floats(-1.0, 90.0), st.floats(0.0, 12.0), _ANSWERS, st.floats(0.0, 20.0)), max_size=60
)


@settings(deadline=None)
@given(budget=st.integers(1, 12), steps=_STEPS, seed=st.integers(0, 99))
def test_no_minute_holds_more_requests_than_the_budget_no_pause_holds_any_nobody_waits_past_its_deadline(
    budget, steps, seed
):
    time, facts = VirtualTime(), []
    subject = limiter(time, budget, uniform=random.Random(seed).uniform, facts=facts)
    left, arrived, paused_until, held_until = [], [], 0.0, 0.0
    for patience, on_its_way, (answer, seconds), rest in steps:
        deadline = time.monotonic() + patience
        try:
            subject.acquire(ROUTE, deadline)
        except Deferred as deferred:
            assert time.monotonic() <= max(deadline, deadline - patience)
            assert deferred.until >= deadline or patience <= 0
        else:
            now = time.monotonic()
            assert now < deadline
            assert now >= max(paused_until, held_until)
            left.append(now)
            arrived.append(now + on_its_way * random.Random(len(left)).random())
            time.advance(on_its_way)
            subject.release(ROUTE)
            if answer == "ok":
                subject.reset_backoff(ROUTE)
            elif answer == "429":
                subject.pause(ROUTE, seconds, "retry-after")
                paused_until = max(paused_until, time.monotonic() + max(seconds, BACKOFF_FLOOR))
            elif answer == "429 without a time":
                subject.pause(ROUTE, None, "backoff")
                paused_until = max(paused_until, time.monotonic() + BACKOFF_FLOOR)
            else:
                believe(subject, RateLimit(allowed=budget, used=budget, reset_seconds=seconds))
                held_until = max(held_until, time.monotonic() + (seconds if seconds < 120 else 0))
        time.advance(rest)
    assert most_within_a_minute(left) <= budget
    assert most_within_a_minute(arrived) <= budget


@settings(max_examples=20, deadline=None)
@given(budget=st.integers(1, 8), threads=st.integers(2, 6))
def test_the_budget_holds_over_all_threads(budget, threads):
    time = VirtualTime()
    subject = limiter(time, budget)
    left: list[float] = []

    def work() -> None:
        for _ in range(6):
            subject.acquire(ROUTE, float("inf"))
            left.append(time.monotonic())
            subject.release(ROUTE)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(left) == 6 * threads
    assert max(Counter(left).values()) <= budget
    assert most_within_a_minute(left) <= budget


def test_a_request_counts_from_its_leaving_until_a_minute_after_its_answer():
    time = VirtualTime()
    subject = limiter(time, 1)
    subject.acquire(ROUTE, time.monotonic() + 1)
    began = time.monotonic()
    time.advance(9.0)
    with pytest.raises(Deferred) as deferred:
        subject.acquire(ROUTE, time.monotonic() + 1)
    assert deferred.value.until == began + 9.0 + WINDOW
    subject.release(ROUTE)
    time.advance(59.0)
    assert subject.used == 1
    time.advance(1.0)
    assert subject.used == 0


@pytest.mark.parametrize(("pause", "left"), [(3600.0, 13.5), (10.0, 10.0)])
def test_a_pause_that_does_not_end_before_the_deadline_is_not_slept_through(pause, left):
    time = VirtualTime()
    subject = limiter(time)
    subject.pause(ROUTE, pause, "retry-after")
    with pytest.raises(Deferred):
        subject.acquire(ROUTE, time.monotonic() + left)
    assert time.waited == []


def test_a_pause_that_ends_in_time_is_waited_out_to_its_end_and_not_longer():
    time = VirtualTime()
    subject = limiter(time)
    subject.pause(ROUTE, 2.5, "retry-after")
    subject.acquire(ROUTE, time.monotonic() + 10)
    assert time.waited == [2.5]


def test_a_pause_ends_at_its_end_and_not_before():
    time, facts = VirtualTime(), []
    subject = limiter(time, facts=facts)
    subject.pause(ROUTE, 10.0, "retry-after")
    time.advance(9.5)
    assert (subject.paused_for(), len(facts)) == (0.5, 1)
    time.advance(0.5)
    assert (subject.paused_for(), len(facts)) == (0.0, 1), "reading changes nothing"
    subject.expire()
    assert len(facts) == 2


def test_requests_under_way_count_each():
    time = VirtualTime()
    subject = limiter(time, 2)
    for _ in range(2):
        subject.acquire(ROUTE, time.monotonic() + 1)
    assert subject.used == 2
    with pytest.raises(Deferred):
        subject.acquire(ROUTE, time.monotonic() + 1)


def test_another_budget_holds_at_once_and_what_was_sent_before_still_counts():
    time = VirtualTime()
    subject = limiter(time, 5)
    for _ in range(3):
        subject.acquire(ROUTE, time.monotonic() + 1)
        subject.release(ROUTE)
    subject.configure(3)
    assert subject.budget == 3
    with pytest.raises(Deferred):
        subject.acquire(ROUTE, time.monotonic() + 1)
    subject.configure(4)
    subject.acquire(ROUTE, time.monotonic() + 1)


def test_what_the_last_headers_said_is_kept_and_an_answer_without_them_changes_nothing():
    subject = limiter(VirtualTime(), 300)
    assert subject.rate_limit is None
    said = RateLimit(180, 7, 42.0)
    believe(subject, said)
    subject.update_from_headers(ROUTE, None)
    assert subject.rate_limit is said
    assert subject.budget == 180


@pytest.mark.parametrize(("reset", "waited"), [(0.5, [0.5]), (120.0, [120.0]), (120.5, []), (0.0, [])])
def test_a_used_up_window_is_believed_up_to_two_of_them(reset, waited):
    time = VirtualTime()
    subject = limiter(time, 300)
    believe(subject, RateLimit(allowed=300, used=300, reset_seconds=reset))
    subject.acquire(ROUTE, time.monotonic() + 1000)
    assert time.waited == waited


def test_stop_ends_a_wait():
    time = VirtualTime()
    subject = limiter(time)
    subject.pause(ROUTE, 1.0, "retry-after")
    time.stopping = True
    with pytest.raises(Stopped):
        subject.acquire(ROUTE, time.monotonic() + 10)


def test_one_burst_of_429s_is_one_pause_and_one_line_and_its_end_another():
    time, facts = VirtualTime(), []
    subject = limiter(time, 20, facts=facts)
    for _ in range(4):
        subject.acquire(ROUTE, time.monotonic() + 1)
    for _ in range(4):
        subject.release(ROUTE)
        subject.pause(ROUTE, 12.0, "retry-after")
        time.advance(0.05)
    time.advance(12.0)
    subject.expire()
    assert [type(fact).__name__ for fact in facts] == ["RateLimitPaused", "RateLimitResumed"]
    assert facts[0].retry_after_seconds == 12.0


def test_a_pause_is_told_with_its_length_to_the_millisecond_and_the_moment_of_its_end():
    time, facts = VirtualTime(), []
    subject = limiter(time, facts=facts)
    subject.pause(ROUTE, 12.34567, "retry-after")
    [paused] = facts
    assert (paused.retry_after_seconds, paused.source) == (12.346, "retry-after")
    assert paused.until == utc(time.now() + 12.34567)
    time.advance(13.0)
    subject.expire()
    assert (facts[1].retry_after_seconds, facts[1].source) == (12.346, "retry-after")


@pytest.mark.parametrize(
    ("first", "second", "lines"),
    [
        (12.0, 12.875, 1),
        (12.0, 13.0, 2),
        (12.0, 60.0, 2),
        (12.0, 3.0, 1),
        (1000.0, 1050.0, 1),
        (1000.0, 1053.0, 2),
    ],
)
def test_a_429_that_asks_for_clearly_more_is_told_and_the_rest_of_a_burst_is_not(first, second, lines):
    time, facts = VirtualTime(), []
    subject = limiter(time, facts=facts)
    subject.pause(ROUTE, first, "retry-after")
    subject.pause(ROUTE, second, "retry-after")
    assert subject.paused_for() == max(first, second)
    assert len(facts) == lines


def test_a_pause_after_one_that_has_ended_is_told_again():
    time, facts = VirtualTime(), []
    subject = limiter(time, facts=facts)
    for _ in range(2):
        subject.pause(ROUTE, 0.5, "retry-after")
        time.advance(0.6)
        subject.expire()
    assert [type(fact).__name__ for fact in facts] == ["RateLimitPaused", "RateLimitResumed"] * 2


def test_who_is_deferred_hears_until_when():
    time = VirtualTime()
    subject = limiter(time)
    subject.pause(ROUTE, 60.0, "retry-after")
    with pytest.raises(Deferred, match=r"^deferred until 1060\.000$") as deferred:
        subject.acquire(ROUTE, time.monotonic() + 10)
    assert deferred.value.until == 1060.0


def test_a_burst_of_429s_without_a_time_is_one_step_of_the_backoff():
    time = VirtualTime()
    subject = limiter(time)
    for _ in range(4):
        subject.pause(ROUTE, None, "backoff")
    assert subject.paused_for() == 3.0


def test_the_backoff_grows_is_capped_never_vanishes_and_starts_anew_after_an_answer():
    time = VirtualTime()
    pauses = []
    subject = limiter(time)
    for _ in range(8):
        subject.pause(ROUTE, None, "backoff")
        pauses.append(subject.paused_for())
        time.advance(pauses[-1])
    assert pauses == [3.0, 6.0, 12.0, 24.0, 48.0, BACKOFF_CAP, BACKOFF_CAP, BACKOFF_CAP]
    subject.reset_backoff(ROUTE)
    subject.pause(ROUTE, None, "backoff")
    assert subject.paused_for() == 3.0
    none = limiter(time, uniform=lambda low, high: low)
    none.pause(ROUTE, None, "backoff")
    assert none.paused_for() == BACKOFF_FLOOR


def test_a_retry_after_of_a_moment_is_no_hot_loop():
    time = VirtualTime()
    subject = limiter(time)
    subject.pause(ROUTE, 0.001, "retry-after")
    assert subject.paused_for() == BACKOFF_FLOOR


def test_a_window_that_the_headers_call_used_up_is_waited_out_without_a_word():
    time, facts = VirtualTime(), []
    subject = limiter(time, 300, facts=facts)
    believe(subject, RateLimit(allowed=300, used=300, reset_seconds=7.0))
    assert subject.paused_for() == 0
    subject.acquire(ROUTE, time.monotonic() + 10)
    assert time.waited == [7.0]
    assert facts == []


def test_headers_that_make_no_sense_hold_nothing():
    time = VirtualTime()
    subject = limiter(time, 300)
    for lie in (
        RateLimit(300, 301, 86400.0),
        RateLimit(None, 500, 5.0),
        RateLimit(300, None, 5.0),
        RateLimit(0, 9, 5.0),
    ):
        believe(subject, lie)
    subject.acquire(ROUTE, time.monotonic() + 1)
    assert time.waited == []
    assert subject.budget == 300


# Routes


def test_a_pause_of_one_route_holds_no_other_and_a_pause_of_the_token_holds_all():
    time, facts = VirtualTime(), []
    subject = limiter(time, 300, facts=facts)
    subject.pause("listing", 1800.0, "retry-after")
    for route in ("observations", "stats"):
        subject.acquire(route, time.monotonic() + 1)
    assert (subject.paused_for(), subject.paused_for("listing")) == (0.0, 1800.0)
    with pytest.raises(Deferred):
        subject.acquire("listing", time.monotonic() + 1)
    subject.pause("token", 3600.0, "retry-after")
    for route in ("observations", "stats", "listing"):
        assert subject.paused_for(route) == 3600.0
        with pytest.raises(Deferred):
            subject.acquire(route, time.monotonic() + 1)
    time.advance(3600.0)
    subject.expire()
    assert [fact.route for fact in facts] == ["listing", "token", "token", "listing"]


@given(
    pauses=st.lists(
        st.tuples(st.sampled_from(["token", "observations", "listing", "stats"]), st.floats(1, 60))
    )
)
def test_a_request_leaves_exactly_when_neither_its_route_nor_the_token_is_paused(pauses):
    time = VirtualTime()
    subject = limiter(time, 300)
    for route, seconds in pauses:
        subject.pause(route, seconds, "retry-after")
    longest = {
        route: max((seconds for name, seconds in pauses if name == route), default=0.0) for route, _ in pauses
    }
    for route in ("observations", "listing", "stats"):
        wait = max(longest.get("token", 0.0), longest.get(route, 0.0))
        assert subject.paused_for(route) == pytest.approx(wait)


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"limit","code":"too.many.requests","status":429,"limit":{"key":"token.rate.per.minute"}}',
        b'{"message":"Exceeded [client.credentials.token.rate.per.minute]","code":"too.many.requests","status":429}',
    ],
)
def test_a_429_that_names_a_limit_of_the_token_pauses_the_token(body):
    assert from_answer(429, {"Retry-After": "9"}, body, now=NOW).route == "token"
    assert from_answer(429, {"Retry-After": "9"}, BODY, now=NOW).route is None


def test_a_limit_counts_after_it_was_stated_three_times_in_a_row_and_for_its_route_only():
    time = VirtualTime()
    subject = limiter(time, 300)
    for allowed in (1, 1, 60, 1, 60, 60):
        subject.update_from_headers(ROUTE, RateLimit(allowed, 5, 60.0))
        assert subject.budget == 300
    subject.acquire(ROUTE, time.monotonic() + 1)
    believe(subject, RateLimit(60, 70, 60.0), "listing")
    assert subject.budget == 300
    with pytest.raises(Deferred):
        subject.acquire("listing", time.monotonic() + 1)
    subject.update_from_headers(ROUTE, None)
    subject.update_from_headers(ROUTE, RateLimit(60, 5, 60.0))
    assert subject.budget == 60


def test_a_limit_that_no_answer_states_any_more_ends_and_one_that_is_confirmed_stays():
    time = VirtualTime()
    subject = limiter(time, 300)
    believe(subject, RateLimit(10, 1, 60.0))
    time.wait(LONGEST_BELIEF - 1)
    subject.update_from_headers(ROUTE, RateLimit(10, 1, 60.0))
    subject.update_from_headers(ROUTE, RateLimit(200, 1, 60.0))  # said once
    for passed, budget in ((LONGEST_BELIEF - 1, 10), (1, 300)):
        time.wait(passed)
        subject.update_from_headers(ROUTE, None)
        subject.expire()
        assert budget == subject.budget


@given(batches=st.integers(1, 500), stated=st.integers(1, 300), wanted=st.integers(5, 300))
def test_no_stated_limit_stretches_an_interval_beyond_five_minutes(batches, stated, wanted):
    subject = limiter(VirtualTime(), 10_000)
    subject.expect(batches)
    believe(subject, RateLimit(stated, 0, 60.0))
    assert interval_in_force(batches, wanted, subject.budget) <= 300


@given(
    st.dictionaries(
        st.sampled_from(
            ["inin-ratelimit-allowed", "inin-ratelimit-count", "inin-ratelimit-reset", "Retry-After"]
        ),
        st.sampled_from(["1e300", "NaN", "inf", "-1", "0", "", "300", "300, 300", "1, 2", "soon", "9" * 400])
        | st.floats().map(str)
        | st.text(max_size=8),
    )
)
def test_whatever_the_headers_say_what_is_read_of_them_is_a_sane_number_or_nothing(headers):
    found = rate_limit(headers)
    if found is not None:
        assert found.allowed is None or 1 <= found.allowed <= 10**6
        assert found.used is None or 0 <= found.used <= 10**6
        assert found.reset_seconds is None or 0 <= found.reset_seconds <= 86_400
    seconds = retry_after(headers, now=NOW)
    assert seconds is None or 0 <= seconds <= 86_400


@given(batches=st.integers(0, 70), pages=st.integers(0, 20), calls=st.integers(0, 400))
def test_stats_never_take_what_the_observations_need(batches, pages, calls):
    time = VirtualTime()
    subject = limiter(time, 300)
    subject.expect(batches, 15.0)
    for _ in range(pages):
        subject.acquire("listing", time.monotonic() + 1)
        subject.release("listing")
    for _ in range(calls):
        try:
            subject.acquire("stats", time.monotonic() + 1)
        except Deferred:
            break
        subject.release("stats")
    for _ in range(4 * batches):
        subject.acquire(ROUTE, time.monotonic() + 1)
        subject.release(ROUTE)
    assert time.waited == []


def test_a_503_holds_its_route_as_long_as_it_asks_but_at_most_five_minutes_and_without_an_event():
    time, facts = VirtualTime(), []
    subject = limiter(time, facts=facts)
    for asked, held in ((7.0, 7.0), (86_400.0, LONGEST_HOLD)):
        subject.hold(ROUTE, asked)
        subject.acquire("listing", time.monotonic() + 1)
        subject.release("listing")
        subject.acquire(ROUTE, time.monotonic() + 1000)
        subject.release(ROUTE)
        assert time.waited.pop() == held
    assert facts == []


NOW = 1_795_492_800.0
AT_NOW_PLUS_42 = "Tue, 24 Nov 2026 04:00:42 GMT"
BODY = b'{"message":"Rate limit exceeded the maximum. Retry the request in [42] seconds","status":429}'
LEGACY = b'{"message":"Rate limit exceeded the maximum [300] requests within [60] seconds","status":429}'


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry-After": "42"}, BODY, (42.0, "retry-after")),
        ({"Retry-After": "42.5", "inin-ratelimit-reset": "7"}, BODY, (42.5, "retry-after")),
        ({"Retry-After": AT_NOW_PLUS_42}, b"", (42.0, "retry-after")),
        (
            {"Retry-After": AT_NOW_PLUS_42, "Date": "Tue, 24 Nov 2026 04:00:02 GMT"},
            b"",
            (40.0, "retry-after"),
        ),
        ({"Retry-After": "Tue, 24 Nov 2026 03:00:00 GMT"}, b"", (None, "backoff")),
        ({"Retry-After": "0", "inin-ratelimit-reset": "7"}, b"", (7.0, "reset-header")),
        ({"Retry-After": "soon", "inin-ratelimit-reset": "7"}, b"", (7.0, "reset-header")),
        ({"Retry-After": "-5"}, BODY, (42.0, "retry-after")),
        ({"Retry-After": "1e400"}, BODY, (42.0, "retry-after")),
        ({"Retry-After": "9999999"}, b"", (86_400.0, "retry-after")),
        ({"Retry-After": "5, 5"}, b"", (5.0, "retry-after")),
        ({"Retry-After": "5,42"}, b"", (42.0, "retry-after")),
        ({"Retry-After": f"{AT_NOW_PLUS_42}, {AT_NOW_PLUS_42}"}, b"", (42.0, "retry-after")),
        ({"Retry-After": f"5, {AT_NOW_PLUS_42}"}, b"", (42.0, "retry-after")),
        ({"Retry-After": "Tuesday, 24-Nov-26 04:00:42 GMT"}, b"", (42.0, "retry-after")),
        ({"inin-ratelimit-reset": "NaN"}, LEGACY, (60.0, "retry-after")),
        ({}, b"<html>", (None, "backoff")),
        ({}, b"", (None, "backoff")),
    ],
)
def test_a_429_pauses_for_what_it_says_wherever_it_says_it(headers, body, expected):
    error = from_answer(429, headers, body, now=NOW)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.source) == expected


@pytest.mark.parametrize("retry_after", ["seconds", "date", "absent"])
@pytest.mark.parametrize("legacy", [False, True])
def test_without_its_headers_one_429_pauses_the_token_to_the_end_of_the_window(retry_after, legacy):
    faults = Faults(rate_limit=3, retry_after=retry_after, rate_limit_headers=False, legacy_429=legacy)
    world = World(queues=12, faults=faults, poll_batch_size=2, poll_concurrency=1)
    world.run(4)
    refused = [left for left, _, status in world.transport.requests if status == 429]
    [paused] = [line for line in world.lines if line["event"] == "rate_limit.paused"]
    assert len(refused) == 1
    assert paused["source"] == "retry-after"
    assert 58 <= paused["retry_after_seconds"] <= 61  # whole seconds, as dates are
    assert [line["cycle"] for line in world.lines if line["event"] == "cycle.skipped"] == [2, 3, 4]


def test_once_its_limit_is_believed_the_api_has_to_answer_no_429():
    world = World(queues=12, faults=Faults(rate_limit=3), poll_batch_size=2, poll_concurrency=1)
    world.run(20)
    statuses = [status for _, _, status in world.transport.requests]
    assert 429 not in statuses[7:]
    assert statuses.count(429) <= 1
    assert world.cycles.interval == 127


def test_a_429_that_names_no_time_anywhere_is_backed_off_from():
    world = World(queues=12, faults=Faults(status={429: 1.0}, retry_after="absent"), poll_batch_size=2)
    world.run(6)
    sources = {line["source"] for line in world.lines if line["event"] == "rate_limit.paused"}
    assert sources <= {"backoff", "retry-after"}


def test_a_retry_after_of_two_hours_is_two_hours_of_skipped_cycles_then_all_is_well():
    world = World(queues=10, poll_concurrency=1, queues_refresh=86_400)
    world.run(2)
    world.api.faults = Faults(status={429: 1.0}, status_retry_after=7200.0)
    world.run(3)
    world.api.faults = Faults()
    sent = len(world.transport.requests)
    world.run(3 + 480 + 2)
    skipped = [line for line in world.lines if line["event"] == "cycle.skipped"]
    assert [line["cycle"] for line in skipped] == list(range(4, 484))
    assert {line["reason"] for line in skipped} == {"rate_limit"}
    assert len(world.transport.requests) - sent <= 3
    assert [report.outcome for report in world.reports[-2:]] == ["ok", "ok"]


def answering(world: World, path: str, **changes):
    """Change each answer to requests of `path`: its status, its headers, its body."""
    respond = world.api.respond

    def changed(request):
        outcome = respond(request)
        if path in request.target:
            for name, value in changes.items():
                setattr(outcome.answer, name, value)
        return outcome

    world.api.respond = changed


def test_a_listing_that_is_answered_429_for_half_an_hour_stops_no_polling():
    world = World(queues=40, queues_refresh=60)
    world.run(2)
    answering(world, "/routing/queues", status=429, headers={"Retry-After": "1800"}, body=b"")
    world.run(40)
    assert {report.outcome for report in world.reports} == {"ok"}
    assert world.events("cycle.skipped") == []
    assert [line["route"] for line in world.events("rate_limit.paused")] == ["listing"]


@pytest.mark.parametrize("allowed", ["60", "1", "1e300", "NaN", "-1", "0"])
def test_a_limit_of_the_listing_stretches_no_interval(allowed):
    world = World(queues=100, queues_refresh=60, poll_batch_size=5)
    headers = {
        "inin-ratelimit-allowed": allowed,
        "inin-ratelimit-count": "1",
        "inin-ratelimit-reset": "60",
    }
    respond = world.api.respond

    def stated(request):
        outcome = respond(request)
        if "/routing/queues" in request.target:
            outcome.answer.headers = {**outcome.answer.headers, **headers}
        return outcome

    world.api.respond = stated
    world.run(24)
    assert {report.outcome for report in world.reports} == {"ok"}
    assert world.events("interval.stretched") == []


def test_1400_queues_at_20_a_batch_and_15_s_sustain_an_hour_without_one_429_or_one_queue_left_out():
    """The budget, the poller and the cycles are real; the API counts in fixed and in sliding windows at once."""
    chance = random.Random(11)
    ids = tuple(f"{n:036d}" for n in range(1400))
    world = World(queues=1, poll_batch_size=20, queues_ids=ids, emit=lambda *_: None)
    ledger = Ledger(300)
    org = world.cycles.org
    org.client = QuickObserver(org.limits, ledger, world.time, lambda: chance.expovariate(1 / 0.03))
    world.run(240)
    assert ledger.refused == 0
    assert [(report.outcome, report.snapshots) for report in world.reports] == [("ok", 1400)] * 240
    assert world.cycles.interval == 15


@pytest.mark.slow
@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_the_simulator_agrees_over_an_hour_with_a_discovery_every_ten_minutes(window):
    chance = random.Random(11)
    world = World(
        queues=1400,
        faults=Faults(window=window),
        travel=lambda: 0.005 + chance.expovariate(40.0),
        poll_batch_size=20,
        queues_refresh=600,
    )
    world.run(240)
    assert not [status for _, _, status in world.transport.requests if status == 429]
    assert [(report.outcome, report.snapshots) for report in world.reports] == [("ok", 1400)] * 240
    assert most_within_a_minute([left for left, _, _ in world.transport.requests]) <= 300
