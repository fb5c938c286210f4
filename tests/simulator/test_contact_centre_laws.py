"""Laws of the contact centre: what holds for every queue of every seed at every instant."""

import json
import math
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuetick.simulator import Simulator
from queuetick.simulator import queue_model as model_module
from queuetick.simulator.arrivals import (
    MEDIA,
    SHARED,
    UTILIZATION,
    draw_profile,
    draw_stretch,
    draw_targets,
    offset_for,
)
from queuetick.simulator.contact_centre import ContactCentre, off_queue_presences
from queuetick.simulator.ledger import Account
from queuetick.simulator.observations import Plan, observation_body
from queuetick.simulator.queries import METRICS
from queuetick.simulator.queue_model import QueueModel

YEAR = 365 * 86400.0
# Any second from 2025 to 2027, and between seconds.
instants = st.floats(1_735_689_600.0, 1_735_689_600.0 + 2 * YEAR)
seeds = st.integers(0, 10_000)
indices = st.integers(0, 4999)
offsets = st.sampled_from([-5, -3, 0, 1, 4, 9])

many = settings(max_examples=60, deadline=None)
few = settings(max_examples=15, deadline=None)


def model_at(seed: int, index: int, offset: int, now: float) -> QueueModel:
    model = QueueModel(seed, draw_profile(seed, index, offset))
    model.advance(now)
    return model


def numbers(model: QueueModel) -> dict[str, Any]:
    """Everything that can be seen of a model."""
    return {
        "waiting": {media: [each.arrived for each in line] for media, line in model.waiting.items()},
        "interacting": {media: list(held.values()) for media, held in model.interacting.items()},
        "alerting": dict(model.alerting),
        "agents": (model.idle, model.busy, model.communicating, model.not_responding),
        "minute": model.minute_mark,
    }


def every_agent_is_counted_once(model: QueueModel) -> None:
    """No count is negative, and who is on the queue has joined it, and who has joined is a member."""
    counts = (model.idle, model.exclusive, model.shared_desks, model.communicating, model.not_responding)
    assert min(counts) >= 0
    assert sum(counts) == model.on_queue <= model.profile.joined <= model.profile.members


def contacts_in_hand_fit_the_agents_who_hold_them(model: QueueModel) -> None:
    """One contact to an agent, or up to UTILIZATION chats and messages; and no busy agent without any."""
    held = {media: len(model.interacting[media]) + model.alerting[media] for media in MEDIA}
    exclusive = sum(count for media, count in held.items() if media not in SHARED)
    shared = sum(count for media, count in held.items() if media in SHARED)
    assert exclusive == model.exclusive
    assert model.shared_desks <= shared <= model.shared_desks * UTILIZATION


def nobody_waits_while_somebody_is_free(model: QueueModel) -> None:
    assert not (model.idle and model.waiting_total)
    if any(model.waiting[media] for media in SHARED):
        assert not model.open_desks


def nobody_is_idle_after_the_rota_sent_them_home(model: QueueModel) -> None:
    """More agents than the rota has are there only as long as they are all busy."""
    assert not model.idle or model.on_queue <= model.rota


def who_waits_came_before_now_in_order_and_has_not_given_up(model: QueueModel) -> None:
    for line in model.waiting.values():
        arrivals = [contact.arrived for contact in line]
        assert arrivals == sorted(arrivals)
        assert all(contact.arrived <= model.now < contact.gives_up for contact in line)


LAWS = (
    every_agent_is_counted_once,
    contacts_in_hand_fit_the_agents_who_hold_them,
    nobody_waits_while_somebody_is_free,
    nobody_is_idle_after_the_rota_sent_them_home,
    who_waits_came_before_now_in_order_and_has_not_given_up,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@given(seeds, indices, offsets, instants)
@many
def test_at_any_instant_of_any_seed(law, seed, index, offset, now):
    law(model_at(seed, index, offset, now))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_all_through_a_busy_hour(law):
    """At the very turns of the stretches as well, and often enough to meet what is rare."""
    for queue in ContactCentre(4, 60).queues:
        model = queue.model
        turn = model.profile.phase + 300.0 * (1_764_072_000 // 300)
        for step in range(120):
            model.advance(turn + 30.0 * step)
            law(model)


@given(seeds, indices, offsets, instants, st.lists(st.floats(0.001, 4000.0), min_size=1, max_size=12))
@many
def test_one_step_or_many_end_in_the_same_numbers(seed, index, offset, now, steps):
    many = model_at(seed, index, offset, now)
    for step in steps:
        now += step
        many.advance(now)
    assert numbers(many) == numbers(model_at(seed, index, offset, now))


@given(seeds, indices, offsets, instants, st.floats(-86400.0, 86400.0))
@many
def test_an_instant_looks_the_same_however_the_clock_came_to_it(seed, index, offset, now, away):
    model = model_at(seed, index, offset, now)
    before = numbers(model)
    model.advance(now + away)
    model.advance(now)
    assert numbers(model) == before


@given(st.integers(0, 5000))
@many
def test_off_queue_members_split_over_presences_without_rest(count):
    split = dict(off_queue_presences(count))
    assert sum(split.values()) == count
    assert 0 not in split.values()


@given(seeds, instants, st.lists(st.floats(0.0, 400.0), min_size=2, max_size=8))
@few
def test_a_kept_rendering_is_never_stale(seed, now, steps):
    """The bytes kept from one instant to the next equal those made from nothing."""
    plan = Plan(METRICS)
    live = ContactCentre(seed, 8)
    ids = [queue.id for queue in live.queues]
    for step in steps:
        now += step
        fresh = ContactCentre(seed, 8)
        with live.at(now, ids) as kept, fresh.at(now, ids) as new:
            assert observation_body(kept, plan, None, None) == observation_body(new, plan, None, None)


@given(seeds, instants)
@few
def test_the_answer_says_what_the_truth_says(seed, now):
    """Read back by somebody who knows only the API: counts, statuses, presences, the oldest wait."""
    centre = ContactCentre(seed, 12)
    ids = [queue.id for queue in centre.queues]
    with centre.at(now, ids) as queues:
        answer = json.loads(observation_body(queues, Plan(METRICS), None, None))
    truth = centre.truth(now)
    for queue_id in ids:
        own = [each for each in answer["results"] if each["group"]["queueId"] == queue_id]
        users = next(each["data"] for each in own if "mediaType" not in each["group"])
        by_media = {each["group"]["mediaType"]: each["data"] for each in own if "mediaType" in each["group"]}

        def count(data: list[Any], metric: str) -> int:
            return sum(each["stats"]["count"] for each in data if each["metric"] == metric)

        true = truth[queue_id]
        for name, metric in (
            ("waiting", "oWaiting"),
            ("interacting", "oInteracting"),
            ("alerting", "oAlerting"),
        ):
            assert sum(count(data, metric) for data in by_media.values()) == true[name]
        oldest = [
            each["stats"]["calculatedMetricValue"]
            for data in by_media.values()
            for each in data
            if each["metric"] == "oLongestWaiting"
        ]
        assert min(oldest, default=None) == true["oldest_wait_epoch_ms"]
        assert count(users, "oMemberUsers") == true["members"] == sum(true["agents_by_status"].values())
        assert count(users, "oUserRoutingStatuses") == count(users, "oUserPresences") == true["members"]
        assert count(users, "oOnQueueUsers") + count(users, "oOffQueueUsers") == true["members"]
        assert count(users, "oActiveUsers") == true["joined"]
        idle = [
            each["stats"]["count"]
            for each in users
            if each["metric"] == "oOnQueueUsers" and each["qualifier"] == "IDLE"
        ]
        assert sum(idle) == true["agents_available"]
        assert all(each["stats"]["count"] for each in users if "qualifier" in each)


# --- accounts: what became of the contacts ---


def account_at(seed: int, index: int, offset: int, since: float, until: float) -> Account:
    account = Account(seed, draw_profile(seed, index, offset), draw_targets(seed, index), since)
    account.advance(until)
    return account


def booked(account: Account) -> dict[str, Any]:
    return {media: asdict(tally) for media, tally in account.tallies.items()}


spans = st.floats(0.0, 30_000.0)


@given(seeds, indices, offsets, instants, spans)
@many
def test_who_was_offered_is_answered_gone_or_still_there(seed, index, offset, since, span):
    """And who is still there waits or alerts, where nobody of before is left, as observations show it."""
    account = account_at(seed, index, offset, since, since + span)
    model = model_at(seed, index, offset, since + span)
    offered = sum(tally.offered for tally in account.tallies.values())
    gone = sum(
        tally.answered.count + tally.abandoned.count + tally.flowed_out.count
        for tally in account.tallies.values()
    )
    assert offered == gone + account.pending
    seen = model.waiting_total + sum(model.alerting.values())
    before = sum(contact.arrived < since for contact in model.pending())
    assert account.pending == seen - before


@given(seeds, indices, offsets, instants, spans, spans)
@many
def test_numbers_of_a_day_only_rise_and_every_part_fits_its_whole(seed, index, offset, since, first, second):
    account = account_at(seed, index, offset, since, since + first)
    before = booked(account)
    account.advance(since + first + second)
    for media, tally in account.tallies.items():
        early = before.get(media)
        if early is not None:
            for name in ("offered", "transferred", "judged", "met", "over_target"):
                assert early[name] <= getattr(tally, name)
            for name in ("answered", "abandoned", "short", "flowed_out", "waited"):
                assert early[name]["count"] <= getattr(tally, name).count
        assert tally.waited.count == tally.answered.count + tally.abandoned.count + tally.flowed_out.count
        assert tally.waited.sum == tally.answered.sum + tally.abandoned.sum + tally.flowed_out.sum
        assert tally.short.count <= tally.abandoned.count
        assert tally.transferred <= tally.answered.count
        if tally.targets:
            assert tally.judged == tally.answered.count + tally.abandoned.count
            assert tally.met == tally.answered.count - tally.over_target
        else:
            assert tally.judged == tally.met == tally.over_target == 0
        for durations in (tally.answered, tally.abandoned, tally.waited):
            assert (
                durations.count == 0 or 0 <= durations.min <= durations.sum / durations.count <= durations.max
            )


@given(seeds, indices, offsets, instants, st.lists(st.floats(0.001, 4000.0), min_size=1, max_size=8))
@many
def test_an_account_is_the_same_in_one_step_or_in_many(seed, index, offset, since, steps):
    stepped = account_at(seed, index, offset, since, since)
    until = since
    for step in steps:
        until += step
        stepped.advance(until)
    assert booked(stepped) == booked(account_at(seed, index, offset, since, until))


def test_an_account_kept_is_the_account_made_anew_wherever_the_clock_goes():
    live, since = ContactCentre(5, 6), 1_764_072_000.0
    for until in (since + 100, since + 9000, since + 5000, since + 9001, since):
        assert live.stats(since, until) == ContactCentre(5, 6).stats(since, until)
    for other in range(5):
        live.stats(since - other, since)
    assert all(len(queue.accounts) <= 3 for queue in live.queues)


def test_a_jump_of_a_year_costs_one_replay(monkeypatch):
    """Stretches drawn, not seconds passed, are the cost: at most those of the warm-up and one window."""
    drawn = []

    def counted(seed: int, profile: Any, number: int) -> Any:
        drawn.append(number)
        return draw_stretch(seed, profile, number)

    model = model_at(1, 1, 0, 1_764_072_000.0)
    monkeypatch.setattr(model_module, "draw_stretch", counted)
    model.advance(1_764_072_000.0 + YEAR)
    assert 1 <= len(drawn) <= 16


def test_the_day_is_busier_than_the_night_and_the_working_day_than_the_weekend():
    centre = ContactCentre(1, 200)

    def arrivals(start: float) -> int:
        """Contacts of an hour, in the divisions that live by UTC or an hour ahead."""
        near = [queue.model.profile for queue in centre.queues if queue.division.utc_offset in (0, 1)]
        return sum(
            len(draw_stretch(1, profile, int(start // 300) + number)[1])
            for profile in near
            for number in range(12)
        )

    tuesday_noon, tuesday_night, sunday_noon = 1_764_072_000.0, 1_764_032_400.0, 1_763_899_200.0
    assert arrivals(tuesday_noon) > 3 * arrivals(tuesday_night)
    assert arrivals(tuesday_noon) > 1.5 * arrivals(sunday_noon)


# --- an hour and trouble of one's own ---


@given(instants, st.floats(0.0, 23.99))
@many
def test_an_hour_of_ones_own_is_that_hour_of_a_working_day(now, hour):
    here = now / 3600.0 + offset_for(now, hour)
    assert abs(here % 24.0 - hour) < 0.001
    assert (math.floor(here / 24.0) + 3) % 7 < 5


def test_every_queue_begins_at_the_hour_asked_for_whatever_the_clock_says():
    """At night, on a Sunday: all queues are at work, where without it most of them sleep."""
    sunday_night = 1_763_867_100.0

    def at_work(hour: float | None) -> int:
        simulator = Simulator(queues=60, clock=lambda: sunday_night, hour=hour)
        return sum(each["agents_on_queue"] > 0 for each in simulator.truth().values())

    assert at_work(10.5) == 60
    assert at_work(None) < 50


def test_trouble_is_more_waiting_in_the_share_of_queues_asked_for():
    def waiting(trouble: float) -> list[int]:
        simulator = Simulator(queues=100, clock=lambda: 1_764_072_000.0, hour=10.5, trouble=trouble)
        return [each["waiting"] for each in simulator.truth().values()]

    calm, troubled = waiting(0.0), waiting(0.3)
    changed = sum(one != other for one, other in zip(calm, troubled, strict=True))
    assert sum(troubled) > 1.5 * sum(calm)
    assert 15 <= changed <= 45


@pytest.mark.parametrize("values", [{"hour": 24.0}, {"hour": -1.0}, {"trouble": 1.1}, {"trouble": -0.1}])
def test_an_hour_or_a_share_out_of_range_is_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Simulator(queues=1, **values)  # type: ignore[arg-type]


def test_contacts_give_up_ring_out_and_make_agents_call_on():
    """Over an afternoon every state of an agent is seen, and waiting rises and falls."""
    centre = ContactCentre(2, 60)
    statuses: set[str] = set()
    waiting = []
    for minute in range(60):
        truth = centre.truth(1_764_072_000.0 + 60 * minute)
        waiting.append(sum(each["waiting"] for each in truth.values()))
        statuses |= {
            status for each in truth.values() for status, count in each["agents_by_status"].items() if count
        }
    assert statuses == {"idle", "interacting", "communicating", "not_responding", "off_queue"}
    assert 0 < min(waiting) < max(waiting)


@pytest.mark.parametrize("count", [1, 45, 5000])
def test_names_and_ids_are_unique_and_the_same_for_a_seed(count):
    queues = ContactCentre(9, count).queues
    assert len({queue.name for queue in queues}) == len({queue.id for queue in queues}) == count
    if count <= 45:
        again = ContactCentre(9, count).queues
        assert [(queue.id, queue.name) for queue in again] == [(queue.id, queue.name) for queue in queues]
        assert ContactCentre(10, count).queues[0].id != queues[0].id


def test_names_are_those_of_a_company_in_many_languages():
    queues = ContactCentre(1, 45).queues
    assert len({queue.division.name for queue in queues}) == 11
    assert sum(not queue.name.isascii() for queue in queues) >= 10


@pytest.mark.parametrize("count", [0, 5001])
def test_more_queues_than_an_organization_has_are_refused(count):
    with pytest.raises(ValueError, match="between 1 and 5000"):
        ContactCentre(1, count)
