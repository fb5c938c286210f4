"""The accounting law under random weather: see account.py for its words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuetick.simulator import Faults
from queuetick.simulator.contact_centre import ContactCentre
from queuetick.simulator.faults import ANSWER_FAULTS
from support.account import Account, breaches
from support.virtual import World

STATUSES = (400, 401, 403, 404, 408, 429, 500, 502, 503, 504, 501, 413)


@st.composite
def weathers(draw: st.DrawFn) -> Faults:
    """A fault plan: some of the simulator's answer, token, limit and login faults, at once."""
    names = draw(st.lists(st.sampled_from(ANSWER_FAULTS), unique=True, max_size=4))
    statuses = draw(st.lists(st.sampled_from(STATUSES), unique=True, max_size=3))
    share = draw(st.sampled_from([0.02, 0.1, 0.2])) if len(names) + len(statuses) < 5 else 0.1
    logins = draw(st.lists(st.sampled_from([400, 401, 403, 429, 500, 503]), unique=True, max_size=2))
    lows = st.sampled_from([0.0, 0.1, 0.3])
    return Faults(
        **dict.fromkeys(names, share),
        status=dict.fromkeys(statuses, share),
        status_retry_after=draw(st.sampled_from([None, 0, 1, 20, 400])),
        token_lifetime=draw(st.sampled_from([5.0, 40.0, 300.0, 86400.0])),
        stated_lifetime=draw(st.sampled_from([None, 0.0, 1.0, 86400.0])),
        token_idle_timeout=draw(st.sampled_from([0.0, 20.0])),
        rate_limit=draw(st.sampled_from([0, 3, 10, 30, 300])),
        window=draw(st.sampled_from(["fixed", "sliding"])),
        retry_after=draw(st.sampled_from(["seconds", "date", "absent", 0.0, 0.01, 7.5, 90.0, 7200.0])),
        rate_limit_headers=draw(st.booleans()),
        legacy_429=draw(st.booleans()),
        latency=draw(st.sampled_from([0.0, 0.05, 2.0, 9.0])),
        latency_sigma=draw(st.sampled_from([0.0, 1.0])),
        missing_queues=draw(lows),
        queues_without_data=draw(lows),
        unknown_queue=draw(st.sampled_from(["absent", "no_data", "bad_request"])),
        unknown_media=draw(st.sampled_from(["", "hologram"])),
        huge_body_bytes=draw(st.sampled_from([100_000, 17_000_000])),
        clock_skew=draw(st.sampled_from([0.0, -40.0, 7200.0])),
        login_status=dict.fromkeys(logins, 0.2),
        login_retry_after=draw(st.sampled_from([0.0, 5.0, 600.0])),
        login_latency=draw(st.sampled_from([0.0, 0.5, 11.0])),
        login_hang=draw(lows),
        login_reset=draw(st.sampled_from([0.0, 0.1])),
        login_html=draw(st.sampled_from([0.0, 0.1])),
        login_garbage=draw(st.sampled_from([0.0, 0.1])),
    )


@st.composite
def strokes(draw: st.DrawFn) -> tuple[str, float]:
    """Something that befalls the machine or the API between two cycles."""
    kind = draw(
        st.sampled_from(["suspend", "clock", "down", "up", "revoke", "add", "remove", "calm", "bad ids"])
    )
    return kind, draw(st.sampled_from([1.0, 16.0, 44.0, 3600.0, -3600.0, -7.0]))


def befall(world: World, kind: str, amount: float, weather: Faults) -> None:
    ids = [queue.id for queue in world.centre.queues]
    if kind == "suspend":
        world.time.advance(abs(amount))
    elif kind == "clock":
        world.time.set_wall_clock(amount)
    elif kind in ("down", "up"):
        world.transport.down = kind == "down"
    elif kind == "revoke":
        world.api.tokens.revoke_all()
    elif kind == "add":
        world.centre.add(None)
    elif kind == "remove" and len(ids) > 1:
        world.centre.remove(ids[-1])
    elif kind == "calm":
        world.api.faults = Faults()
    elif kind == "bad ids":
        world.api.faults = replace(weather, bad_ids=tuple(ids[:: max(2, int(abs(amount)))]))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    weather=weathers(),
    plan=st.dictionaries(st.integers(2, 30), strokes(), max_size=8),
    queues=st.integers(1, 60),
    batch_size=st.sampled_from([1, 7, 20, 200]),
    concurrency=st.sampled_from([1, 4]),
    explicit=st.booleans(),
    endpoint=st.sampled_from(["observations", "details"]),
    seed=st.integers(0, 1000),
)
def test_every_queue_of_every_cycle_is_accounted_for_under_random_weather(
    weather, plan, queues, batch_size, concurrency, explicit, endpoint, seed
):
    settings = {
        "queues": queues, "seed": seed, "faults": weather, "genesys_endpoint": endpoint, "queues_refresh": 120,
        "poll_batch_size": batch_size, "poll_concurrency": concurrency,
    }  # fmt: skip
    if explicit:
        settings["queues_ids"] = tuple(queue.id for queue in ContactCentre(seed, queues).queues)
    world = World(**settings)
    try:
        world.run(30, before=lambda number: befall(world, *plan[number], weather) if number in plan else None)
    finally:
        world.close()
    assert breaches(world.text, cycles=world.cycles.number, secrets=world.secrets) == []


@pytest.mark.slow
def test_the_law_holds_over_10000_hostile_cycles(capsys):
    world = World(queues=45, seed=3, faults=Faults.hostile(), poll_batch_size=5, queues_refresh=300)
    plan = {
        500: ("suspend", 3600.0),
        1500: ("clock", 3600.0),
        2500: ("clock", -3600.0),
        4000: ("down", 0.0),
        4200: ("up", 0.0),
        6000: ("bad ids", 5.0),
        7000: ("revoke", 0.0),
    }
    try:
        world.run(10_000, before=lambda n: befall(world, *plan[n], Faults.hostile()) if n in plan else None)
    finally:
        world.close()
    account = Account(secrets=world.secrets[:1] + world.secrets[-8:])
    account.read(world.text)
    account.close(world.cycles.number)
    with capsys.disabled():
        print("\n" + "\n".join(f"  {name:32} {value:>12}" for name, value in account.figures()))
    assert account.breaches == []
    assert account.ends["cycle.skipped"] > 0
