"""Login, tokens and the rate limit, as docs/dev/api-facts.md has them."""

import base64

import pytest
from simulator_client import STRANGER, Client, basic


def test_the_client_may_come_in_a_header_or_in_the_form(simulator, client):
    pair = f"client_id={simulator.client_id}&client_secret={simulator.client_secret}"
    form = f"grant_type=client_credentials&{pair}"
    for reply in (client.login(), client.login(form.encode(), Accept="application/json")):
        assert reply.status == 200
        assert (reply.json["token_type"], reply.json["expires_in"]) == ("bearer", 86400)
        assert "refresh_token" not in reply.json


def test_an_unknown_client_is_400_and_a_wrong_secret_401(simulator, client):
    unknown = client.login(**basic(STRANGER, simulator.client_secret))
    assert (unknown.status, unknown.json["error"], unknown.json["description"]) == (
        400,
        "invalid_client",
        "client not found",
    )
    wrong = client.login(**basic(simulator.client_id, "guess"))
    assert (wrong.status, wrong.json["error"], wrong.json["description"]) == (
        401,
        "invalid_client",
        "authentication failed",
    )
    broken = client.login(Authorization="Basic " + base64.b64encode(b"\xff").decode() + "!")
    assert broken.status == 400


def test_only_client_credentials_are_granted(client):
    refused = client.login(b"grant_type=password&username=a&password=b")
    assert (refused.status, refused.json["error"]) == (400, "unsupported_grant_type")


def test_a_token_dies_at_the_end_of_its_life_by_the_clock(simulator, client, clock):
    simulator.set_faults(token_lifetime=300.0)
    assert client.login().json["expires_in"] == 300
    clock.advance(299)
    assert client.observe(simulator.queue_ids).status == 200
    clock.advance(1)
    dead = client.observe(simulator.queue_ids)
    assert (dead.status, dead.json["code"]) == (401, "bad.credentials")


def test_an_idle_token_dies_early_where_the_organization_says_so(simulator, client, clock):
    simulator.set_faults(token_idle_timeout=900.0)
    for _ in range(3):
        clock.advance(899)
        assert client.observe(simulator.queue_ids).status == 200
    clock.advance(900)
    assert client.observe(simulator.queue_ids).status == 401


# --- the rate limit ---


def test_the_limit_holds_per_token_and_window_and_says_when_it_ends(simulator, client, clock):
    simulator.set_faults(rate_limit=3)
    told = [client.observe(simulator.queue_ids) for _ in range(3)]
    assert [each.headers["inin-ratelimit-count"] for each in told] == ["1", "2", "3"]
    assert {each.headers["inin-ratelimit-allowed"] for each in told} == {"3"}
    clock.advance(17.5)
    refused = client.observe(simulator.queue_ids)
    assert refused.status == 429
    assert refused.headers["Retry-After"] == refused.headers["inin-ratelimit-reset"] == "43"
    assert refused.json == {
        "message": "Rate limit exceeded the maximum. Retry the request in [43] seconds",
        "code": "too.many.requests.retry.after",
        "status": 429,
        "contextId": refused.headers["ININ-Correlation-Id"],
        "details": [],
        "errors": [],
        "limit": {"key": "token.rate.per.minute", "namespace": "platform.api", "value": 3},
    }
    again = client.observe(simulator.queue_ids)
    assert again.headers["inin-ratelimit-count"] == "4", "a refused request does not count"
    assert Client(simulator).observe(simulator.queue_ids).status == 200, "another token has its own window"
    clock.advance(43)
    assert client.observe(simulator.queue_ids).status == 200


def test_a_sliding_window_lets_one_request_go_as_one_grows_old(simulator, client, clock):
    simulator.set_faults(rate_limit=2, window="sliding")
    client.observe(simulator.queue_ids)
    clock.advance(50)
    client.observe(simulator.queue_ids)
    assert client.observe(simulator.queue_ids).headers["Retry-After"] == "10"
    clock.advance(10)
    assert client.observe(simulator.queue_ids).status == 200
    assert client.observe(simulator.queue_ids).headers["Retry-After"] == "50"


def test_300_a_minute_is_the_default_and_0_is_none(simulator, client):
    assert client.observe(simulator.queue_ids).headers["inin-ratelimit-allowed"] == "300"
    simulator.set_faults(rate_limit=0)
    assert "inin-ratelimit-allowed" not in client.observe(simulator.queue_ids).headers


@pytest.mark.parametrize(
    ("form", "expected"),
    [("seconds", "60"), ("absent", None), (7200, "7200"), ("date", "Tue, 25 Nov 2025 12:01:00 GMT")],
)
def test_retry_after_has_every_form_that_http_has(form, expected, simulator, client):
    simulator.set_faults(
        rate_limit=1, retry_after=form, rate_limit_headers=False, legacy_429=form == "absent"
    )
    client.observe(simulator.queue_ids)
    refused = client.observe(simulator.queue_ids)
    assert refused.status == 429
    assert refused.headers["Retry-After"] == expected
    assert "inin-ratelimit-count" not in refused.headers
    assert refused.json["code"] == (
        "too.many.requests" if form == "absent" else "too.many.requests.retry.after"
    )
