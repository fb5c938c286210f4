"""The operations of the API: answers to requests that have passed the gateway."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from queuetick.simulator import api_errors
from queuetick.simulator.aggregates import aggregate_body, parse_aggregate_query
from queuetick.simulator.api_errors import Answer
from queuetick.simulator.calls import Call
from queuetick.simulator.contact_centre import ContactCentre
from queuetick.simulator.fault_rules import Asked, concerns
from queuetick.simulator.observations import Plan, details_body, observation_body
from queuetick.simulator.queries import (
    DETAILS_METRICS,
    check_uuid,
    parse_details_query,
    parse_observation_query,
)
from queuetick.simulator.queue_pages import queue_entity, queue_page
from queuetick.simulator.routes import PERMISSIONS
from queuetick.simulator.rule_answers import Rules

_GET = frozenset({"listing", "queue", "divisionviews", "limits"})


class Operations:
    """Answers calls by route. Called by the serving thread alone."""

    def __init__(self, centre: ContactCentre, rules: Rules) -> None:
        self._centre = centre
        self._rules = rules

    def answer(self, call: Call) -> Answer:
        """Answer a call. Raises Problem, or RuleAnswer for a rule that looks into the request."""
        route = call.route
        if route is None or route not in PERMISSIONS:
            raise api_errors.not_found()
        method = "GET" if route in _GET else "POST"
        if call.request.method != method:
            raise api_errors.method_not_allowed(method)
        if PERMISSIONS[route] in call.faults.denied_permissions:
            raise api_errors.missing_any_permissions(PERMISSIONS[route])
        answer: Answer = getattr(self, f"_{route}")(call)
        return answer

    def _listing(self, call: Call) -> Answer:
        return Answer(200, queue_page(self._centre, call.path, parse_qs(call.query), call.faults))

    def _divisionviews(self, call: Call) -> Answer:
        limits = {} if call.path.endswith("/all") else {"largest": 100, "last_page": 5}
        page = queue_page(
            self._centre, call.path, parse_qs(call.query), call.faults, simplified=True, **limits
        )
        return Answer(200, page)

    def _queue(self, call: Call) -> Answer:
        queue_id = check_uuid(call.path.rpartition("/")[2])
        call.queue_ids = (queue_id,)
        self._rules.meet(call, Asked(frozenset(call.queue_ids), frozenset()))
        queue = self._centre.get(queue_id)
        if queue is None:
            raise api_errors.not_found()
        return Answer(200, json.dumps(queue_entity(queue), ensure_ascii=False).encode())

    def _limits(self, call: Call) -> Answer:
        """The true limit of a token, whatever headers say."""
        limit = api_errors.token_limit(call.faults.rate_limit or 300)
        return Answer(200, json.dumps({"entities": [limit]}).encode())

    def _observations(self, call: Call) -> Answer:
        query = parse_observation_query(_json(call))
        known = self._known(call, query.queue_ids, query.metrics)
        faults = call.faults
        plan = Plan(query.metrics, faults.unknown_media)
        without_data = self._without_data(call)
        unknown_ids: list[str] = []
        if faults.unknown_queue == "no_data":
            unknown_ids = [each for each in query.queue_ids if self._centre.get(each) is None]
        with self._centre.at(call.now, known) as queues:
            return Answer(200, observation_body(queues, plan, query.wants, without_data, unknown_ids))

    def _details(self, call: Call) -> Answer:
        known = self._known(call, parse_details_query(_json(call)), frozenset(DETAILS_METRICS))
        with self._centre.at(call.now, known) as queues:
            return Answer(200, details_body(queues, call.now))

    def _stats(self, call: Call) -> Answer:
        query = parse_aggregate_query(_json(call))
        queue_ids = query.queue_ids or tuple(queue.id for queue in self._centre.queues)
        known = self._known(call, queue_ids, query.metrics)
        without_data = self._without_data(call)
        with self._centre.held(known) as queues:
            return Answer(200, aggregate_body(queues, query, call.now, call.faults.media_names, without_data))

    def _without_data(self, call: Call) -> Callable[[str], bool] | None:
        """Tells whose groups lack `data`; None: nobody's."""
        seed, chosen = self._centre.seed, call.faults.queues_without_data
        return (lambda queue_id: concerns(queue_id, chosen, seed, "no data")) if chosen else None

    def _known(self, call: Call, queue_ids: tuple[str, ...], metrics: frozenset[str]) -> list[str]:
        """The ids to answer for; raises what rules have for them, and the 400 of bad ones."""
        faults, centre = call.faults, self._centre
        call.queue_ids = queue_ids
        if faults.rules:
            self._rules.meet(call, Asked(frozenset(queue_ids), metrics))
        bad = [each for each in queue_ids if each in faults.bad_ids] if faults.bad_ids else []
        if faults.unknown_queue == "bad_request":
            bad += [each for each in queue_ids if centre.get(each) is None and each not in bad]
        if bad:
            raise api_errors.bad_queue_ids(bad)
        known = [each for each in queue_ids if centre.get(each) is not None]
        if faults.missing_queues:
            seed, chosen = centre.seed, faults.missing_queues
            known = [each for each in known if not concerns(each, chosen, seed, "missing")]
        return known


def _json(call: Call) -> Any:
    declared = call.request.content_type
    if declared and not declared.startswith(api_errors.JSON):
        raise api_errors.unsupported_media_type()
    try:
        return json.loads(call.request.body)
    except (ValueError, RecursionError):
        raise api_errors.bad_request("The request body is not valid JSON.") from None
