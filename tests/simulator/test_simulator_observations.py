"""The observation and details contracts of docs/dev/api-facts.md, over the wire."""

from collections import Counter
from typing import Any

import pytest
from simulator_client import DETAILS, NOON, OBSERVATIONS, STRANGER, groups, observation_query

from queuetick.simulator.queries import METRICS


def test_each_queue_has_a_group_of_its_own_and_one_per_medium(simulator, client):
    """Empty ones too; `video` with oInteracting only."""
    queue_id = simulator.queue_ids[0]
    found = groups(client.observe([queue_id], *METRICS))
    assert [each["group"].get("mediaType") for each in found] == [
        None,
        "voice",
        "callback",
        "chat",
        "email",
        "message",
        "video",
    ]
    assert {each["group"]["queueId"] for each in found} == {queue_id}
    assert found[-1]["data"] == [{"metric": "oInteracting", "stats": {"count": 0}}]


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_only_the_metric_asked_for_is_answered(metric, simulator, client):
    found = groups(client.observe(simulator.queue_ids, metric))
    assert {each["metric"] for group in found for each in group["data"]} == {metric}


def test_the_oldest_wait_is_an_instant_and_absent_where_nobody_waits(simulator, client):
    found = groups(client.observe(simulator.queue_ids, "oWaiting", "oLongestWaiting"))
    waits = 0
    for group in found:
        data = {each["metric"]: each["stats"] for each in group["data"]}
        if data["oWaiting"]["count"]:
            waits += 1
            assert data["oLongestWaiting"]["count"] == 1
            assert (NOON - 7200) * 1000 < data["oLongestWaiting"]["calculatedMetricValue"] <= NOON * 1000
        else:
            assert "oLongestWaiting" not in data
    assert waits > 3


def test_presence_mappings_come_with_presence_metrics_only(simulator, client):
    asked = client.observe(simulator.queue_ids[:1], "oUserPresences").json
    mappings = asked["systemToOrganizationMappings"]
    assert {name: len(ids) for name, ids in mappings.items() if len(ids) > 1} == {"MEAL": 2, "BREAK": 2}
    assert "systemToOrganizationMappings" not in client.observe(simulator.queue_ids[:1], "oWaiting").json


def test_off_queue_presences_mapped_to_system_presences_are_the_truth(simulator, client):
    """Several ids of one system presence are added up; an id in no mapping is unknown, and does occur."""
    asked = client.observe(simulator.queue_ids, "oOffQueueUsers").json
    systems = {
        presence_id: system.lower()
        for system, ids in asked["systemToOrganizationMappings"].items()
        for presence_id in ids
    }
    truth, seen = simulator.truth(), set()
    for group in asked["results"]:
        counts: Counter[str] = Counter()
        for each in group["data"]:
            counts[systems.get(each["qualifier"], "unknown")] += each["stats"]["count"]
        true = truth[group["group"]["queueId"]]
        assert counts == true["off_queue_by_presence"]
        assert counts.total() == true["agents_by_status"]["off_queue"]
        seen |= set(counts)
    assert {"unknown", "meal", "meeting", "training", "away", "offline"} <= seen


def test_detail_metrics_are_accepted_and_give_nobody_away(simulator, client):
    query = observation_query(simulator.queue_ids) | {"detailMetrics": ["oWaiting"]}
    assert "observations" not in str(groups(client.call("POST", OBSERVATIONS, query)))


def matches(dimension: str, value: str) -> dict[str, str]:
    return {"type": "dimension", "dimension": dimension, "operator": "matches", "value": value}


def any_of(*predicates: dict[str, str]) -> dict[str, Any]:
    return {"type": "or", "predicates": list(predicates)}


def all_of(*clauses: dict[str, Any]) -> dict[str, Any]:
    return {"type": "and", "clauses": list(clauses)}


def test_a_media_clause_keeps_the_other_media_out(simulator, client):
    first, second = simulator.queue_ids[:2]
    queues = any_of(matches("queueId", first), matches("queueId", second))
    query = {
        "filter": all_of(queues, any_of(matches("mediaType", "voice"))),
        "metrics": ["oWaiting", "oMemberUsers"],
    }
    found = groups(client.call("POST", OBSERVATIONS, query))
    assert [(each["group"]["queueId"], each["group"].get("mediaType")) for each in found] == [
        (first, None),
        (first, "voice"),
        (second, None),
        (second, "voice"),
    ]


def test_exists_and_not_exists_tell_media_groups_from_the_queues_own(simulator, client):
    def kinds(operator: str) -> set[str | None]:
        media = {"dimension": "mediaType", "operator": operator}
        query = {
            "filter": all_of(any_of(matches("queueId", simulator.queue_ids[0])), any_of(media)),
            "metrics": ["oWaiting", "oMemberUsers"],
        }
        return {each["group"].get("mediaType") for each in groups(client.call("POST", OBSERVATIONS, query))}

    assert kinds("notExists") == {None}
    assert kinds("exists") == {"voice", "callback", "chat", "email", "message"}


def test_no_queue_is_two_queues_at_once(simulator, client):
    both = {"type": "and", "predicates": [matches("queueId", each) for each in simulator.queue_ids[:2]]}
    assert groups(client.call("POST", OBSERVATIONS, {"filter": both, "metrics": ["oWaiting"]})) == []


def test_200_predicates_are_answered_and_201_refused(client):
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(201)]
    assert client.observe(ids[:200]).status == 200
    assert client.observe(ids).status == 400


VALID = {"filter": any_of(matches("queueId", STRANGER)), "metrics": ["oWaiting"]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({**VALID, "filter": any_of(matches("queueId", "support"))}, "invalid.id"),
        ({**VALID, "metrics": ["oServiceLevel"]}, "invalid.value"),
        ({**VALID, "metrics": [{}]}, "invalid.value"),
        ({**VALID, "metrics": []}, "constraint.validation"),
        ({"filter": VALID["filter"]}, "constraint.validation"),
        ({"metrics": ["oWaiting"]}, "constraint.validation"),
        ({**VALID, "filter": {"type": "or"}}, "constraint.validation"),
        ({**VALID, "filter": any_of(matches("mediaType", "voice"))}, "constraint.validation"),
        ({**VALID, "filter": any_of(matches("divisionId", STRANGER))}, "invalid.value"),
        ({**VALID, "filter": any_of({**matches("queueId", STRANGER), "operator": "like"})}, "invalid.value"),
        ({**VALID, "filter": {"type": "xor", "predicates": [matches("queueId", STRANGER)]}}, "invalid.value"),
        ({**VALID, "filter": all_of(all_of(any_of(matches("queueId", STRANGER))))}, "bad.request"),
        ({**VALID, "detailMetrics": ["oLongestWaiting"]}, "invalid.value"),
        ([], "bad.request"),
        (b"{", "bad.request"),
        (b"[" * 100_000, "bad.request"),
    ],
)
def test_a_query_that_makes_no_sense_is_a_400_with_its_code(query, code, client):
    reply = client.call("POST", OBSERVATIONS, query)
    assert (reply.status, reply.json["code"]) == (400, code)


@pytest.mark.parametrize(
    ("form", "status", "strangers"), [("absent", 200, 0), ("no_data", 200, 1), ("bad_request", 400, 0)]
)
def test_an_id_nobody_has_is_answered_as_told(form, status, strangers, simulator, client):
    simulator.set_faults(unknown_queue=form)
    reply = client.observe([simulator.queue_ids[0], STRANGER])
    assert reply.status == status
    bare = {"group": {"queueId": STRANGER}}
    assert reply.json.get("results", []).count(bare) == strangers
    assert (STRANGER in reply.body.decode()) == (form != "absent")


def test_the_answers_of_every_instant_equal_the_truth(simulator, client, clock):
    simulator.set_faults(rate_limit=0)
    for _ in range(40):
        clock.advance(15)
        waiting = dict.fromkeys(simulator.queue_ids, 0)
        for group in groups(client.observe(simulator.queue_ids)):
            waiting[group["group"]["queueId"]] += group["data"][0]["stats"]["count"]
        assert waiting == {queue_id: each["waiting"] for queue_id, each in simulator.truth().items()}


# --- details ---


def details_query(queue_ids: list[str]) -> dict[str, Any]:
    return {
        "interval": "R/PT1M",
        "metrics": ["waiting", "agentsAvailable"],
        "entities": [{"id": each, "type": "queue"} for each in queue_ids],
        "groupBy": ["queueId"],
    }


def test_details_end_with_the_present_minute(simulator, client, clock):
    """The last entry is now; the one before is what was so when the minute began."""
    clock.advance(35)
    found = client.call("POST", DETAILS, details_query(simulator.queue_ids)).json["groups"]
    truth, before = simulator.truth(), simulator.truth(NOON)
    assert [each["entity"] for each in found] == [
        {"id": each, "type": "queue"} for each in simulator.queue_ids
    ]
    for group in found:
        true, past = truth[group["entity"]["id"]], before[group["entity"]["id"]]
        assert [each["metrics"] for each in group["entities"]] == [
            {"waiting": numbers["waiting"], "agentsAvailable": numbers["agents_available"]}
            for numbers in (past, true)
        ]
    assert [each["intervalStart"] for each in found[0]["entities"]] == [
        "2025-11-25T11:59:00.000Z",
        "2025-11-25T12:00:00.000Z",
    ]


TUTORIAL = """{
  "interval": "R/PT1M",
  "metrics": [
    "waiting",
    "agentsAvailable"
  ],
  "entities": [
    {
      "id": "your-queue-id-here",
      "type": "queue"
    }
  ],
  "groupBy": ["queueId"]
}"""


def test_the_tutorials_own_example_is_answered_as_its_own_code_reads_it(simulator, client):
    """The body is the tutorial's text with an id filled in; what follows is its parse_queue_metrics."""
    queue_id = simulator.queue_ids[0]
    response = client.call("POST", DETAILS, TUTORIAL.replace("your-queue-id-here", queue_id).encode()).json
    (group,) = response["groups"]
    latest = group["entities"][-1]
    true = simulator.truth()[queue_id]
    assert group["entity"]["id"] == queue_id
    assert latest["metrics"] == {"waiting": true["waiting"], "agentsAvailable": true["agents_available"]}
    assert latest["intervalStart"] == "2025-11-25T12:00:00.000Z"


ENTITY = {"id": STRANGER, "type": "queue"}
ABSENT = object()


@pytest.mark.parametrize(
    "changes",
    [
        {"interval": "R/PT5M"},
        {"interval": None},
        {"metrics": ["oWaiting"]},
        {"metrics": ["waiting"]},
        {"metrics": ["agentsAvailable", "waiting"]},
        {"metrics": []},
        {"entities": []},
        {"entities": [STRANGER]},
        {"entities": [{"id": STRANGER}]},
        {"entities": [{**ENTITY, "type": "user"}]},
        {"entities": [{**ENTITY, "name": "x"}]},
        {"entities": [{**ENTITY, "id": "x"}]},
        {"entities": [ENTITY] * 201},
        {"groupBy": []},
        {"groupBy": ["queue"]},
        {"groupBy": ["mediaType"]},
        {"groupBy": ["queueId", "mediaType"]},
        {"filter": {}},
        *({name: ABSENT} for name in ("interval", "metrics", "entities", "groupBy")),
    ],
)
def test_details_that_differ_from_the_tutorial_are_a_genuine_400(changes, client):
    query = details_query([STRANGER]) | changes
    reply = client.call("POST", DETAILS, {key: value for key, value in query.items() if value is not ABSENT})
    assert reply.status == reply.json["status"] == 400
    assert reply.json["contextId"] == reply.headers["ININ-Correlation-Id"]
