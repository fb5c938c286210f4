"""How each selected queue is answered, asked for as the daemon asks."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct, field

from queuetick.check.asking import Asker
from queuetick.check.result import Check, Item, evidence_of, passed, worst
from queuetick.clock import Clock, Stopped
from queuetick.events import Queue
from queuetick.genesys.errors import ApiError, Forbidden
from queuetick.genesys.org import Org
from queuetick.genesys.queries import NO_DATA
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.capacity import MAX_BATCH_SIZE
from queuetick.polling.memory import CycleResult

MAX_LOOKUPS = 10
"""Ids that are looked up one by one to tell unknown ids from divisions that are not granted; at most so many."""

MOST_BATCHES = 50
"""Requests that the queues may cost a check: above, its batches are wider than the daemon's."""

PATIENCE = 10.0
MOST_PATIENCE = 300.0
"""Seconds that asking for all queues may take beyond twice the time that the first answer lets expect; and in all."""


class Answers(Struct):
    """The result for every queue that was queried."""

    answered: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)
    invalid: dict[str, ApiError] = field(default_factory=dict)
    failed: dict[str, ApiError] = field(default_factory=dict)
    latency: float | None = None
    """Seconds that one query took; None where none was answered."""

    def add(self, result: CycleResult, concurrency: int) -> None:
        self.answered |= result.answered
        self.missing |= result.missing
        self.invalid |= result.invalid
        self.failed |= result.failed
        report = result.report
        if (result.answered or result.missing) and report.requests:
            rounds = math.ceil(report.requests / concurrency)
            seconds = report.duration_seconds / rounds
            self.latency = seconds if self.latency is None else min(seconds, self.latency)

    def has(self, queue_id: str) -> bool:
        return any(queue_id in part for part in (self.answered, self.missing, self.invalid, self.failed))


def batch_size(configured: int, queues: int) -> int:
    """Queues a request: as the daemon's, unless that would cost too many requests."""
    return min(MAX_BATCH_SIZE, max(configured, math.ceil(queues / MOST_BATCHES)))


def each_queue(
    org: Org,
    asker: Asker,
    answers: Answers,
    selected: list[Queue],
    listing: list[Queue] | None,
    *,
    clock: Clock,
) -> Check:
    """How every selected id is answered. `answers` has the first batch; the rest is asked for here.

    The time that it may take grows with the queues and with the time that the first answer took.
    """
    rest = [queue for queue in selected if not answers.has(queue.id)]
    concurrency = org.config.poll.concurrency
    size = batch_size(org.config.poll.batch_size, len(selected))
    rounds = math.ceil(math.ceil(len(rest) / size) / concurrency)
    patience = min(MOST_PATIENCE, PATIENCE + 2 * rounds * (answers.latency or 0.0))
    deadline = clock.monotonic() + patience
    if rest:
        answers.add(asker.ask(rest, batch_size=size, deadline=deadline), concurrency)
    known = None if listing is None else {queue.id for queue in listing}
    lookups = _Lookups(org, deadline, most=MAX_LOOKUPS if listing is not None else 0)
    divisions = {queue.division_id for queue in selected if queue.id in answers.answered} - {None}
    asked = [queue for queue in selected if answers.has(queue.id)]
    judged = (_judge(queue, known, answers, lookups, answered_divisions=divisions) for queue in asked)
    items = [item for item in judged if item is not None]
    return _gathered(items, selected=len(selected), asked=len(asked), answers=answers, patience=patience)


def _gathered(items: list[Item], *, selected: int, asked: int, answers: Answers, patience: float) -> Check:
    left = selected - asked
    evidence: dict[str, Any] = {
        "selected": selected,
        "answered": len(answers.answered),
        "not_asked": left,
    }
    not_asked = Item(
        f"{left} queues",
        "skipped",
        f"not asked: {patience:.0f} s, the budget or a pause of the API left no time",
        "check again when the API answers faster, or with fewer queues",
    )
    if not items and not left:
        return passed("queues", f"each of {selected} ids is answered", **evidence)
    if not items:
        message = f"{len(answers.answered)} of {selected} ids are answered; {left} were {not_asked.message}"
        return Check("queues", "warn", message, not_asked.fix, evidence=evidence, items=(not_asked,))
    first = next((item for item in items if item.status == "fail"), items[0])
    if len(items) == 1 and not left:
        message = f"{first.subject}: {first.message}"
        return Check(
            "queues", first.status, message, first.fix, evidence=evidence | first.evidence, items=(first,)
        )
    message = f"{len(items)} of {asked if left else selected} ids have a problem"
    if left:
        message += f"; {left} more were {not_asked.message}"
        items = [*items, not_asked]
    return Check("queues", worst(items), message, "see each id below", evidence=evidence, items=tuple(items))


def _judge(
    queue: Queue,
    known: set[str] | None,
    answers: Answers,
    lookups: _Lookups,
    *,
    answered_divisions: set[str | None],
) -> Item | None:
    """What is wrong with a queue that was asked for; None when nothing is."""
    subject = queue.id if queue.name is None else f"{queue.id} {queue.name}"
    listed = known is not None and queue.id in known
    evidence = _known({"queue_id": queue.id, "queue_name": queue.name, "division": queue.division})
    if queue.id in answers.answered:
        if known is not None and not listed:
            message = "it is answered, but the listing does not show it: its name and division are not known"
            fix = "give the role with Routing > Queue > View its division"
            return Item(subject, "warn", message, fix, evidence)
        return None
    if refusal := answers.invalid.get(queue.id):
        fix = "exclude it, and ask Genesys with the correlation id" if listed else "remove it from queues.ids"
        if isinstance(refusal, Forbidden):
            where = f"division {queue.division}" if queue.division else "its division"
            fix = f"give the role with {refusal.permission or 'the permission'} {where}, or exclude the queue"
        message = f"the API answers it with {refusal.status}: {refusal.reason}"
        return Item(subject, "fail", message, fix, evidence | evidence_of(refusal))
    if failure := answers.failed.get(queue.id):
        message = f"its batch failed: {failure.reason}"
        return Item(subject, "fail", message, "check again", evidence | evidence_of(failure))
    if answers.missing[queue.id] == NO_DATA:
        fix = "nothing, if the queue is new or unused; else look at it in Admin > Contact Center > Queues"
        return Item(subject, "warn", "the API knows it and has no numbers for it", fix, evidence)
    if listed and queue.division_id in answered_divisions:
        message = f"it is left out, although other queues of its division ({queue.division}) are answered"
        fix = "check again in some minutes if it is new; else ask Genesys why observations do not know it"
        return Item(subject, "warn", message, fix, evidence)
    if listed:
        message = (
            f"in a division that the analytics role lacks ({queue.division or 'unnamed'}): it is left out"
        )
        fix = "give the role with Analytics > Queue Observation > View that division, or exclude the queue"
        return Item(subject, "fail", message, fix, evidence)
    return lookups.explain(queue, subject, evidence)


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}


class _Lookups:
    """Looks an id up on its own, a few times at most: 404 is an unknown id, 403 a division not granted."""

    def __init__(self, org: Org, deadline: float, *, most: int) -> None:
        self._org = org
        self._deadline = deadline
        self._left = most

    def explain(self, queue: Queue, subject: str, evidence: dict[str, Any]) -> Item:
        both = "unknown id, or in a division that the client's roles lack"
        fix = (
            "compare it with `queuetick queues`, and remove it from queues.ids or give the role its division"
        )
        if self._left == 0:
            return Item(subject, "fail", both, fix, evidence)
        self._left -= 1
        try:
            found = self._org.client.queue(queue.id, deadline=self._deadline)
        except Forbidden as error:
            message = "it is in a division that is not given to the client's roles (403)"
            fix = (
                "in Admin > Integrations > OAuth > (the client) > Roles add the queue's division to the role"
            )
            return Item(subject, "fail", message, fix, evidence | evidence_of(error))
        except (ApiError, Deferred, Stopped):
            self._left = 0
            return Item(subject, "fail", both, fix, evidence)
        if found is None:
            message = "unknown id: Genesys Cloud has no such queue (404)"
            return Item(subject, "fail", message, "remove it from queues.ids", evidence | {"status": 404})
        message = "the queue exists, but the observations leave it out"
        fix = "give the role with Analytics > Queue Observation > View its division"
        return Item(f"{queue.id} {found.name or ''}".strip(), "fail", message, fix, evidence)
