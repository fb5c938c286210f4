"""Which queues are polled: the org's listing, filtered as the configuration says, and what changed since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from queuetick.config import Queues
from queuetick.events import Queue, QueuesRefreshed
from queuetick.names import matches, suggestion

MOST_SUGGESTIONS = 20
"""Entries without a match that get a suggestion: each is compared with every name of the listing."""


class Unmatched(Struct, frozen=True):
    """Entries of `[queues]` that match nothing in a listing, in the order of the file."""

    names: tuple[str, ...] = ()
    divisions: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    suggestions: tuple[tuple[str, str], ...] = ()
    """(entry, suggestion) for each entry that is like a name of the listing: "did you mean 'Sales'? ..."."""


def explicit(settings: Queues) -> list[Queue]:
    """The queues that are known before any discovery: the explicit ids, each once, without a name."""
    excluded = {pattern.lower() for pattern in settings.exclude}
    ids = dict.fromkeys(queue_id.lower() for queue_id in settings.ids)
    return [Queue(queue_id) for queue_id in ids if queue_id not in excluded]


def select(settings: Queues, listing: Iterable[Queue]) -> list[Queue]:
    """The queues to poll: explicit ids (named where the listing knows them), then those whose names match.

    Patterns match the whole name, as `names.matches` says; `divisions` and `exclude` narrow what patterns found, and
    both also take ids. An explicit id is polled even where the listing does not know it: the API will answer for it.
    """
    known = {queue.id: queue for queue in listing}
    chosen = {queue.id: known.get(queue.id, queue) for queue in explicit(settings)}
    for queue in known.values():
        if (
            any(matches(pattern, queue.name or "") for pattern in settings.name_globs)
            and (not settings.divisions or any(in_division(entry, queue) for entry in settings.divisions))
            and not any(excludes(entry, queue) for entry in settings.exclude)
        ):
            chosen.setdefault(queue.id, queue)
    return list(chosen.values())


def in_division(entry: str, queue: Queue) -> bool:
    """Whether `entry` of queues.divisions means the division of `queue`, by name or by id."""
    by_id = queue.division_id is not None and entry.strip().lower() == queue.division_id.lower()
    return by_id or (queue.division is not None and matches(entry, queue.division))


def excludes(entry: str, queue: Queue) -> bool:
    """Whether `entry` of queues.exclude leaves `queue` out, by name or by id."""
    return entry.strip().lower() == queue.id or matches(entry, queue.name or "")


def unmatched(settings: Queues, listing: Sequence[Queue]) -> Unmatched:
    """The entries of `[queues]` that match no queue of `listing`, each on its own."""
    ids = {queue.id for queue in listing}
    names = tuple(
        entry
        for entry in settings.name_globs
        if not any(matches(entry, queue.name or "") for queue in listing)
    )
    divisions = tuple(
        entry for entry in settings.divisions if not any(in_division(entry, queue) for queue in listing)
    )
    exclude = tuple(
        entry for entry in settings.exclude if not any(excludes(entry, queue) for queue in listing)
    )
    return Unmatched(
        names=names,
        divisions=divisions,
        ids=tuple(dict.fromkeys(entry for entry in settings.ids if entry.lower() not in ids)),
        exclude=exclude,
        suggestions=tuple(_suggestions(names, divisions, exclude, listing)),
    )


def _suggestions(
    names: Sequence[str], divisions: Sequence[str], exclude: Sequence[str], listing: Sequence[Queue]
) -> Iterator[tuple[str, str]]:
    known_names = {queue.name for queue in listing if queue.name}
    known_divisions = {queue.division for queue in listing if queue.division}
    for entries, known in ((names, known_names), (divisions, known_divisions), (exclude, known_names)):
        for entry in entries[:MOST_SUGGESTIONS]:
            if text := suggestion(entry, known):
                yield entry, text


def changes(before: Sequence[Queue] | None, after: Sequence[Queue]) -> QueuesRefreshed | None:
    """What a discovery changed; None when nothing. `before` None is the first discovery."""
    if before is None:
        return QueuesRefreshed(
            total=len(after), added=len(after), removed=0, renamed=0, added_ids=[], removed_ids=[]
        )
    old, new = {queue.id: queue for queue in before}, {queue.id: queue for queue in after}
    added = [queue_id for queue_id in new if queue_id not in old]
    removed = [queue_id for queue_id in old if queue_id not in new]
    renamed = sum(1 for queue_id, queue in new.items() if queue_id in old and old[queue_id] != queue)
    if not (added or removed or renamed):
        return None
    return QueuesRefreshed(
        total=len(new),
        added=len(added),
        removed=len(removed),
        renamed=renamed,
        added_ids=added,
        removed_ids=removed,
    )
