"""The search for a refused metric: it finds what is refused, within its requests, and blames no metric for a bad id."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys.test_client import SEEN, Budget, Q, Scripted, answer, client, error_body
from queuetick.events import Batch, Queue
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import RequestRefused, Transient
from queuetick.genesys.metric_set import MetricSet
from queuetick.genesys.queries import METRICS
from support.virtual import World

REFUSAL = RequestRefused("refused", status=400, code="bad.request", correlation_id="c-1", genuine=True)


class Org:
    """Refuses some metrics, or everything; counts what it was asked."""

    def __init__(self, refused=(), *, everything: bool = False) -> None:
        self.refused = set(refused)
        self.everything = everything
        self.asked = 0

    def __call__(self, metrics) -> RequestRefused | None:
        self.asked += 1
        return REFUSAL if self.everything or self.refused & set(metrics) else None


@given(refused=st.sets(st.sampled_from(METRICS), min_size=1, max_size=3), requests=st.integers(1, 20))
def test_every_refused_metric_is_found_and_said_once_and_none_else(refused, requests) -> None:
    org, subject, said = Org(refused), MetricSet(), []
    for _ in range(60):
        before = org.asked
        if org(subject.in_force) is not None:
            before = org.asked
            said += subject.search(org, REFUSAL, requests=requests)
            assert org.asked - before <= requests
    assert refused == {event.metric for event in said}
    assert len(refused) == len(said)
    assert set(METRICS) - refused == set(subject.in_force)


@pytest.mark.parametrize("metric", METRICS)
def test_a_refused_metric_that_the_answer_names_costs_two_requests(metric) -> None:
    org, subject = Org({metric}), MetricSet()
    error = RequestRefused("no", status=400)
    error.named = f'{{"message":"Invalid metric [{metric}]"}}'
    [event] = subject.search(org, error, requests=2)
    assert (metric, 400, "bad.request", "c-1") == (
        event.metric,
        event.status,
        event.code,
        event.correlation_id,
    )
    assert 2 == org.asked


def test_where_nothing_is_answered_no_metric_is_blamed() -> None:
    org, subject = Org(everything=True), MetricSet()
    for _ in range(30):
        assert [] == subject.search(org, REFUSAL, requests=3)
    assert METRICS == subject.in_force


def test_where_all_is_answered_no_metric_is_blamed() -> None:
    org, subject = Org(), MetricSet()
    assert [] == subject.search(org, REFUSAL, requests=20)
    assert (2, METRICS) == (org.asked, subject.in_force)


def test_a_refused_metric_is_asked_for_again_alone_and_taken_back_in_its_place() -> None:
    org, subject = Org({"oWaiting", "oOffQueueUsers"}), MetricSet()
    for _ in range(2):
        subject.search(org, REFUSAL, requests=20)
    subject.restore(org)
    assert {"oWaiting", "oOffQueueUsers"} == set(METRICS) - set(subject.in_force)
    org.refused = {"oOffQueueUsers"}
    subject.restore(org)
    assert tuple(name for name in METRICS if name != "oOffQueueUsers") == subject.in_force


# Through the client


def refusing(metric: str):
    """A transport of an org that refuses `metric`."""
    return Scripted(
        lambda options: (
            answer(error_body(400, "bad.request"), 400)
            if metric in json.loads(options.body)["metrics"]
            else SEEN
        )
    )


def test_the_client_finds_a_refused_metric_with_one_queue_and_goes_on_without_it() -> None:
    transport, usage = refusing("oOnQueueUsers"), Usage()
    subject = client(transport)
    [event] = subject.find_refused_metric(Q, REFUSAL, deadline=113.0, usage=usage, requests=20)
    assert "oOnQueueUsers" == event.metric
    assert usage.requests == len(transport.asked) <= 8
    assert {Q} == {json.loads(sent.body)["filter"]["predicates"][0]["value"] for sent in transport.asked}
    found = subject.observe(Batch(1, (Queue(Q),)), cycle=1, scheduled_at="", deadline=113.0, usage=usage)
    assert "oOnQueueUsers" not in json.loads(transport.asked[-1].body)["metrics"]
    assert None is found.snapshots[0].agents_available
    transport.answers = lambda options: SEEN
    subject.retry_refused_metrics(Q, deadline=113.0, usage=usage)
    assert ["oOnQueueUsers"] == json.loads(transport.asked[-1].body)["metrics"]
    subject.observe(Batch(1, (Queue(Q),)), cycle=1, scheduled_at="", deadline=113.0, usage=usage)
    assert list(METRICS) == json.loads(transport.asked[-1].body)["metrics"]


def test_a_failure_ends_the_search_for_now_and_the_tutorials_query_has_none() -> None:
    with pytest.raises(Transient):
        client(Scripted([answer(b"", 500)])).find_refused_metric(
            Q, REFUSAL, deadline=113.0, usage=Usage(), requests=9
        )
    details = client(Scripted([]), budget=Budget(), endpoint="details")
    assert [] == details.find_refused_metric(Q, REFUSAL, deadline=113.0, usage=Usage(), requests=9)


def test_a_reload_goes_on_without_the_refused_metric_and_says_it_no_second_time() -> None:
    world = World(queues=40)
    respond = world.api.respond

    def refuse(request):
        outcome = respond(request)
        if "observations" in request.target and "oMemberUsers" in json.loads(request.body)["metrics"]:
            outcome.answer.status = 400
            outcome.answer.body = json.dumps(error_body(400, "bad.request")).encode()
        return outcome

    world.api.respond = refuse
    world.run(8)
    world.reload(world.config)
    world.run(10)
    assert ["oMemberUsers"] == [line["metric"] for line in world.events("metric.refused")]
    assert ["ok", "ok", "ok"] == [report.outcome for report in world.reports[-3:]]
    assert {None} == {line["members"] for line in world.events("queue.snapshot")}


def test_a_metric_that_is_answered_again_is_asked_for_again_though_the_first_queue_is_refused() -> None:
    bad = "00000000-0000-4000-8000-00000000000a"
    world = World(queues=40, queues_ids=(bad,), queues_names=("*",), queues_refresh=60)
    respond, refused = world.api.respond, ["oMemberUsers", bad]

    def refuse(request):
        outcome = respond(request)
        if "observations" in request.target and any(each.encode() in request.body for each in refused):
            outcome.answer.status = 400
            outcome.answer.body = json.dumps(error_body(400, "bad.request")).encode()
        return outcome

    world.api.respond = refuse
    world.run(20)
    assert ("oMemberUsers",) == world.cycles.org.account.metrics.refused
    refused.remove("oMemberUsers")
    world.run(30)
    assert world.cycles.queues[0].id == bad
    assert METRICS == world.cycles.org.account.metrics.in_force
