"""Conversation aggregates, over the wire: what is asked, what is refused, and the facts' form of an answer."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from http.client import HTTPException
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from simulator_client import NOON, OBSERVATIONS, STRANGER, Client, Clock, observation_query

from queuetick.simulator import Simulator
from queuetick.simulator.routes import STATS_PATH
from support.processes import until

MIDNIGHT = NOON - 43_200
MORNING = NOON - 7200
"""Two hours are replayed sooner than half a day."""
METRICS = [
    "nOffered",
    "tAnswered",
    "tAbandon",
    "tShortAbandon",
    "tFlowOut",
    "nOverSla",
    "oServiceLevel",
    "tWait",
    "nTransferred",
]


def interval(since: float, until: float, zone: Any = UTC) -> str:
    return "/".join(datetime.fromtimestamp(each, zone).isoformat() for each in (since, until))


def query(queue_ids: list[str], *, since: float = MORNING, until: float = NOON + 43_200) -> dict[str, Any]:
    """The request of docs/dev/api-facts.md, section 13."""
    predicates = [{"dimension": "queueId", "value": each} for each in queue_ids]
    return {
        "interval": interval(since, until),
        "groupBy": ["queueId", "mediaType"],
        "filter": {"type": "and", "clauses": [{"type": "or", "predicates": predicates}]},
        "metrics": METRICS,
    }


def groups(client: Client, body: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    """The stats of each group by metric; keys are the group's values in the order of groupBy."""
    reply = client.call("POST", STATS_PATH, body)
    assert reply.status == 200, reply.body
    return {
        tuple(each["group"][name] for name in body.get("groupBy", [])): {
            metric["metric"]: metric["stats"] for metric in each["data"][0]["metrics"]
        }
        for each in reply.json["results"]
    }


def test_the_days_numbers_are_there_at_once_and_equal_the_truth(simulator, client):
    """Group by group; a metric that did not occur is absent, a queue without contacts has no group."""
    found = groups(client, query(simulator.queue_ids, since=MIDNIGHT))
    truth = simulator.stats(MIDNIGHT)
    assert {(queue_id, media) for queue_id, each in truth.items() for media in each["media"]} == set(found)
    names = {"tAnswered": "answered", "tAbandon": "abandoned", "tShortAbandon": "abandoned_short"}
    for (queue_id, media), stats in found.items():
        true = truth[queue_id]["media"][media]
        assert stats["nOffered"] == {"count": true["offered"]}
        for metric, name in {**names, "tFlowOut": "flowed_out"}.items():
            assert stats.get(metric, {"count": 0})["count"] == true[name]
        assert stats.get("nTransferred", {"count": 0})["count"] == true["transferred"]
        assert stats.get("tAnswered", dict.fromkeys(("max", "min", "count", "sum"), 0)) == true["answer_ms"]
        assert stats.get("tWait", dict.fromkeys(("max", "min", "count", "sum"), 0)) == true["wait_ms"]
        assert all(each.get("count", 1) for each in stats.values()), "0 is absent"
    assert sum(each["offered"] for each in truth.values()) > 3000


def test_the_service_level_is_that_of_the_fixtures_and_has_the_listings_target(simulator, client):
    """(answered - nOverSla) / (answered + abandoned); absent where the queue has no whole target."""
    entities = client.call("GET", "/api/v2/routing/queues?pageSize=500").json["entities"]
    settings = {each["id"]: each.get("mediaSettings", {}) for each in entities}
    judged = 0
    for (queue_id, media), stats in groups(client, query(simulator.queue_ids)).items():
        name = "call" if media == "voice" else media
        target = settings[queue_id].get(name, {}).get("serviceLevel", {})
        level = stats.get("oServiceLevel")
        if set(target) != {"percentage", "durationMs"}:
            assert level is None
            assert "nOverSla" not in stats
            continue
        answered, abandoned = (stats.get(each, {"count": 0})["count"] for each in ("tAnswered", "tAbandon"))
        assert (level is None) is (answered + abandoned == 0)
        if level is not None:
            assert level["denominator"] == answered + abandoned
            assert level["numerator"] == answered - stats.get("nOverSla", {"count": 0})["count"]
            assert level["ratio"] == round(level["numerator"] / level["denominator"], 4)
            assert level["target"] == target["percentage"]
            judged += 1
    assert judged > 50


def test_offered_is_what_became_of_them_plus_who_waits_in_the_observations(simulator, client, clock):
    """Queue by queue, medium by medium, at instants across the turns of the simulator's own windows."""
    simulator.set_faults(rate_limit=0)
    for _ in range(12):
        clock.advance(437)
        pending: dict[tuple[str, str], int] = {}
        asked = observation_query(simulator.queue_ids, "oWaiting", "oAlerting")
        for group in client.call("POST", OBSERVATIONS, asked).json["results"]:
            key = (group["group"]["queueId"], group["group"]["mediaType"])
            pending[key] = sum(each["stats"]["count"] for each in group["data"])
        found = groups(client, query(simulator.queue_ids))
        for key, stats in found.items():
            gone = sum(
                stats.get(each, {"count": 0})["count"] for each in ("tAnswered", "tAbandon", "tFlowOut")
            )
            assert stats["nOffered"]["count"] - gone == pending[key]
        assert not any(count for key, count in pending.items() if key not in found)


def test_the_window_is_the_one_asked_for_in_whatever_offset(simulator, client):
    """The same instants written in other zones are the same question; a later start counts fewer contacts."""
    body = query(simulator.queue_ids)
    same = [
        groups(client, {**body, "interval": interval(MORNING, NOON + 43_200, zone)})
        for zone in (UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("America/New_York"))
    ]
    assert same[0] == same[1] == same[2]
    later = groups(client, query(simulator.queue_ids, since=NOON - 3600))
    assert (
        0
        < sum(each["nOffered"]["count"] for each in later.values())
        < sum(each["nOffered"]["count"] for each in same[0].values())
    )
    assert groups(client, query(simulator.queue_ids, since=NOON + 60, until=NOON + 7200)) == {}


def test_a_window_that_is_over_does_not_change_any_more(simulator, client, clock):
    body = query(simulator.queue_ids, since=MORNING, until=NOON - 3600)
    before = groups(client, body)
    clock.advance(5000)
    assert groups(client, body) == before


@pytest.mark.parametrize("group_by", [["queueId"], ["mediaType"], ["mediaType", "queueId"], []])
def test_groups_add_up_however_they_are_grouped(group_by, simulator, client):
    body = query(simulator.queue_ids)
    whole, grouped = groups(client, body), groups(client, {**body, "groupBy": group_by})
    assert len(next(iter(grouped))) == len(group_by)
    for metric in ("nOffered", "tAnswered", "tAbandon", "nOverSla"):
        counts = [
            sum(each.get(metric, {"count": 0})["count"] for each in found.values())
            for found in (whole, grouped)
        ]
        assert counts[0] == counts[1]
    longest = [
        max(each["tWait"]["max"] for each in found.values() if "tWait" in each) for found in (whole, grouped)
    ]
    assert longest[0] == longest[1]


def test_filters_choose_queues_media_and_direction_and_none_means_all(simulator, client):
    body = query(simulator.queue_ids)
    everything = groups(client, body)
    assert groups(client, {name: value for name, value in body.items() if name != "filter"}) == everything
    both = body["filter"]["clauses"]

    def with_clause(dimension: str, value: str) -> dict[Any, Any]:
        clause = {"type": "or", "predicates": [{"dimension": dimension, "value": value}]}
        return groups(client, {**body, "filter": {"type": "and", "clauses": [*both, clause]}})

    voice = {key: stats for key, stats in everything.items() if key[1] == "voice"}
    assert with_clause("mediaType", "voice") == voice
    assert with_clause("direction", "inbound") == everything
    assert with_clause("direction", "outbound") == {}


def test_a_medium_nobody_knows_has_its_own_group(simulator, client):
    simulator.set_faults(unknown_media="hologram")
    media = {key[1] for key in groups(client, query(simulator.queue_ids))}
    assert "hologram" in media
    assert "message" not in media
    assert "hologram" in {name for each in simulator.stats(MORNING).values() for name in each["media"]}


VALID = query([STRANGER])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"interval": None}, "constraint.validation"),
        ({"interval": "2025-11-25T00:00:00Z"}, "constraint.validation"),
        ({"interval": "today/tomorrow"}, "invalid.date"),
        ({"interval": "2025-11-25T00:00:00/2025-11-26T00:00:00"}, "invalid.date"),
        ({"interval": interval(NOON, MORNING)}, "invalid.date"),
        ({"interval": interval(NOON, NOON)}, "invalid.date"),
        ({"interval": interval(NOON, NOON + 8 * 86_400)}, "invalid.date"),
        ({"metrics": []}, "constraint.validation"),
        ({"metrics": ["oWaiting"]}, "invalid.value"),
        ({"groupBy": ["wrapUpCode"]}, "invalid.value"),
        ({"timeZone": "Mars/Olympus"}, "invalid.value"),
        ({"granularity": "PT30M"}, "invalid.value"),
        ({"filter": {"type": "or", "predicates": [{"dimension": "queueId", "value": "x"}]}}, "invalid.id"),
    ],
)
def test_a_query_that_makes_no_sense_is_a_400_with_its_code(changes, code, client):
    reply = client.call("POST", STATS_PATH, {**VALID, **changes})
    assert (reply.status, reply.json["code"]) == (400, code)


def test_200_queues_are_answered_and_201_refused(client):
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(201)]
    assert client.call("POST", STATS_PATH, query(ids[:200])).json == {"results": []}
    assert client.call("POST", STATS_PATH, query(ids)).status == 400


def test_it_has_a_permission_of_its_own_and_counts_against_the_tokens_limit(simulator, client):
    simulator.set_faults(denied_permissions=("analytics:conversationAggregate:view",))
    refused = client.call("POST", STATS_PATH, query(simulator.queue_ids))
    assert (refused.status, refused.json["code"]) == (403, "missing.any.permissions")
    assert "[analytics:conversationAggregate:view]" in refused.json["message"]
    assert client.observe(simulator.queue_ids).headers["inin-ratelimit-count"] == "2"
    assert simulator.requests[-2].queue_ids == ()


def test_its_faults_are_those_of_the_others(simulator, client):
    """Left out queues, bare groups, refused ids, its own 429."""
    first, second, third = simulator.queue_ids[:3]
    simulator.set_faults(missing_queues=(first,), queues_without_data=(second,), bad_ids=(third,))
    reply = client.call("POST", STATS_PATH, query([first, second])).json["results"]
    assert {each["group"]["queueId"] for each in reply} == {second}
    assert not any("data" in each for each in reply)
    assert client.call("POST", STATS_PATH, query([third])).status == 400
    simulator.set_faults(named=["stats_429"])
    assert client.call("POST", STATS_PATH, query([second])).headers["Retry-After"] == "60"
    assert client.observe([second]).status == 200


def test_the_control_address_tells_the_days_truth(simulator, client):
    told = client.control("GET", f"/stats?since={MORNING}").json
    assert told == simulator.stats(MORNING)
    assert client.control("GET", "/stats").status == 400


def test_a_day_of_many_queues_holds_up_neither_other_requests_nor_the_stop():
    """The replay of a week takes seconds; observations are answered meanwhile, and the stop ends it."""
    simulator = Simulator(queues=100, clock=Clock())
    simulator.start()
    try:
        client = Client(simulator)
        body = query(simulator.queue_ids, since=NOON - 6.9 * 86_400, until=NOON)
        pool = ThreadPoolExecutor(1)
        week = pool.submit(client.call, "POST", STATS_PATH, body, 60.0)
        until(lambda: simulator.queues[0].accounts, 20.0)
        began = time.monotonic()
        assert client.observe(simulator.queue_ids[:20]).status == 200
        answered = time.monotonic() - began
        assert not week.done()
        began = time.monotonic()
    finally:
        simulator.stop()
    stopped = time.monotonic() - began
    # The connection ends, with an answer or without one.
    assert isinstance(week.exception(), ConnectionError | HTTPException) or week.result().status == 503
    assert answered < 2.0
    assert stopped < 3.0
