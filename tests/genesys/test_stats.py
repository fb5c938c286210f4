"""queue.stats: the day that is asked for, and what the aggregates answer means."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from genesys.test_client import Budget, Q, Scripted, answer, client, error_body
from queuetick.clock import utc
from queuetick.events import Queue, ServiceLevel, Spread
from queuetick.genesys import stats
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import Forbidden, RateLimited, TooLarge, Transient
from queuetick.genesys.rate_limit import Deferred
from queuetick.genesys.stats import Window, today
from support.junk import spoil, spoilt
from support.virtual import World

TICK = "2026-11-24T04:00:15.000Z"
WINDOW = Window(1_795_474_800.0, 1_795_561_200.0)
OTHER = "e8963ace-0000-4000-8000-000000000002"
SUPPORT = Queue(Q, "Support", "Home")
UNKNOWN = ServiceLevel(None, None, None, None)


def metric(name: str, **values):
    return {"metric": name, "stats": values}


VOICE = {
    "group": {"mediaType": "voice", "queueId": Q},
    "data": [
        {
            "interval": "2026-11-23T23:00:00.000Z/2026-11-24T23:00:00.000Z",
            "metrics": [
                metric("nOffered", count=205),
                metric("tAnswered", max=260689, min=3069, count=181, sum=11481661),
                metric("oServiceLevel", ratio=0.4523, numerator=90, denominator=199, target=0.8),
            ],
        }
    ],
}
"""The answer of facts, 13."""


def read(*results, queues=(SUPPORT,), raw=None):
    data = raw if raw is not None else json.dumps({"results": list(results)}).encode()
    return stats.read(data, queues, cycle=7, scheduled_at=TICK, window=WINDOW, arrived=1_795_492_816.021)


# The window


@pytest.mark.parametrize(
    ("zone", "now", "start", "hours"),
    [
        ("UTC", "2026-11-24T04:00:15", "2026-11-24T00:00:00", 24),
        ("Europe/Berlin", "2026-11-24T04:00:15", "2026-11-23T23:00:00", 24),
        ("Europe/Berlin", "2026-11-23T23:00:00", "2026-11-23T23:00:00", 24),
        ("Europe/Berlin", "2026-11-23T22:59:59", "2026-11-22T23:00:00", 24),
        ("Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T23:00:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00", "2026-10-24T22:00:00", 25),
        ("Australia/Lord_Howe", "2026-04-05T01:00:00", "2026-04-04T13:00:00", 24.5),
        ("Asia/Kolkata", "2026-11-24T04:00:15", "2026-11-23T18:30:00", 24),
        ("Africa/Cairo", "2026-04-24T12:00:00", "2026-04-23T22:00:00", 23),
        ("America/Havana", "2025-11-02T12:00:00", "2025-11-02T04:00:00", 25),
    ],
)
def test_the_day_runs_from_midnight_to_midnight_of_its_zone(zone, now, start, hours) -> None:
    window = today(zone, datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp())
    assert (f"{start}.000Z", hours * 3600) == (utc(window.start), window.end - window.start)


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Beirut", "Pacific/Apia", "UTC"]),
    st.floats(1.6e9, 2.0e9),
)
def test_every_moment_is_within_its_day_and_days_follow_each_other(zone, now) -> None:
    window = today(zone, now)
    assert window.start <= now < window.end
    assert window.end == today(zone, window.end).start


# The query


def test_the_query_is_the_published_one_for_the_whole_window() -> None:
    assert {
        "interval": "2026-11-23T23:00:00.000Z/2026-11-24T23:00:00.000Z",
        "groupBy": ["queueId", "mediaType"],
        "filter": {
            "type": "and",
            "clauses": [
                {
                    "type": "or",
                    "predicates": [{"type": "dimension", "dimension": "queueId", "value": Q}],
                }
            ],
        },
        "metrics": [
            "nOffered", "tAnswered", "tAbandon", "tShortAbandon", "tFlowOut", "nTransferred", "tWait", "oServiceLevel",
        ],
    } == json.loads(stats.body([Q], WINDOW))  # fmt: skip


def test_stats_are_one_request_on_a_route_of_their_own() -> None:
    transport, budget, usage = Scripted(lambda _: answer({"results": []})), Budget(), Usage()
    queues = [Queue(f"q{n}") for n in range(100)]
    events = client(transport, budget=budget).stats(
        queues, cycle=7, scheduled_at=TICK, window=WINDOW, deadline=113.0, usage=usage
    )
    assert [queue.id for queue in queues] == [event.queue_id for event in events]
    assert 1 == usage.requests == budget.log.count("acquire stats")
    assert transport.asked[0].url.endswith(stats.PATH)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(error_body(403, "missing.permissions"), 403), Forbidden),
        (answer(b"", 429), RateLimited),
        (answer(error_body(400, "response.entity.too.large"), 400), TooLarge),
        (answer(b"<html>"), Transient),
        (answer([]), Transient),
        (answer({"results": {}}), Transient),
    ],
)
def test_a_failure_is_the_errors_own_kind(reply, error) -> None:
    with pytest.raises(error):
        client(Scripted([reply])).stats(
            [Queue(Q)], cycle=7, scheduled_at=TICK, window=WINDOW, deadline=113.0, usage=Usage()
        )


def test_stats_have_no_time_after_their_deadline() -> None:
    with pytest.raises(Deferred):
        client(Scripted([])).stats(
            [Queue(Q)], cycle=7, scheduled_at=TICK, window=WINDOW, deadline=0.0, usage=Usage()
        )


# The answer


def test_the_numbers_are_the_apis_own_in_seconds() -> None:
    [event] = read(VOICE)
    assert (7, TICK, Q, "Support", "Home") == (
        event.cycle, event.scheduled_at, event.queue_id, event.queue_name, event.division,
    )  # fmt: skip
    assert ("2026-11-23T23:00:00.000Z", "2026-11-24T23:00:00.000Z", "2026-11-24T04:00:16.021Z") == (
        event.interval_start, event.interval_end, event.observed_at,
    )  # fmt: skip
    assert (205, 181, 0, 0, 0, 0) == (
        event.offered, event.answered, event.abandoned, event.abandoned_short, event.flowed_out, event.transferred,
    )  # fmt: skip
    assert (Spread(63.4, 260.7), Spread(None, None)) == (event.answer_seconds, event.wait_seconds)
    assert ServiceLevel(0.4523, 90, 199, 0.8) == event.service_level == event.media["voice"].service_level


def test_a_queue_without_a_group_had_no_contact_and_one_that_is_not_spoken_of_is_not_known() -> None:
    _, silent = read(VOICE, queues=(Queue(Q), Queue(OTHER)))
    assert (OTHER, 0, 0, {}, UNKNOWN) == (
        silent.queue_id, silent.offered, silent.transferred, silent.media, silent.service_level,
    )  # fmt: skip
    assert (Spread(None, None), UNSET) == (silent.answer_seconds, silent.queue_name)
    for raw in (b"{}", b'{"results":null}'):
        [unknown] = read(raw=raw)
        assert (None, None, UNKNOWN) == (unknown.offered, unknown.abandoned, unknown.service_level)
    [bare] = read({"group": {"queueId": Q, "mediaType": "voice"}})
    assert (None, None) == (bare.offered, bare.media["voice"].offered)


def group(medium, *metrics, queue=Q):
    return {"group": {"mediaType": medium, "queueId": queue}, "data": [{"metrics": list(metrics)}]}


def test_media_are_added_up_and_keep_their_own_numbers() -> None:
    [event] = read(
        group("voice", metric("nOffered", count=3), metric("tAnswered", count=2, sum=5000, max=3000),
              metric("oServiceLevel", ratio=0.5, numerator=1, denominator=2, target=0.8)),
        group("メール", metric("nOffered", count=4), metric("tAnswered", count=1, sum=4000, max=4000),
              metric("oServiceLevel", ratio=1.0, numerator=2, denominator=2, target=0.9)),
    )  # fmt: skip
    assert (7, 3, Spread(3.0, 4.0)) == (event.offered, event.answered, event.answer_seconds)
    assert ServiceLevel(0.75, 3, 4, None) == event.service_level
    assert {"voice": 3, "メール": 4} == {medium: each.offered for medium, each in event.media.items()}


def test_ratios_of_several_intervals_are_not_added_up() -> None:
    both = group("voice", metric("oServiceLevel", ratio=0.9, numerator=9, denominator=10, target=0.8))
    both["data"] += both["data"]
    [event] = read(both)
    assert ServiceLevel(0.9, 18, 20, 0.8) == event.service_level
    both["data"][1:] = group("voice", metric("oServiceLevel", ratio=0.5, numerator=1, denominator=2))["data"]
    [event] = read(both)
    assert ServiceLevel(None, 10, 12, 0.8) == event.service_level


def test_a_group_without_a_medium_speaks_for_its_queue_where_it_is_the_only_one() -> None:
    whole = {"group": {"queueId": Q.upper()}, "data": [{"metrics": [metric("nOffered", count=9)]}]}
    [event] = read(whole)
    assert (9, {}) == (event.offered, event.media)
    [event] = read(whole, group("voice", metric("nOffered", count=3)))
    assert (None, ["voice"]) == (event.offered, list(event.media))


@pytest.mark.parametrize("count", ["5", -1, True, None, 1e300, 10**400, []])
def test_a_value_that_is_no_number_is_null_and_spoils_no_other(count) -> None:
    [event] = read(group("voice", metric("nOffered", count=count), metric("tAbandon", count=2)))
    assert (None, 2) == (event.offered, event.abandoned)


@pytest.mark.parametrize("item", [{"stats": None}, {}, {"stats": {}}, {"stats": []}, {"stats": {"sum": 4}}])
def test_a_metric_that_is_named_without_a_count_is_null_and_spoils_no_other(item) -> None:
    [event] = read(group("voice", {"metric": "nOffered", **item}, metric("tAbandon", count=2)))
    assert (None, None, 2) == (event.offered, event.media["voice"].offered, event.abandoned)


@pytest.mark.parametrize(
    "interval", [None, 0, [], {}, {"metrics": None}, {"metrics": {}}, {"metrics": [None]}]
)
def test_an_interval_of_another_shape_makes_its_whole_group_unknown(interval) -> None:
    voice = group("voice", metric("nOffered", count=3))
    voice["data"].append(interval)
    [event] = read(voice, group("chat", metric("nOffered", count=1)))
    assert (None, None, 1) == (event.offered, event.media["voice"].offered, event.media["chat"].offered)


WHOLE = [
    group(kind, metric("nOffered", count=7), metric("tAnswered", count=5, sum=50_000, max=20_000),
          metric("oServiceLevel", ratio=0.5, numerator=2, denominator=4, target=0.8))
    for kind in ("voice", "chat")
]  # fmt: skip
[KNOWN] = read(*WHOLE)


@pytest.mark.parametrize(("path", "junk"), spoilt(WHOLE, keep=("queueId",), depth=2))
def test_what_cannot_be_read_never_becomes_a_zero_or_half_a_sum(path, junk) -> None:
    [event] = read(*spoil(WHOLE, path, junk))
    for name in ("offered", "answered"):
        assert getattr(event, name) in (None, getattr(KNOWN, name))
    level, known = event.service_level, KNOWN.service_level
    assert (level.numerator, level.denominator) in itertools.product(
        (None, known.numerator), (None, known.denominator)
    )
    assert event.answer_seconds.mean in (None, KNOWN.answer_seconds.mean)


@pytest.mark.parametrize("junk", [None, 5, {}, {"group": None}, {"group": {"mediaType": "voice"}}])
def test_beside_a_result_of_no_queue_a_queue_without_a_group_is_not_known(junk) -> None:
    seen, unseen = read(*WHOLE, junk, queues=(SUPPORT, Queue(OTHER)))
    assert (14, None) == (seen.offered, unseen.offered)


@pytest.mark.parametrize(
    "key", [None, 5, {}, {"queueId": None, "mediaType": "email"}, {"mediaType": "voice"}]
)
def test_values_of_no_queue_may_be_of_any_that_lacks_their_medium(key) -> None:
    lost = {"group": key, "data": WHOLE[0]["data"]}
    [event] = read(*WHOLE, lost)
    assert (14 if key == {"mediaType": "voice"} else None) == event.offered
    assert 7 == event.media["voice"].offered


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["group", "data", "metrics", "metric", "stats", "count"]), inner)
    ),
    max_leaves=8,
)


@given(st.lists(json_values | st.just(VOICE), max_size=4))
def test_whatever_the_answer_holds_each_queue_has_one_event(results) -> None:
    assert [Q, OTHER] == [event.queue_id for event in read(*results, queues=(Queue(Q), Queue(OTHER)))]


# Against a centre that knows the truth


def asked_of(world: World, window: Window) -> list:
    """The events of all queues of `world` for `window`."""
    queues = [Queue(queue.id) for queue in world.centre.queues]
    return world.cycles.org.client.stats(
        queues, cycle=1, scheduled_at=TICK, window=window, deadline=1e12, usage=Usage()
    )


def agree(world: World, window: Window, events: list) -> None:
    """Each line is what the centre knows of its queue, in all and by medium."""
    now = world.time.now()
    for queue, event in zip(world.centre.queues, events, strict=True):
        truth = queue.account(window.start, min(window.end, now)).tallies
        assert {medium: tally.offered for medium, tally in truth.items()} == {
            medium: media.offered for medium, media in event.media.items()
        }
        assert sum(tally.offered for tally in truth.values()) == event.offered
        assert sum(tally.answered.count for tally in truth.values()) == event.answered
        assert sum(tally.abandoned.count for tally in truth.values()) == event.abandoned
        assert sum(tally.flowed_out.count for tally in truth.values()) == event.flowed_out
        assert sum(tally.transferred for tally in truth.values()) == event.transferred
        judged = sum(tally.judged for tally in truth.values())
        assert (judged or None) == event.service_level.denominator


def test_through_a_day_each_line_is_the_truth_of_its_moment() -> None:
    world = World(queues=4)
    for _ in range(12):
        window = today("Europe/Berlin", world.time.now())
        agree(world, window, asked_of(world, window))
        world.time.advance(7000.0)


@pytest.mark.parametrize(("moment", "hours"), [("2026-10-25T12:00:00", 25), ("2026-03-29T12:00:00", 23)])
def test_a_day_on_which_clocks_change_is_asked_for_whole(moment, hours) -> None:
    world = World(queues=4)
    window = today("Europe/Berlin", datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    assert hours * 3600 == window.end - window.start
    events = asked_of(world, window)
    assert sum(event.offered for event in events) > 0
    agree(world, window, events)
