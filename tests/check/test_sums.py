"""The sums of `check`: requests against the token's budget, and a cycle against the time that the API takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from queuetick.check.budget import Measured, budget
from queuetick.config import Config, Credentials, Genesys, Log, Metrics, Output, Poll, Queues
from queuetick.config.settings import Stats
from queuetick.polling.runner import CYCLE_SHARE

CONFIG = Config(
    genesys=Genesys(),
    queues=Queues(),
    poll=Poll(requests_per_minute=1_000_000),
    output=Output(),
    log=Log(),
    metrics=Metrics(),
    credentials=Credentials("id", "secret"),
)


def known(queues: int, *, allowed: int = 1_000_000, latency: float | None = None) -> Measured:
    return Measured(queues=queues, listed=queues, allowed=allowed, stated=None, latency=latency)


def test_75_requests_of_800_ms_do_not_fit_15_s_and_check_says_what_does() -> None:
    check = budget(CONFIG, known(1500, latency=0.8))
    assert check.status == "fail"
    assert check.message.startswith("75 requests of 0.8 s each, 4 at once, take 15.2 s")
    assert check.fix == "set poll.batch_size to 29 or set poll.concurrency to 6"


@given(
    queues=st.integers(1, 15_000),
    latency=st.floats(0.01, 20),
    batch_size=st.integers(1, 200),
    concurrency=st.integers(1, 64),
    interval=st.floats(1, 300),
)
def test_each_setting_that_is_advised_does_fit(queues, latency, batch_size, concurrency, interval) -> None:
    poll = replace(CONFIG.poll, batch_size=batch_size, concurrency=concurrency, interval=interval)
    check = budget(replace(CONFIG, poll=poll), known(queues, latency=latency))
    slow = check.evidence["cycle_seconds"] > CYCLE_SHARE * interval
    assert (check.status == "fail") == slow
    if check.status == "pass":
        return
    for option in check.fix.split(" or "):
        changed = poll
        for key, value in re.findall(r"poll\.(\w+) to ([\d.]+)", option):
            changed = replace(changed, **{key: float(value) if key == "interval" else int(value)})
        again = budget(replace(CONFIG, poll=changed), known(queues, latency=latency))
        assert again.status == "pass", option


def test_what_the_budget_advises_fits_the_latency_too() -> None:
    config = replace(CONFIG, poll=Poll())
    check = budget(config, known(5_000, allowed=300, latency=0.83))
    assert check.status == "fail"
    for key, value in re.findall(r"poll\.(\w+) to ([\d.]+)", check.fix):
        changed = replace(config.poll, **{key: float(value) if key == "interval" else int(value)})
        again = budget(replace(config, poll=changed), known(5_000, allowed=300, latency=0.83))
        assert again.status == "pass", key


@pytest.mark.parametrize(("queues", "requests"), [(137, 2), (1_500, 15), (5_000, 50), (0, 0)])
def test_stats_cost_one_request_for_100_queues_a_minute(queues, requests) -> None:
    off = budget(CONFIG, known(queues, allowed=10_000))
    assert off.evidence["requests_per_minute_stats"] == requests
    on = budget(replace(CONFIG, stats=Stats(enabled=True)), known(queues, allowed=10_000))
    added = on.evidence["requests_per_minute_needed"] - off.evidence["requests_per_minute_needed"]
    assert added == requests
    if queues:
        assert f"would add {requests} a minute" in off.message
        assert f"and queue.stats {requests}," in on.message


def test_stats_that_the_budget_has_no_room_for_are_a_failure() -> None:
    config = replace(CONFIG, stats=Stats(enabled=True, every=15), poll=replace(CONFIG.poll, batch_size=200))
    check = budget(config, known(15_000, allowed=300))
    assert check.status == "fail"
