"""Every fault by its name: it does what docs/simulator.md says, when asked, and never unasked."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import fields, replace
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest
from simulator_client import NOON, OBSERVATIONS, Client, observation_query

from queuetick.simulator import Faults, Rule, Simulator, UnknownFaultError
from queuetick.simulator.api import Api, Request
from queuetick.simulator.contact_centre import ContactCentre
from queuetick.simulator.faults import ANSWER_FAULTS
from queuetick.simulator.named_faults import NAMED
from support.processes import until

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"


def scripted(simulator: Simulator, client: Client, *script: str, timeout: float = 10.0) -> Any:
    simulator.faults = replace(simulator.faults, script=script)
    return client.observe(simulator.queue_ids, "oWaiting", "oOnQueueUsers", timeout=timeout)


# --- answers ---


@pytest.mark.parametrize("status", [400, 408, 413, 500, 501, 502, 503, 504])
def test_a_status_comes_in_the_error_envelope(status, simulator, client):
    simulator.set_faults(status={status: 1.0}, status_retry_after=9.0)
    reply = client.observe(simulator.queue_ids)
    assert reply.status == reply.json["status"] == status
    assert reply.json["contextId"] == reply.headers["ININ-Correlation-Id"]
    assert reply.headers["Retry-After"] == ("9" if status in (502, 503, 504) else None)


def test_a_429_out_of_the_blue_says_how_long(simulator, client):
    simulator.set_faults(status={429: 1.0}, status_retry_after=7.0)
    reply = client.observe(simulator.queue_ids)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    assert "[7] seconds" in reply.json["message"]


def test_html_is_a_200_that_is_no_json(simulator, client):
    reply = scripted(simulator, client, "html")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")
    assert reply.body.startswith(b"<!DOCTYPE html>")


def test_a_wrong_content_type_labels_good_json(simulator, client):
    reply = scripted(simulator, client, "wrong_content_type")
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.json["results"]


def test_garbage_is_labelled_json_and_is_none(simulator, client):
    for _ in range(12):
        reply = scripted(simulator, client, "garbage")
        assert reply.headers["Content-Type"] == "application/json"
        with pytest.raises(ValueError, match=r"Expecting|can't decode|Unterminated"):
            json.loads(reply.body)


def test_nan_stands_where_counts_were(simulator, client):
    body = scripted(simulator, client, "nan").body
    assert b'"count":NaN' in body
    assert b'"count":-Infinity' in body


def test_wrong_types_are_valid_json_with_counts_of_every_kind(simulator, client):
    results = scripted(simulator, client, "wrong_types").json["results"]
    kinds = {type(each["stats"]["count"]) for group in results for each in group["data"]}
    assert {str, type(None), list, bool, dict, float} <= kinds


def test_no_results_is_valid_json_without_any(simulator, client):
    for _ in range(8):
        body = scripted(simulator, client, "no_results").json
        assert not (isinstance(body, dict) and body.get("results"))


def test_duplicate_groups_come_twice(simulator, client):
    groups = Counter(
        (each["group"]["queueId"], each["group"].get("mediaType"))
        for each in scripted(simulator, client, "duplicate_groups").json["results"]
    )
    assert set(groups.values()) == {2}


def test_a_shuffled_answer_says_the_same_in_another_order(simulator, client):
    def groups(reply: Any) -> list[str]:
        return [json.dumps({**each, "data": sorted(each["data"], key=str)}) for each in reply.json["results"]]

    plain, shuffled = (
        groups(scripted(simulator, client, "ok")),
        groups(scripted(simulator, client, "shuffle")),
    )
    assert shuffled != plain
    assert sorted(shuffled) == sorted(plain)


def test_a_huge_body_is_as_huge_as_asked_and_still_json(simulator, client):
    simulator.set_faults(huge_body_bytes=3_000_000)
    reply = scripted(simulator, client, "huge_body")
    assert len(reply.body) == 3_000_000
    assert reply.json["results"]


def test_a_revoked_token_is_a_401_until_the_next_login(simulator, client):
    assert scripted(simulator, client, "revoke").status == 401
    assert client.observe(simulator.queue_ids).status == 401
    assert Client(simulator).observe(simulator.queue_ids).status == 200


# --- the connection ---


def test_reset_is_a_reset(simulator, client):
    with pytest.raises(ConnectionResetError):
        scripted(simulator, client, "reset")


def test_half_an_answer_promises_more_than_it_brings(simulator, client):
    with pytest.raises(IncompleteRead) as cut:
        scripted(simulator, client, "half_answer")
    assert len(cut.value.partial) > 100


def test_hang_never_answers_and_does_not_hold_up_the_stop(clock):
    with Simulator(queues=3, clock=clock) as simulator:
        with pytest.raises(TimeoutError):
            scripted(simulator, Client(simulator), "hang", timeout=0.2)
        assert simulator.requests[-1].fault == "hang"
        before = time.monotonic()
    assert time.monotonic() - before < 5


def test_a_hung_request_is_let_go_when_the_client_has_gone(clock):
    with Simulator(queues=3, clock=clock) as simulator:
        client = Client(simulator)
        idle = len(asyncio.all_tasks(simulator._loop))
        for _ in range(3):
            with pytest.raises(TimeoutError):
                scripted(simulator, client, "hang", timeout=0.1)
        until(lambda: len(asyncio.all_tasks(simulator._loop)) <= idle, 10, "the hung requests to end")


def test_latency_is_real_time_under_a_clock_that_stands_still(simulator, client):
    simulator.set_faults(latency=0.15)
    before = time.monotonic()
    assert client.observe(simulator.queue_ids).status == 200
    assert time.monotonic() - before >= 0.15


# --- queues ---


def answered(simulator: Simulator, client: Client) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in client.observe(simulator.queue_ids).json["results"]:
        found.setdefault(each["group"]["queueId"], []).append(each)
    return found


def test_missing_queues_are_those_named_or_the_same_share_always(simulator, client):
    named = simulator.queue_ids[3]
    simulator.set_faults(missing_queues=(named,))
    assert set(simulator.queue_ids) - set(answered(simulator, client)) == {named}
    simulator.set_faults(missing_queues=0.3)
    left = set(answered(simulator, client))
    assert 20 < len(left) < 45
    assert set(answered(simulator, client)) == left


def test_queues_without_data_come_as_bare_groups(simulator, client):
    bare = simulator.queue_ids[5]
    simulator.set_faults(queues_without_data=(bare,))
    found = answered(simulator, client)
    assert found[bare] == [{"group": {"queueId": bare}}]
    assert all("data" in group for queue_id, groups in found.items() if queue_id != bare for group in groups)


def test_one_bad_id_costs_the_whole_request(simulator, client):
    bad, good = simulator.queue_ids[:2]
    simulator.set_faults(bad_ids=(bad,))
    assert client.observe([bad, good]).status == 400
    assert client.observe([good]).status == 200


def test_an_unknown_medium_takes_the_messages_in_the_answer_and_in_the_truth(clock):
    with Simulator(queues=200, clock=clock, faults=Faults(unknown_media="hologram")) as simulator:
        client = Client(simulator)
        reply = client.observe(simulator.queue_ids[:200], "oInteracting").json["results"]
        truth = simulator.truth()
        counted = 0
        for each in reply:
            if each["group"].get("mediaType") == "hologram":
                count = each["data"][0]["stats"]["count"]
                assert count == truth[each["group"]["queueId"]]["media"]["hologram"]["interacting"]
                counted += count
        assert counted > 0
        assert "message" not in {each["group"].get("mediaType") for each in reply}


# --- logging in ---


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_login_can_fail_with_a_status(status, simulator, client):
    simulator.set_faults(login_status={status: 1.0}, login_retry_after=11.0)
    reply = client.login()
    assert reply.status == status
    assert reply.headers["Retry-After"] == (None if status == 500 else "11")
    assert client.observe(simulator.queue_ids).status == 200


def test_a_login_can_be_html_tokenless_late_or_cut(simulator, client):
    simulator.set_faults(login_html=1.0)
    assert client.login().headers["Content-Type"] == "text/html"
    simulator.set_faults(login_html=0.0, login_garbage=1.0)
    assert "access_token" not in client.login().json
    simulator.set_faults(login_garbage=0.0, login_reset=1.0)
    with pytest.raises(ConnectionResetError):
        client.login()
    simulator.set_faults(login_reset=0.0, login_latency=0.1)
    before = time.monotonic()
    assert client.login().status == 200
    assert time.monotonic() - before >= 0.1


def test_the_stated_lifetime_may_be_a_lie(simulator, client, clock):
    simulator.set_faults(token_lifetime=100.0, stated_lifetime=86400.0)
    assert client.login().json["expires_in"] == 86400
    clock.advance(100)
    assert client.observe(simulator.queue_ids).status == 401


# --- chance ---


def faults_met(seed: int, faults: Faults, requests: int) -> list[str | None]:
    """What a sequence of requests meets, without a wire."""
    api = Api(ContactCentre(seed, 3), lambda: NOON, faults, ("id", "secret"))
    form = b"grant_type=client_credentials&client_id=id&client_secret=secret"
    login = Request("POST", "/oauth/token", None, "", form)
    token = json.loads(api.respond(login).answer.body).get("access_token")
    body = json.dumps(observation_query([queue.id for queue in api.centre.queues])).encode()
    query = Request("POST", OBSERVATIONS, f"Bearer {token}", "application/json", body)
    for _ in range(requests):
        api.respond(query)
    return [each.fault for each in list(api.log)[1:]]


def test_by_default_nothing_goes_wrong():
    assert set(faults_met(1, Faults(rate_limit=0), 1000)) == {None}


def test_the_same_seed_meets_the_same_faults():
    bad_day = replace(Faults.hostile(), login_status={}, login_reset=0.0, login_html=0.0)
    first = faults_met(5, bad_day, 400)
    assert first == faults_met(5, bad_day, 400)
    assert first != faults_met(6, bad_day, 400)


def test_a_hostile_day_mixes_nearly_everything():
    bad_day = replace(
        Faults.hostile(), rate_limit=0, revoke=0.0, login_status={}, login_reset=0.0, login_html=0.0
    )
    met = Counter(faults_met(5, bad_day, 3000))
    assert {"hang", "reset", "half_answer", "html", "garbage", "nan", "wrong_types", "503", "500"} <= set(met)
    assert 0.6 < met[None] / 3000 < 0.9


def test_a_probability_is_a_probability():
    met = Counter(faults_met(1, Faults(rate_limit=0, html=0.2, status={503: 0.3}), 2000))
    assert 0.17 < met["html"] / 2000 < 0.23
    assert 0.27 < met["503"] / 2000 < 0.33


def test_a_script_is_followed_once_and_in_order():
    script = ("503", "ok", "html")
    assert faults_met(1, Faults(script=script), 5) == ["503", None, "html", None, None]


def test_only_confines_faults_to_some_paths(simulator, client):
    simulator.set_faults(status={503: 1.0}, only=("/routing/",))
    assert client.observe(simulator.queue_ids).status == 200
    assert client.call("GET", "/api/v2/routing/queues").status == 503


# --- the knobs themselves ---


def test_an_unknown_fault_is_refused_by_name_with_the_known_ones():
    with pytest.raises(UnknownFaultError) as refused:
        Faults.from_mapping({"latencey": 1.0})
    message = str(refused.value)
    assert "'latencey' (did you mean latency?)" in message
    assert all(each.name in message for each in fields(Faults))


@pytest.mark.parametrize(
    "values",
    [
        {"hang": 1.5},
        {"hang": "often"},
        {"reset": True},
        {"status": {"200": 0.1}},
        {"status": {"teapot": 0.1}},
        {"status": {"503": 2}},
        {"status": 503},
        {"window": "rolling"},
        {"retry_after": "soon"},
        {"retry_after": -1},
        {"rate_limit": -1},
        {"token_lifetime": None},
        {"missing_queues": 2},
        {"bad_ids": "abc"},
        {"script": ["explode"]},
        {"rate_limit_headers": "no"},
        {"unknown_media": 'a"b'},
        {"listing_total": "many"},
        {"listing_page_count": [3]},
        {"listing_cut": {"first": 10}},
        {"listing_unreadable": 2},
        {"rules": {"status": 400}},
        {"rules": [{"status": 400, "route": "users"}]},
        {"rules": [{"route": "listing"}]},
        {"rules": [{"status": 99}]},
        {"rules": [{"status": "400"}]},
        {"rules": [{"status": 400, "body": "pdf"}]},
        {"rules": [{"fault": "explode"}]},
        {"rules": [{"fault": "revoke", "above": 3}]},
        {"rules": [{"status": 400, "queue": "x"}]},
        {"rules": [{"status": 400, "times": -1}]},
        {"rules": [{"status": 400, "chance": 2}]},
        {"named": ["explode"]},
        {"named": "slow"},
        {"hang": 0.6, "reset": 0.6},
        {"login_hang": 0.6, "login_status": {"500": 0.6}},
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_knob(values):
    with pytest.raises(UnknownFaultError, match=r"probabilit" if len(values) > 1 else next(iter(values))):
        Faults.from_mapping(values)


def test_faults_survive_a_trip_through_json():
    rules = (
        Rule(route=("listing",), status=429, headers={"Retry-After": ("5", "5")}),
        Rule(text="{}", queues=0.1),
    )
    hostile = replace(Faults.hostile(), bad_ids=("a",), only=("x",), script=("ok",), rules=rules)
    assert Faults.from_mapping(json.loads(json.dumps(hostile.as_mapping()))) == hostile


def test_a_toml_file_names_faults(tmp_path):
    file = tmp_path / "faults.toml"
    file.write_text('rate_limit = 10\nretry_after = "date"\nbad_ids = ["x"]\n[status]\n503 = 0.25\n')
    assert Faults.from_toml(file) == Faults(
        rate_limit=10, retry_after="date", bad_ids=("x",), status={503: 0.25}
    )


def documented(chapter: str = "") -> list[str]:
    """The names in the tables of one chapter of the document, or of the others."""
    chapters = DOCUMENT.read_text().split("\n### ")
    special = ("Rules", "Named faults")
    text = [
        each for each in chapters if (each.startswith(chapter) if chapter else not each.startswith(special))
    ]
    rows = [line.split("`")[1] for each in text for line in each.splitlines() if line.startswith("| `")]
    return [row for row in rows if row.isidentifier()]


def test_the_document_names_every_knob_and_no_other():
    assert sorted(documented()) == sorted(each.name for each in fields(Faults))
    assert set(ANSWER_FAULTS) <= set(documented())


def test_the_document_has_every_field_of_a_rule_and_every_named_fault():
    assert documented("Rules") == list(Rule.__struct_fields__)
    assert documented("Named faults") == list(NAMED)
