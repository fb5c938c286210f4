"""Pages of queues, error envelopes and the log, over the wire."""

from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest
from simulator_client import NOON, OBSERVATIONS, QUEUES, STRANGER, Client, Clock, exchange

from queuetick.simulator import Faults, Simulator


def test_pages_are_25_by_default_and_lead_to_every_queue(simulator, client):
    page = client.call("GET", QUEUES).json
    assert (page["pageSize"], page["pageNumber"], page["total"], page["pageCount"]) == (25, 1, 45, 2)
    assert "previousUri" not in page
    following = client.call("GET", page["nextUri"]).json
    assert "nextUri" not in following
    listed = page["entities"] + following["entities"]
    assert {each["id"] for each in listed} == set(simulator.queue_ids)
    names = [each["name"].casefold() for each in listed]
    assert names == sorted(names)
    truth = simulator.truth()
    assert all(each["memberCount"] == truth[each["id"]]["members"] for each in listed)
    assert all(each["joinedMemberCount"] == truth[each["id"]]["joined"] for each in listed)


def test_the_listing_carries_the_service_level_of_each_medium_where_the_queue_has_one():
    """Under `call` for voice; some queues have none, some media lack it or a part of it."""
    with Simulator(queues=300, clock=Clock()) as simulator:
        entities = Client(simulator).call("GET", f"{QUEUES}?pageSize=500").json["entities"]
        truth = simulator.truth()
    shapes = set()
    for entity in entities:
        settings = entity.get("mediaSettings", {})
        assert set(settings) <= {"call", "callback", "chat", "email", "message"}
        for key, each in settings.items():
            level = each.get("serviceLevel", {})
            shapes.add(tuple(sorted(level)))
            assert 0 < level.get("percentage", 0.5) < 1
            media = truth[entity["id"]]["media"]["voice" if key == "call" else key]
            assert media["wait_target_ms"] == level.get("durationMs")
    assert shapes == {("durationMs", "percentage"), ("durationMs",), ("percentage",), ()}
    assert 0 < sum("mediaSettings" not in entity for entity in entities) < 40


def test_a_larger_page_is_cut_to_500_without_a_word():
    with Simulator(queues=501, clock=Clock()) as simulator:
        client = Client(simulator)
        page = client.call("GET", f"{QUEUES}?pageSize=9999").json
        assert (page["pageSize"], len(page["entities"]), page["pageCount"]) == (500, 500, 2)
        assert client.call("GET", f"{QUEUES}/divisionviews?pageSize=9999").json["pageSize"] == 100
        assert client.call("GET", f"{QUEUES}/divisionviews/all?pageSize=9999").json["pageSize"] == 500


def test_queues_are_found_by_name_division_and_id(simulator, client):
    simulator.add_queue("Support Lyon")

    def found(query: str) -> set[str]:
        return {
            each["name"] for each in client.call("GET", f"{QUEUES}?pageSize=500&{query}").json["entities"]
        }

    assert found("name=support*") == {
        queue.name for queue in simulator.queues if queue.name.lower().startswith("support")
    }
    assert found("name=*LYON") == {"Support Lyon"}
    assert found("name=lyon") == set()
    first, second = simulator.queues[:2]
    assert (
        found(f"id={first.id}&id={second.id}")
        == found(f"id={first.id},{second.id}")
        == {first.name, second.name}
    )
    assert found(f"divisionId={first.division_id}") == {
        queue.name for queue in simulator.queues if queue.division_id == first.division_id
    }


@pytest.mark.parametrize(
    "query", ["?pageSize=0", "?pageNumber=x", "?sortOrder=sideways", "/divisionviews?pageNumber=6"]
)
def test_a_parameter_out_of_range_is_a_400(query, client):
    reply = client.call("GET", f"{QUEUES}{query}")
    assert (reply.status, reply.json["code"]) == (400, "invalid.query.param.value")


def test_one_queue_is_read_by_its_id(simulator, client):
    queue = simulator.queues[3]
    listed = client.call("GET", f"{QUEUES}?id={queue.id}").json["entities"]
    assert [client.call("GET", f"{QUEUES}/{queue.id}").json] == listed
    assert client.call("GET", f"{QUEUES}/{STRANGER}").json["code"] == "not.found"
    assert client.call("GET", f"{QUEUES}/support").json["code"] == "invalid.id"


def test_queues_added_renamed_and_removed_show_in_the_listing(simulator, client):
    added = simulator.add_queue("Neu")
    simulator.rename_queue(simulator.queue_ids[0], "Alt")
    simulator.remove_queue(gone := simulator.queue_ids[1])
    names = {
        each["id"]: each["name"] for each in client.call("GET", f"{QUEUES}?pageSize=100").json["entities"]
    }
    assert names[added.id] == "Neu"
    assert names[simulator.queue_ids[0]] == "Alt"
    assert gone not in names
    assert gone not in client.observe([gone]).body.decode()
    assert added.id in client.observe([added.id]).body.decode()


# --- errors ---


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "authentication.required"),
        ("Basic eDp5", "authentication.required"),
        ("Bearer nonsense", "bad.credentials"),
    ],
)
def test_without_a_good_token_there_is_a_401_that_says_why(authorization, code, simulator):
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = exchange(simulator.url, "GET", QUEUES, None, headers)
    assert (reply.status, reply.json["code"]) == (401, code)


def test_a_permission_taken_away_is_a_403_that_names_it(simulator, client):
    simulator.set_faults(denied_permissions=("analytics:queueObservation:view",))
    refused = client.observe(simulator.queue_ids)
    assert (refused.status, refused.json["code"]) == (403, "missing.any.permissions")
    assert "[analytics:queueObservation:view]" in refused.json["message"]
    assert client.call("GET", QUEUES).status == 200


def test_paths_methods_sizes_and_types_that_do_not_fit(client):
    assert client.call("GET", "/api/v2/users").json["code"] == "not.found"
    assert client.call("GET", OBSERVATIONS).status == 405
    assert client.call("POST", OBSERVATIONS, b" " * 512_001).status == 413
    text = {"Authorization": f"Bearer {client.token}", "Content-Type": "text/plain"}
    assert exchange(client.simulator.url, "POST", OBSERVATIONS, b"{}", text).status == 415


def test_every_answer_carries_a_correlation_id_and_errors_repeat_it(simulator, client):
    replies = [client.observe(simulator.queue_ids), client.call("GET", "/nowhere"), client.login()]
    ids = [each.headers["ININ-Correlation-Id"] for each in replies]
    assert len(set(ids)) == 3
    assert replies[1].json["contextId"] == ids[1]
    assert ids == [each.correlation_id for each in simulator.requests[-3:]]


def test_the_date_header_is_the_simulators_clock(simulator, client):
    def date() -> float:
        return parsedate_to_datetime(client.observe(simulator.queue_ids).headers["Date"]).timestamp()

    assert date() == NOON
    simulator.set_faults(clock_skew=-90.0)
    assert date() == NOON - 90


def test_the_log_says_what_was_asked_and_answered(simulator, client):
    simulator.faults = replace(Faults(), script=("ok", "503"))
    client.observe(simulator.queue_ids[:7])
    client.observe(simulator.queue_ids[:7])
    login, good, bad = simulator.requests
    assert (login.method, login.path, login.status, login.queue_count) == ("POST", "/oauth/token", 200, 0)
    assert (good.time, good.path, good.status, good.fault) == (NOON, OBSERVATIONS, 200, None)
    assert good.queue_ids == tuple(simulator.queue_ids[:7])
    assert (bad.status, bad.fault) == (503, "503")
