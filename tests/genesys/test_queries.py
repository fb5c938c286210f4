"""Every shape that an answer can take (facts, sections 1.2 to 1.5) becomes the line that the contract says."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, to_builtins

from queuetick.events import Batch, Queue
from queuetick.genesys.answers import MOST
from queuetick.genesys.errors import Transient
from queuetick.genesys.own_names import OwnNames, media_name, snake
from queuetick.genesys.queries import ENDPOINTS, LEFT_OUT, METRICS, NO_DATA
from support.junk import spoil, spoilt

TICK = "2026-11-24T04:00:15.000Z"
Q = "e8963ace-0000-4000-8000-000000000001"
OTHER = "e8963ace-0000-4000-8000-000000000002"
ARRIVED = 1_787_230_941.878
OBSERVATIONS, DETAILS = ENDPOINTS["observations"], ENDPOINTS["details"]


def users(*data, queue=Q):
    return {"group": {"queueId": queue}, "data": list(data)}


def media(kind, *data, queue=Q):
    return {"group": {"mediaType": kind, "queueId": queue}, "data": list(data)}


def datum(metric, count, qualifier=None, **stats):
    found = {"metric": metric, "stats": {"count": count, **stats}}
    return found if qualifier is None else {**found, "qualifier": qualifier}


def read(*results, ids=(Q,), query=OBSERVATIONS, raw=None):
    data = raw if raw is not None else json.dumps({"results": list(results)}).encode()
    return query.read(
        data,
        Batch(1, tuple(map(Queue, ids))),
        cycle=1,
        scheduled_at=TICK,
        arrived=ARRIVED,
    )


def one(*results, **more):
    answer = read(*results, **more)
    assert answer.missing == []
    return answer.snapshots[0]


def test_waiting_is_the_sum_over_media_and_available_is_idle_on_queue() -> None:
    snapshot = one(
        users(
            datum("oMemberUsers", 23),
            datum("oActiveUsers", 22),
            datum("oUserRoutingStatuses", 4, "IDLE"),
            datum("oUserRoutingStatuses", 19, "OFF_QUEUE"),
            datum("oOnQueueUsers", 3, "IDLE"),
            datum("oOnQueueUsers", 2, "COMMUNICATING"),
        ),
        media("voice", datum("oWaiting", 4), datum("oInteracting", 3), datum("oAlerting", 1)),
        media("email", datum("oWaiting", 3), datum("oInteracting", 2), datum("oAlerting", 0)),
        media("video", datum("oInteracting", 1)),
    )
    assert (7, 3, 6, 1) == (
        snapshot.waiting,
        snapshot.agents_available,
        snapshot.interacting,
        snapshot.alerting,
    )
    assert 5 == snapshot.agents_on_queue
    expected = {"idle": 3, "interacting": 0, "communicating": 2, "not_responding": 0, "off_queue": 19}
    assert expected == snapshot.agents_by_status
    assert (23, 22) == (snapshot.members, snapshot.members_joined)
    assert snapshot.media["video"].waiting is None
    assert 1 == snapshot.media["video"].interacting


def test_an_absent_qualifier_in_a_group_that_came_is_zero() -> None:
    snapshot = one(users(datum("oOnQueueUsers", 4, "INTERACTING")))
    assert (0, 4) == (snapshot.agents_available, snapshot.agents_on_queue)
    assert snapshot.waiting is None, "no media group said how many wait"
    assert snapshot.media is None


def test_an_older_answer_without_routing_statuses_has_no_made_up_off_queue() -> None:
    snapshot = one(
        users(datum("oActiveUsers", 5), datum("oMemberUsers", 5)), media("voice", datum("oWaiting", 0))
    )
    assert (0, 0) == (snapshot.waiting, snapshot.agents_available)
    assert snapshot.agents_by_status["off_queue"] is None


def test_media_groups_alone_leave_agents_unknown() -> None:
    snapshot = one(media("voice", datum("oWaiting", 2)))
    assert 2 == snapshot.waiting
    unsaid = (
        snapshot.agents_available,
        snapshot.agents_on_queue,
        snapshot.agents_by_status,
        snapshot.members,
    )
    assert (None, None, None, None) == unsaid


@pytest.mark.parametrize(
    "group",
    [{"group": {"queueId": Q}}, *({"group": {"queueId": Q}, "data": data} for data in (None, [], 5, "x", [None], [5]))],
)  # fmt: skip
def test_a_queue_without_any_data_is_missing_and_not_zero(group) -> None:
    answer = read(group)
    assert ([], [Q]) == (answer.snapshots, [queue.id for queue, _ in answer.missing])


def test_a_queue_that_the_answer_leaves_out_is_missing_and_one_that_nobody_asked_for_is_left_alone() -> None:
    stranger = users(datum("oMemberUsers", 1), queue="00000000-0000-4000-8000-0000000000ff")
    answer = read(stranger, users(datum("oMemberUsers", 1)), ids=(Q, OTHER))
    assert [OTHER] == [queue.id for queue, _ in answer.missing]
    assert [Q] == [snapshot.queue_id for snapshot in answer.snapshots]


LONGEST = [
    ("oWaiting", "oLongestWaiting", "longest_wait_seconds"),
    ("oInteracting", "oLongestInteracting", "longest_interaction_seconds"),
]
both_ages = pytest.mark.parametrize(
    ("this", "other"), [(LONGEST[0], LONGEST[1]), (LONGEST[1], LONGEST[0])], ids=["wait", "interaction"]
)


@both_ages
def test_the_longest_is_now_minus_the_oldest_epoch_milliseconds_in_any_order_of_media(this, other) -> None:
    metric, longest, field = this
    groups = (
        media("chat", datum(metric, 1), datum(longest, 1, calculatedMetricValue=1787230900000.0)),
        media("voice", datum(metric, 3), datum(longest, 1, calculatedMetricValue=1787230858678)),
        media("email", datum(metric, 2)),
    )
    for order in itertools.permutations(groups):
        snapshot = one(*order)
        assert 83.2 == getattr(snapshot, field) == getattr(snapshot.media["voice"], field)
        assert 41.9 == getattr(snapshot.media["chat"], field)
        assert UNSET is getattr(snapshot.media["email"], field)
        assert getattr(snapshot, other[2]) is None, "an interaction is no wait"


@both_ages
def test_the_longest_is_not_known_when_the_api_does_not_say(this, other) -> None:
    metric, longest, field = this
    for snapshot in (
        one(media("voice", datum(metric, 2))),
        one(media("voice", datum(metric, 2), datum(longest, 1))),
        one(users(datum("oMemberUsers", 3))),
        one(media("voice", datum(longest, 1, calculatedMetricValue=1787230858678)), media("chat", datum(metric, 0))),
    ):  # fmt: skip
        assert getattr(snapshot, field) is None
        assert getattr(snapshot, other[2]) is None


@both_ages
@pytest.mark.parametrize("lie", [None, "x", 30, 1787230900, 2**53])
def test_the_longest_of_all_media_is_not_known_where_one_of_them_says_no_instant(this, other, lie) -> None:
    metric, longest, field = this
    said = datum(longest, 1, calculatedMetricValue=1787230900000)
    for liar in (datum(longest, 1, calculatedMetricValue=lie), {"metric": longest}, {"stats": {"count": 1}}):
        snapshot = one(media("chat", datum(metric, 1), said), media("voice", datum(metric, 3), liar))
        assert (None, 41.9) == (getattr(snapshot, field), getattr(snapshot.media["chat"], field))
        assert 4 == getattr(snapshot, "waiting" if metric == "oWaiting" else "interacting")
        nobody = one(media("chat", datum(metric, 1), said), media("voice", datum(metric, 0), liar))
        assert 41.9 == getattr(nobody, field)


@both_ages
@pytest.mark.parametrize(
    ("number", "count", "began", "age"),
    [(1, 1, "1787230900000", 41.9), (1, None, "1787230900000", 41.9), ("x", 1, "1787230858678", 83.2),
     (1, 1, "1787231001878", 0.0), (1, 1, "1", None), (1, 1, "1787230900", None), (1, 1, f"{2**53 - 1}", 0.0),
     (1, 0, "1787230900000", None), (0, 1, "1", None), (0, 1, "1787230858678", None), (1, 1, f"{2**53}", None),
     *((1, 1, lie, None) for lie in ("null", "0", "-1", "-5", "NaN", '"7"', '"x"', "true", "[]", "{}", "1e16", "1e308",
                                     "1e999", "1" + 400 * "0"))],
)  # fmt: skip
def test_it_began_at_an_epoch_in_milliseconds_or_is_not_known_and_costs_nothing_else(
    this, other, number, count, began, age
) -> None:
    metric, longest, field = this
    group = media(
        "voice",
        datum(metric, number),
        datum(other[0], 2),
        datum(other[1], 1, calculatedMetricValue=1787230858678),
        datum(longest, count, calculatedMetricValue=111),
    )
    snapshot = one(raw=json.dumps({"results": [group]}).replace("111", began).encode())
    assert age == getattr(snapshot, field)
    assert (UNSET if age is None else age) == getattr(snapshot.media["voice"], field)
    counts = {"oWaiting": snapshot.waiting, "oInteracting": snapshot.interacting}
    assert {metric: None if number == "x" else number, other[0]: 2} == counts
    assert 83.2 == getattr(snapshot, other[2])


def test_unknown_media_and_qualifiers_pass_through_in_snake_case() -> None:
    snapshot = one(
        users(datum("oOnQueueUsers", 2, "ON_BREAK"), datum("oOnQueueUsers", 1, "IDLE")),
        media("screenShare", datum("oWaiting", 1)),
        media("internalmessage", datum("oWaiting", 1)),
    )
    assert {"screen_share", "internalmessage"} == set(snapshot.media)
    assert (3, 2) == (snapshot.agents_on_queue, snapshot.agents_by_status["on_break"])


def test_statuses_that_are_given_leave_nobody_off_queue_where_that_one_is_absent() -> None:
    given = one(users(datum("oUserRoutingStatuses", 4, "IDLE"), datum("oOnQueueUsers", 4, "IDLE")))
    expected = {"idle": 4, "interacting": 0, "communicating": 0, "not_responding": 0, "off_queue": 0}
    assert expected == given.agents_by_status


@pytest.mark.parametrize(("members", "off_queue"), [(0, 0), (1, None), (None, None)])
def test_a_queue_without_members_has_nobody_off_queue(members, off_queue) -> None:
    answer = one(users(datum("oMemberUsers", members), datum("oActiveUsers", 0)))
    assert off_queue == answer.agents_by_status["off_queue"]
    assert members == answer.members


def test_routing_statuses_fill_in_what_the_on_queue_ones_do_not_say_and_overrule_none() -> None:
    given = one(
        users(
            datum("oOnQueueUsers", 1, "IDLE"),
            datum("oOnQueueUsers", 2, "AwayToday"),
            datum("oUserRoutingStatuses", 9, "IDLE"),
            datum("oUserRoutingStatuses", 8, "AwayToday"),
            datum("oUserRoutingStatuses", 7, "At lunch"),
            datum("oUserRoutingStatuses", 6, "OFF_QUEUE"),
            datum("oUserRoutingStatuses", 5),
        )
    )
    rest = {"interacting": 0, "communicating": 0, "not_responding": 0}
    assert {"idle": 1, "away_today": 2, "at_lunch": 7, "off_queue": 6, **rest} == given.agents_by_status
    assert (1, 3) == (given.agents_available, given.agents_on_queue)


# Targets and presences


def snapshot_of(queue: Queue, *results, mappings=None):
    body = {"results": list(results)}
    if mappings is not None:
        body["systemToOrganizationMappings"] = mappings
    data = json.dumps(body).encode()
    return OBSERVATIONS.read(data, Batch(1, (queue,)), cycle=1, scheduled_at=TICK, arrived=ARRIVED).snapshots[
        0
    ]


def waited(seconds: float | None, count: int | None = 1):
    """A medium's values with `count` contacts, the oldest of whom has waited `seconds`."""
    values = [] if count is None else [datum("oWaiting", count)]
    if seconds is not None:
        values.append(datum("oLongestWaiting", 1, calculatedMetricValue=round((ARRIVED - seconds) * 1000)))
    return values or [datum("oAlerting", 0)]


@pytest.mark.parametrize(
    ("targets", "voice", "chat", "over"),
    [
        ((), waited(83.2), waited(5), None),
        ((("voice", 20.0),), waited(83.2), waited(5), True),
        ((("voice", 90.0),), waited(83.2), waited(5), False),
        ((("voice", 83.2),), waited(83.2), waited(5), False),
        ((("voice", 90.0), ("chat", 4.0)), waited(83.2), waited(5), True),
        ((("voice", 20.0),), waited(None, 0), waited(5), False),
        ((("voice", 20.0),), waited(None, 3), waited(5), None),
        ((("voice", 20.0),), waited(None, None), waited(5), None),
        ((("voice", 20.0), ("chat", 4.0)), waited(None, 3), waited(5), True),
        ((("email", 20.0),), waited(83.2), waited(5), False),
    ],
)
def test_over_target_compares_each_mediums_longest_wait_with_the_queues_own_target(
    targets, voice, chat, over
) -> None:
    snapshot = snapshot_of(Queue(Q, wait_targets=targets), media("voice", *voice), media("chat", *chat))
    assert over is snapshot.over_target
    for medium, counts in snapshot.media.items():
        assert dict(targets).get(medium, UNSET) == counts.wait_target_seconds


def test_without_media_nobody_knows_whether_a_target_is_missed() -> None:
    queue = Queue(Q, wait_targets=(("voice", 20.0),))
    assert None is snapshot_of(queue, users(datum("oMemberUsers", 3))).over_target


MEAL, LUNCH, BREAK = "31fe3bac-dea6-44b7-bed7-47f91660a1a0", "a" * 36, "b" * 36
MAPPINGS = {"MEAL": [MEAL, LUNCH.upper()], "OnBreak": [BREAK], "ON_QUEUE": [], "BUSY": None, "AWAY": [5]}


def test_off_queue_members_are_summed_by_system_presence() -> None:
    snapshot = snapshot_of(
        Queue(Q),
        users(
            datum("oOffQueueUsers", 2, MEAL),
            datum("oOffQueueUsers", 3, LUNCH),
            datum("oOffQueueUsers", 1, BREAK.upper()),
            datum("oOffQueueUsers", 4, "c" * 36),
            datum("oOffQueueUsers", 5, "d" * 36),
        ),
        mappings=MAPPINGS,
    )
    assert {"meal": 5, "on_break": 1, "unknown": 9} == snapshot.off_queue_by_presence


@pytest.mark.parametrize("mappings", [None, [], "x", {"MEAL": "x"}, {"MEAL": {}}])
def test_a_presence_that_no_mapping_has_is_unknown(mappings) -> None:
    snapshot = snapshot_of(Queue(Q), users(datum("oOffQueueUsers", 2, MEAL)), mappings=mappings)
    assert {"unknown": 2} == snapshot.off_queue_by_presence


def test_presences_are_null_where_the_answer_does_not_say_and_empty_where_nobody_is_off_queue() -> None:
    assert None is snapshot_of(Queue(Q), users(datum("oMemberUsers", 2))).off_queue_by_presence
    assert {} == snapshot_of(Queue(Q), users(datum("oUserRoutingStatuses", 2, "IDLE"))).off_queue_by_presence
    lie = snapshot_of(Queue(Q), users(datum("oOffQueueUsers", 2, MEAL), datum("oOffQueueUsers", "x", LUNCH)))
    assert {"unknown": None} == lie.off_queue_by_presence


def test_a_status_whose_count_is_no_count_makes_the_total_unknown() -> None:
    given = one(users(datum("oOnQueueUsers", "x", "IDLE"), datum("oOnQueueUsers", 2, "COMMUNICATING")))
    assert (None, None) == (given.agents_available, given.agents_on_queue)
    assert (None, 2) == (given.agents_by_status["idle"], given.agents_by_status["communicating"])


def test_zero_is_a_fact_and_what_cannot_be_read_is_not_known_in_each_count() -> None:
    nought = media("voice", datum("oWaiting", 0), datum("oInteracting", 0), datum("oAlerting", 0))
    shown = one(nought)
    assert (0, 0, 0) == (shown.waiting, shown.interacting, shown.alerting)
    voice = shown.media["voice"]
    assert (0, 0, 0) == (voice.waiting, voice.interacting, voice.alerting)
    lie = media("voice", datum("oWaiting", "x"), datum("oInteracting", "x"), datum("oAlerting", "x"))
    unknown = one(lie)
    assert (None, None, None) == (unknown.waiting, unknown.interacting, unknown.alerting)
    voice = unknown.media["voice"]
    assert (None, None, None) == (voice.waiting, voice.interacting, voice.alerting)


def test_a_queues_names_are_on_its_snapshot_where_they_are_known() -> None:
    raw = json.dumps({"results": [media("voice", datum("oWaiting", 1))]}).encode()
    named = OBSERVATIONS.read(
        raw,
        Batch(1, (Queue(Q, "Support", "Home"),)),
        cycle=1,
        scheduled_at=TICK,
        arrived=ARRIVED,
    )
    assert ("Support", "Home") == (named.snapshots[0].queue_name, named.snapshots[0].division)
    bare = one(media("voice", datum("oWaiting", 1)))
    assert (UNSET, UNSET) == (bare.queue_name, bare.division)


def test_waiting_may_stand_in_the_queues_own_group_where_no_media_group_came() -> None:
    alone = one(users(datum("oWaiting", 4)))
    assert (4, None) == (alone.waiting, alone.media)
    assert (None, None) == (alone.agents_available, alone.agents_on_queue)  # no group speaks of agents


COUNTS = [
    *(datum("oWaiting", 3), datum("oInteracting", 2), datum("oAlerting", 1)),
    datum("oLongestWaiting", 1, calculatedMetricValue=1787230900000),
]
PLACED = [media("voice", *COUNTS), media("chat", *COUNTS), users(datum("oOnQueueUsers", 5, "IDLE"))]


@pytest.mark.parametrize(("own", "sums"), [(6, (6, 4, 2)), (3, (None, None, None)), (None, (6, 4, 2))])
def test_conversations_in_the_queues_own_group_are_the_sums_or_those_of_a_medium_that_is_not_named(
    own, sums
) -> None:
    both = one(*PLACED, users(datum("oWaiting", own)))
    assert sums == (both.waiting, both.interacting, both.alerting)
    assert (both.longest_wait_seconds is None) == (both.waiting is None)
    assert 5 == both.agents_available


@pytest.mark.parametrize("lost", [{}, {"queueId": None}, {"queueId": ""}, {"queueId": 7}, None, "x"])
@pytest.mark.parametrize("medium", ["voice", "email", None])
def test_a_group_that_names_no_queue_may_be_of_any_that_lacks_its_medium(lost, medium) -> None:
    """Never half a sum: of three media that two queues have, the lost group is the third of one of them."""
    key = {**lost, "mediaType": medium} if isinstance(lost, dict) and medium else lost
    whole = isinstance(key, dict) and key.get("mediaType") == "voice"
    queue = Queue(Q, wait_targets=(("voice", 1e9),))
    snapshot = snapshot_of(queue, {"group": key, "data": COUNTS}, *PLACED)
    sums = (snapshot.waiting, snapshot.interacting, snapshot.alerting)
    assert ((6, 4, 2), False) if whole else ((None,) * 3, None) == (sums, snapshot.over_target)
    assert whole == (snapshot.longest_wait_seconds is not None)
    assert (5, 3) == (snapshot.agents_available, snapshot.media["voice"].waiting)


def test_a_group_that_names_no_queue_and_counts_no_conversations_costs_nothing() -> None:
    for data in ([], None, [datum("oMemberUsers", 5)]):
        assert 6 == one({"group": {}, "data": data}, *PLACED).waiting


def test_a_group_that_cannot_be_used_costs_none_that_comes_after_it() -> None:
    nameless = {"group": {"mediaType": "voice"}, "data": [datum("oWaiting", 9)]}
    empty = {"group": {"queueId": OTHER, "mediaType": "voice"}, "data": []}
    without_stats = {"metric": "oWaiting"}
    answer = read(
        nameless,
        empty,
        media("voice", without_stats, datum("oInteracting", 2), datum("oWaiting", 3)),
        ids=(OTHER, "third", Q),
    )
    assert [(OTHER, NO_DATA), ("third", LEFT_OUT)] == [(queue.id, reason) for queue, reason in answer.missing]
    [snapshot] = answer.snapshots
    assert (Q, 1, 3, 2) == (snapshot.queue_id, snapshot.cycle, snapshot.waiting, snapshot.interacting)
    assert "2026-08-20T13:02:21.878Z" == snapshot.observed_at


INSTANTS = ("oLongestWaiting", "oLongestInteracting")
VALUES = st.dictionaries(
    st.sampled_from(["oWaiting", "oInteracting", "oAlerting", *INSTANTS, "oUnheardOf"]),
    st.integers(0, 9),
    min_size=1,
)
AGENTS = st.dictionaries(
    st.sampled_from(["oOnQueueUsers IDLE", "oOnQueueUsers ON_BREAK", "oUserRoutingStatuses OFF_QUEUE",
                     "oMemberUsers", "oActiveUsers", "oUnheardOf"]),
    st.integers(0, 9),
    min_size=1,
)  # fmt: skip


def said(name, number, kind=None):
    """A group with one value; an instant's number says how many seconds ago."""
    metric, _, qualifier = name.partition(" ")
    instant = {"calculatedMetricValue": (ARRIVED - number) * 1000 - 10} if metric in INSTANTS else {}
    value = datum(metric, 1 if instant else number, qualifier or None, **instant)
    return users(value) if kind is None else media(kind, value)


@given(
    st.dictionaries(st.sampled_from(["voice", "chat", "screenShare"]), VALUES, min_size=1),
    AGENTS,
    st.randoms(),
)
def test_however_the_values_are_spread_over_groups_the_line_is_the_same_and_its_sums_are_those_of_the_parts(
    counts, agents, random
) -> None:
    """Each value in a group of its own, after stale ones of the same name: the last stands, and counts once."""
    current = [said(name, number, kind) for kind, values in counts.items() for name, number in values.items()]
    current += [said(name, number) for name, number in agents.items()]
    random.shuffle(current)
    together = {}
    for group in current:
        kind = group["group"].get("mediaType")
        together.setdefault(kind, {**group, "data": []})["data"] += group["data"]
    whole = one(*together.values())
    stale = [json.loads(json.dumps(group)) for group in random.choices(current, k=3)]
    for group in stale:
        group["data"][0]["stats"]["count"] += random.randint(0, 5)
    assert whole == one(*stale, *current)
    for metric, field in (
        ("oWaiting", "waiting"),
        ("oInteracting", "interacting"),
        ("oAlerting", "alerting"),
    ):
        given_counts = [values[metric] for values in counts.values() if metric in values]
        assert (sum(given_counts) if given_counts else None) == getattr(whole, field)
    on_queue = sum(number for name, number in agents.items() if name.startswith("oOnQueueUsers"))
    assert (on_queue, agents.get("oMemberUsers")) == (whole.agents_on_queue, whole.members)
    for kind, values in counts.items():
        waits = "oLongestWaiting" in values and values.get("oWaiting") != 0
        expected = float(values["oLongestWaiting"]) if waits else UNSET
        assert expected == whole.media[media_name(kind)].longest_wait_seconds


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (("メール", "電話"), {"メール", "電話"}),
        (("web-chat", "webChat"), 2),
        (("VOICE", "voice"), 2),
        (("...", "---"), 2),
        (("x" * 300, "x" * 300 + "y"), 2),
    ],
)
def test_two_media_never_share_a_name_and_both_count(kinds, names) -> None:
    snapshot = one(media(kinds[0], datum("oWaiting", 6)), media(kinds[1], datum("oWaiting", 9)))
    assert 15 == snapshot.waiting
    assert names in {len(snapshot.media), frozenset(snapshot.media)}
    assert all(len(name) <= 64 for name in snapshot.media)


@given(
    st.sets(st.text(max_size=8) | st.from_regex(r"[a-zA-Z _-]{1,3}", fullmatch=True), min_size=1, max_size=12)
)
def test_every_name_of_the_api_has_a_name_of_its_own_and_every_count_is_in_the_sum(kinds) -> None:
    groups = [media(kind, datum("oWaiting", 2**place)) for place, kind in enumerate(kinds)]
    statuses = [datum("oOnQueueUsers", 2**place, kind) for place, kind in enumerate(kinds)]
    snapshot = one(users(*statuses), *groups)
    assert sorted(2**place for place in range(len(kinds))) == sorted(
        counts.waiting for counts in snapshot.media.values()
    )
    assert 2 ** len(kinds) - 1 == snapshot.waiting
    assert 2 ** len(kinds) - 1 == snapshot.agents_on_queue


def test_known_names_are_never_taken_by_others() -> None:
    names = OwnNames({"IDLE": "idle"})
    assert ["idle", "web_chat"] == [names("IDLE"), names("web-chat")]
    others = [names(name) for name in ("idle", "webChat", names("webChat"))]
    assert 5 == len({"idle", "web_chat", *others})
    assert others == [names(name) for name in ("idle", "webChat", others[1])], "a name stays"


def test_names_beyond_those_that_are_remembered_stay_apart() -> None:
    names = OwnNames({})
    assert 6000 == len({names(f"medium {number}") for number in range(6000)})


def test_duplicate_groups_count_once() -> None:
    group = media("voice", datum("oWaiting", 5))
    assert 5 == one(group, group).waiting
    split = one(media("voice", datum("oWaiting", 5)), media("voice", datum("oInteracting", 2)))
    assert (5, 2) == (split.waiting, split.interacting)


@pytest.mark.parametrize(
    "lie",
    ["null", "NaN", '"7"', "2.9", "-1", "true", "[]", "{}", "[7]", '{"value":7}', "1e999", "1e300", "9" * 31,
     f"{MOST + 1}"],
)  # fmt: skip
def test_a_count_that_is_no_count_is_null_never_0_and_costs_nothing_else(lie) -> None:
    raw = json.dumps({"results": [media("voice", datum("oWaiting", 111), datum("oInteracting", 2)),
                                  users(datum("oOnQueueUsers", 111, "IDLE"), datum("oMemberUsers", 9)),
                                  media("voice", datum("oWaiting", 6), queue=OTHER)]})  # fmt: skip
    answer = read(raw=raw.replace("111", lie).encode(), ids=(Q, OTHER))
    first, second = answer.snapshots
    assert (None, None) == (first.waiting, first.agents_available)
    assert (2, 9, 6) == (first.interacting, first.members, second.waiting)


def test_whole_floats_are_counts() -> None:
    assert 3 == one(media("voice", datum("oWaiting", 3.0))).waiting


NO_VALUES = [{"stats": {"count": "x"}}, {"stats": {}}, {"stats": None}, {}]
"""What may be beside the name of a metric whose value is not known."""


@pytest.mark.parametrize("value", NO_VALUES)
def test_agents_of_a_status_that_is_named_without_a_value_are_not_known(value) -> None:
    named = {"metric": "oOnQueueUsers", "qualifier": "IDLE", **value}
    away = {"metric": "oOffQueueUsers", "qualifier": "a-presence", **value}
    snapshot = one(users(named, away, datum("oOnQueueUsers", 2, "INTERACTING"), datum("oMemberUsers", 5)))
    assert (None, None, 5) == (snapshot.agents_available, snapshot.agents_on_queue, snapshot.members)
    assert (None, 2) == (snapshot.agents_by_status["idle"], snapshot.agents_by_status["interacting"])
    assert {"unknown": None} == snapshot.off_queue_by_presence


@pytest.mark.parametrize("value", NO_VALUES)
@pytest.mark.parametrize("lost", ["oWaiting", "oInteracting", "oAlerting"])
def test_a_sum_with_an_unreadable_part_is_not_shown_and_the_others_are(lost, value) -> None:
    counts = {"oWaiting": 4, "oInteracting": 5, "oAlerting": 6}
    snapshot = one(
        media("voice", {"metric": lost, **value}), media("chat", *(datum(*item) for item in counts.items()))
    )
    expected = {**counts, lost: None}
    assert [*expected.values()] == [snapshot.waiting, snapshot.interacting, snapshot.alerting]
    chat = snapshot.media["chat"]
    assert (4, 5, 6) == (chat.waiting, chat.interacting, chat.alerting)


WHOLE = [
    users(
        *(datum("oOnQueueUsers", 3, "IDLE"), datum("oOnQueueUsers", 2, "INTERACTING"), datum("oMemberUsers", 9)),
        *(datum("oUserRoutingStatuses", 4, "OFF_QUEUE"), datum("oActiveUsers", 8)),
    ),
    *(media(kind, datum("oWaiting", 4), datum("oInteracting", 5), datum("oAlerting", 6)) for kind in ("voice", "chat")),
]  # fmt: skip
KNOWN = to_builtins(one(*WHOLE))


@pytest.mark.parametrize(("path", "junk"), spoilt(WHOLE, keep=("queueId",), depth=2))
def test_what_cannot_be_read_never_becomes_a_zero_or_half_a_sum(path, junk) -> None:
    answer = read(*spoil(WHOLE, path, junk))
    assert answer.missing == []
    for name, value in to_builtins(answer.snapshots[0]).items():
        for part, count in value.items() if name == "agents_by_status" else [(None, value)]:
            true = KNOWN[name] if part is None else KNOWN[name][part]
            assert name == "media" or count in (None, true), (name, part)


@pytest.mark.parametrize(("count", "unsaid"), [(0, 0), (5, None), ("x", None)])
def test_agents_that_are_counted_without_a_status_may_have_any(count, unsaid) -> None:
    given = datum("oOnQueueUsers", 2, "IDLE"), datum("oOnQueueUsers", count)
    routing = datum("oUserRoutingStatuses", 3, "IDLE"), datum("oUserRoutingStatuses", count)
    snapshot = one(users(*given, *routing))
    assert (2, unsaid) == (snapshot.agents_available, snapshot.agents_by_status["communicating"])
    assert unsaid == snapshot.agents_by_status["off_queue"]


@pytest.mark.parametrize(
    ("seconds_ago", "age"), [(-0.04, "0.0"), (-9, "0.0"), (0.04, "0.0"), (0.5, "0.5"), (1, "1.0")]
)
def test_ages_have_one_decimal_and_no_sign(seconds_ago, age) -> None:
    began = (ARRIVED - seconds_ago) * 1000
    snapshot = one(
        media("voice", datum("oWaiting", 1), datum("oLongestWaiting", 1, calculatedMetricValue=began))
    )
    assert age == str(snapshot.longest_wait_seconds) == str(snapshot.media["voice"].longest_wait_seconds)


def test_values_without_stats_and_with_unasked_qualifiers_cost_no_other_value_of_the_agents() -> None:
    snapshot = one(
        users(
            {"metric": "oOnQueueUsers", "qualifier": "IDLE"},
            datum("oMemberUsers", 99, "ACTIVE"),
            datum("oMemberUsers", 5),
            datum("oOnQueueUsers", 2, "IDLE"),
        )
    )
    assert (5, 2) == (snapshot.members, snapshot.agents_available)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>busy</html>",
        b"null",
        b"[]",
        b'{"results":{},"groups":{}}',
        b'{"results":"x","groups":7}',
        b"\xff\xfe",
        b'{"resu',
    ],
)
@pytest.mark.parametrize("query", [OBSERVATIONS, DETAILS])
def test_what_is_no_answer_is_a_failure_that_can_be_retried(raw, query) -> None:
    with pytest.raises(Transient):
        read(raw=raw, query=query)


@pytest.mark.parametrize("raw", [b"{}", b'{"results":null,"groups":null}', b'{"message":"ok"}'])
@pytest.mark.parametrize("query", [OBSERVATIONS, DETAILS])
def test_an_object_without_results_says_nothing_of_the_queues_of_its_batch(raw, query) -> None:
    answer = read(raw=raw, query=query, ids=(Q, OTHER))
    assert ([], [(Q, LEFT_OUT), (OTHER, LEFT_OUT)]) == (
        answer.snapshots,
        [(queue.id, reason) for queue, reason in answer.missing],
    )


def test_ids_match_in_any_case() -> None:
    assert 2 == one(media("voice", datum("oWaiting", 2), queue=Q.upper())).waiting


def test_the_observations_body_is_the_published_one() -> None:
    body = json.loads(OBSERVATIONS.body([Q]))
    predicate = {"type": "dimension", "dimension": "queueId", "operator": "matches", "value": Q}
    assert {"filter": {"type": "or", "predicates": [predicate]}, "metrics": list(METRICS)} == body
    assert "detailMetrics" not in body


def test_the_details_body_is_the_tutorials() -> None:
    assert DETAILS.body([Q, OTHER]) == (
        '{"interval":"R/PT1M","metrics":["waiting","agentsAvailable"],'
        f'"entities":[{{"id":"{Q}","type":"queue"}},{{"id":"{OTHER}","type":"queue"}}],"groupBy":["queueId"]}}'
    )


def test_details_read_the_answer_that_the_tutorial_reads() -> None:
    """`groups[].entity.id`, and of its `entities` the last with its `metrics` and `intervalStart`."""
    tutorial = {
        "groups": [
            {
                "entity": {"id": "12345678-1234-1234-1234-123456789012", "type": "queue"},
                "entities": [
                    {
                        "intervalStart": "2026-11-24T03:59:00.000Z",
                        "metrics": {"waiting": 1, "agentsAvailable": 1},
                    },
                    {
                        "intervalStart": "2026-11-24T04:00:00.000Z",
                        "metrics": {"waiting": 7, "agentsAvailable": 3},
                    },
                ],
            }
        ]
    }
    ids = ("12345678-1234-1234-1234-123456789012", "87654321-4321-4321-4321-210987654321")
    answer = read(raw=json.dumps(tutorial).encode(), query=DETAILS, ids=ids)
    [snapshot] = answer.snapshots
    assert (ids[0], 7, 3) == (snapshot.queue_id, snapshot.waiting, snapshot.agents_available)
    assert (None, None, None) == (snapshot.media, snapshot.members, snapshot.longest_interaction_seconds)
    assert [(ids[1], LEFT_OUT)] == [(queue.id, reason) for queue, reason in answer.missing]


@pytest.mark.parametrize("entities", [[], None, [{"metrics": {}}], [{}], [{"metrics": None}]])
def test_details_without_metrics_are_missing(entities) -> None:
    raw = json.dumps({"groups": [{"entity": {"id": Q}, "entities": entities}]}).encode()
    answer = read(raw=raw, query=DETAILS, ids=(OTHER, Q))
    assert [(OTHER, LEFT_OUT), (Q, NO_DATA)] == [(queue.id, reason) for queue, reason in answer.missing]


@pytest.mark.parametrize("group", [{}, {"entity": None}, {"entity": {}}, {"entity": {"id": None}}])
def test_a_details_group_of_no_queue_costs_none_of_the_others(group) -> None:
    good = {"entity": {"id": Q}, "entities": [{"metrics": {"waiting": 3}}]}
    raw = json.dumps({"groups": [{**group, "entities": good["entities"]}, good]}).encode()
    assert 3 == one(raw=raw, query=DETAILS).waiting


def test_details_after_a_missing_queue_are_read_on() -> None:
    raw = json.dumps({"groups": [{"entity": {"id": Q}, "entities": [{"metrics": {"waiting": 0}}]}]}).encode()
    answer = read(raw=raw, query=DETAILS, ids=(OTHER, Q))
    [snapshot] = answer.snapshots
    assert (Q, 1, 0, None) == (snapshot.queue_id, snapshot.cycle, snapshot.waiting, snapshot.agents_available)
    assert "2026-08-20T13:02:21.878Z" == snapshot.observed_at


def test_details_with_a_lie_keep_the_other_number() -> None:
    entities = [{"metrics": {"waiting": "many", "agentsAvailable": 2}}]
    raw = json.dumps({"groups": [{"entity": {"id": Q}, "entities": entities}]}).encode()
    snapshot = one(raw=raw, query=DETAILS)
    assert (None, 2) == (snapshot.waiting, snapshot.agents_available)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def loosely(**fields):
    """Objects in which each of `fields` may be there, and may be of the right shape."""
    return st.fixed_dictionaries({}, optional={name: json_values | shape for name, shape in fields.items()})


loose_groups = loosely(
    group=loosely(queueId=st.just(Q), mediaType=st.text(max_size=5)),
    data=st.lists(
        loosely(
            metric=st.sampled_from(METRICS),
            qualifier=st.sampled_from(["IDLE", "OFF_QUEUE"]),
            stats=loosely(count=st.integers(), calculatedMetricValue=st.floats()),
        ),
        max_size=3,
    ),
)


@given(st.lists(loose_groups, max_size=4))
def test_whatever_the_groups_hold_each_queue_is_a_snapshot_or_missing(groups) -> None:
    answer = read(raw=json.dumps({"results": groups}).encode(), ids=(Q, OTHER))
    named = [s.queue_id for s in answer.snapshots] + [queue.id for queue, _ in answer.missing]
    assert sorted(named) == [Q, OTHER]
    for snapshot in answer.snapshots:
        assert snapshot.waiting is None or snapshot.waiting >= 0


@given(st.text(max_size=20))
def test_snake_names_are_lower_snake_case(name) -> None:
    assert snake(name) == snake(snake(name))
    assert snake(name)


@pytest.mark.parametrize("value", [b"[]", b"{}", b"0", b'""', b"[[]]"])
@pytest.mark.parametrize("query", [OBSERVATIONS, DETAILS])
def test_an_answer_of_more_values_than_any_question_needs_is_refused_before_they_are_made(
    value, query
) -> None:
    name = b"results" if query is OBSERVATIONS else b"groups"
    raw = b'{"' + name + b'":[' + b",".join([value] * 1_000_000) + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(Transient, match="more values"):
            read(raw=raw, query=query)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_full_answer_about_200_queues_has_room() -> None:
    kinds = ("voice", "callback", "chat", "email", "message", "video", "cobrowse", "internalmessage")
    ids = [f"e8963ace-0000-4000-8000-{n:012d}" for n in range(200)]
    groups = [
        media(kind, *(datum(metric, 1, calculatedMetricValue=1) for metric in METRICS[:5]), queue=queue)
        for queue in ids
        for kind in kinds
    ] + [
        users(*(datum(metric, 3, f"{n:036d}") for metric in METRICS[5:] for n in range(12)), queue=queue)
        for queue in ids
    ]
    raw = json.dumps({"results": groups}, indent=1).encode()
    assert 200 == len(read(raw=raw, ids=ids).snapshots)
