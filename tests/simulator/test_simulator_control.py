"""The control address: faults at run time, truth, the log, queues; and nobody else gets there."""

import json

from simulator_client import NOON, exchange

from queuetick.simulator import Faults


def test_faults_are_read_replaced_and_changed_at_run_time(simulator, client):
    assert client.control("GET", "/faults").json == Faults().as_mapping()
    client.control("PUT", "/faults", {"status": {"503": 1.0}, "rate_limit": 7})
    assert client.observe(simulator.queue_ids).status == 503
    assert client.control("PATCH", "/faults", {"status": {}}).json["rate_limit"] == 7
    assert client.observe(simulator.queue_ids).status == 200
    client.control("PUT", "/faults", {})
    assert simulator.faults == Faults()


def test_an_unknown_fault_at_run_time_changes_nothing(simulator, client):
    refused = client.control("PATCH", "/faults", {"resett": 0.5, "rate_limit": 1})
    assert refused.status == 400
    assert "did you mean reset?" in refused.json["error"]
    assert simulator.faults == Faults()


def test_reset_takes_everything_back_to_the_start(simulator, client):
    ids = simulator.queue_ids
    client.control("POST", "/queues", {"name": "Neu"})
    client.control("DELETE", f"/queues/{ids[0]}")
    client.control("PATCH", f"/queues/{ids[1]}", {"name": "Anders"})
    assert client.control("GET", "/queues").json["queues"][0]["name"] == "Anders"
    client.control("PUT", "/faults", {"hang": 0.5})
    client.control("POST", "/reset")
    assert simulator.queue_ids == ids
    assert simulator.faults == Faults()
    assert simulator.requests == []
    assert client.observe(ids).status == 401, "tokens are gone too"


def test_the_control_address_tells_truth_and_log_and_revokes(simulator, client):
    client.observe(simulator.queue_ids)
    assert client.control("GET", "/truth").json == json.loads(json.dumps(simulator.truth()))
    assert client.control("GET", f"/truth?at={NOON - 3600}").json == json.loads(
        json.dumps(simulator.truth(NOON - 3600))
    )
    assert [each["status"] for each in client.control("GET", "/requests").json["requests"]] == [200, 200]
    assert client.control("POST", "/revoke").json == {"revoked": 1}
    assert client.observe(simulator.queue_ids).status == 401


def test_what_the_control_address_does_not_understand_it_says(simulator, client):
    assert "GET /faults" in client.control("GET", "/fault").json["routes"]
    assert client.control("DELETE", "/queues/nobody").status == 404
    assert client.control("PUT", "/faults", [1]).status == 400
    assert exchange(simulator.control_url, "PUT", "/faults", b"{").status == 400
    assert client.control("GET", "/truth?at=noon").status == 400


def test_no_client_of_the_api_reaches_the_controls(simulator, client):
    assert client.call("GET", "/faults").status == 404
    assert exchange(simulator.control_url, "POST", "/oauth/token", b"x=1").status == 400
