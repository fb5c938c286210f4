"""The queues themselves: what the configuration selects, and how each id is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queuetick.check.asking import Asker
from queuetick.check.probe import Heard
from queuetick.check.result import Check, Item, evidence_of, failed, passed, skipped, worst
from queuetick.clock import Stopped
from queuetick.config import Queues
from queuetick.events import Queue
from queuetick.genesys.errors import ApiError, Forbidden
from queuetick.genesys.org import Session
from queuetick.genesys.queries import NO_DATA
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.selection import unmatched

MAX_LOOKUPS = 10
"""Ids that are looked up one by one to tell an unknown id from a division out of reach; more cost too many requests."""


def selection(settings: Queues, listing: list[Queue], selected: list[Queue]) -> Check:
    """Whether every glob and division of [queues] finds something."""
    items = unmatched_items(settings, listing)
    counts: dict[str, Any] = {"queues": len(listing), "selected": len(selected)}
    if not selected:
        first = items[0] if items else None
        return failed(
            "selection",
            f"no queue is selected out of {len(listing)}" + (f": {first.message}" if first else ""),
            (first.fix if first else None)
            or "list them with `queuetick queues` and correct names, divisions, exclude",
            **counts,
        )
    message = f"{len(selected)} of {len(listing)} queues are polled"
    if items:
        message = f"{message}; {items[0].message}"
    return Check(
        "selection",
        worst(items),
        message,
        items[0].fix if items else None,
        evidence=counts,
        items=tuple(items) if len(items) > 1 else (),
    )


def unmatched_items(
    settings: Queues, listing: Sequence[Queue], key: Callable[[str], str] = "queues.{}".format
) -> list[Item]:
    """One warning for each pattern and division that matches nothing in a listing, with the nearest name.

    `key` writes the setting or option that holds the entry: it gets "names", "exclude" or "divisions".
    """
    if not listing:
        return []
    found = unmatched(settings, listing)
    nearest = dict(found.suggestions)
    divisions = sorted({queue.division for queue in listing if queue.division})
    listed = f"use one of {', '.join(divisions[:12])}"
    kinds = (
        ("names", found.names, "matches no queue", "see the names with `queuetick queues`"),
        ("exclude", found.exclude, "matches no queue", "see the names with `queuetick queues`"),
        ("divisions", found.divisions, "is no division with a queue that the client may see", listed),
    )
    return [
        Item(entry, "warn", f"{key(name)} {entry!r} {words}", nearest.get(entry, otherwise))
        for name, entries, words, otherwise in kinds
        for entry in entries
    ]


def each_queue(
    session: Session,
    asker: Asker,
    selected: list[Queue],
    listing: list[Queue] | None,
    heard: Heard,
    *,
    batch_size: int,
    deadline: float,
) -> Check:
    """How every selected id is answered. The first batch has been asked already; the rest is asked here."""
    asked = heard.answered | heard.missing.keys() | heard.invalid.keys() | heard.failed.keys()
    rest = [queue for queue in selected if queue.id not in asked]
    if rest:
        asker.ask(rest, batch_size=batch_size, deadline=deadline)
    known = None if listing is None else {queue.id for queue in listing}
    lookups = _Lookups(session, deadline, most=MAX_LOOKUPS if listing is not None else 0)
    divisions = {queue.division_id for queue in selected if queue.id in heard.answered} - {None}
    judged = (_judge(queue, known, heard, lookups, answered_divisions=divisions) for queue in selected)
    items = [item for item in judged if item is not None]
    evidence = {"selected": len(selected), "answered": len(heard.answered & {queue.id for queue in selected})}
    if not items:
        return passed("queues", f"each of {len(selected)} ids is answered", **evidence)
    message = f"{len(items)} of {len(selected)} ids have a problem"
    first = next((item for item in items if item.status == "fail"), items[0])
    if len(items) == 1:
        message = f"{first.subject}: {first.message}"
        return Check(
            "queues", first.status, message, first.fix, evidence=evidence | first.evidence, items=(first,)
        )
    return Check("queues", worst(items), message, "see each id below", evidence=evidence, items=tuple(items))


def _judge(
    queue: Queue,
    known: set[str] | None,
    heard: Heard,
    lookups: _Lookups,
    *,
    answered_divisions: set[str | None],
) -> Item | None:
    subject = queue.id if queue.name is None else f"{queue.id} {queue.name}"
    listed = known is not None and queue.id in known
    facts: dict[str, Any] = {"queue_id": queue.id, "queue_name": queue.name, "division": queue.division}
    evidence = _known(facts)
    if queue.id in heard.answered:
        if known is not None and not listed:
            message = "it is answered, but the listing does not show it: its name and division stay unknown"
            return Item(
                subject, "warn", message, "give the role with Routing > Queue > View its division", evidence
            )
        return None
    if refusal := heard.invalid.get(queue.id):
        evidence |= {"status": 400, "code": refusal.code, "correlation_id": refusal.correlation_id}
        fix = (
            "remove it from queues.ids"
            if not listed
            else "exclude it, and ask Genesys with the correlation id"
        )
        return Item(subject, "fail", f"the API answers it with 400: {refusal.reason}", fix, evidence)
    if failure := heard.failed.get(queue.id):
        facts = {"status": failure.status, "code": failure.code, "correlation_id": failure.correlation_id}
        evidence |= _known(facts)
        return Item(subject, "fail", f"its batch failed: {failure.reason}", "check again", evidence)
    if absence := heard.missing.get(queue.id):
        if absence.reason == NO_DATA:
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
            fix = (
                "give the role with Analytics > Queue Observation > View that division, or exclude the queue"
            )
            return Item(subject, "fail", message, fix, evidence)
        return lookups.explain(queue, subject, evidence)
    return Item(
        subject,
        "skipped",
        "not asked: the budget or a pause of the API left no time",
        "check again",
        evidence,
    )


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}


class _Lookups:
    """Looks an id up on its own, a few times at most: 404 is an unknown id, 403 a division out of reach."""

    def __init__(self, session: Session, deadline: float, *, most: int) -> None:
        self._session = session
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
            found = self._session.client.queue(queue.id, deadline=self._deadline)
        except Forbidden as error:
            message = "in a division that the client's roles lack: looked up, it is answered 403"
            fix = (
                "in Admin > Integrations > OAuth > (the client) > Roles add the queue's division to the role"
            )
            return Item(subject, "fail", message, fix, evidence | evidence_of(error))
        except (ApiError, Deferred, Stopped):
            self._left = 0
            return Item(subject, "fail", both, fix, evidence)
        if found is None:
            message = "unknown id: looked up, it is answered 404"
            return Item(subject, "fail", message, "remove it from queues.ids", evidence | {"status": 404})
        message = "the queue exists, but the observations leave it out"
        fix = "give the role with Analytics > Queue Observation > View its division"
        return Item(f"{queue.id} {found.name or ''}".strip(), "fail", message, fix, evidence)


def not_listed(settings: Queues) -> Check:
    """Without a listing only explicit ids can be checked."""
    if settings.ids:
        return skipped("selection", "without a listing only queues.ids are known")
    return skipped("selection", "the queues could not be listed")
