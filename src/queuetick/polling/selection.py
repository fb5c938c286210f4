"""Which queues are polled: the org's listing, filtered as the configuration says, and what changed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from queuetick.config import Queues
from queuetick.events import Queue, QueuesRefreshed


def explicit(settings: Queues) -> list[Queue]:
    """The queues that are known before any discovery: the explicit ids, each once, without a name."""
    excluded = {pattern.lower() for pattern in settings.exclude}
    ids = dict.fromkeys(queue_id.lower() for queue_id in settings.ids)
    return [Queue(queue_id) for queue_id in ids if queue_id not in excluded]


def select(settings: Queues, listing: Iterable[Queue]) -> list[Queue]:
    """The queues to poll: explicit ids (named where the listing knows them), then what the globs let through.

    Globs match the whole name, case-insensitively; `divisions` and `exclude` narrow what globs found, and `exclude`
    also takes ids. An explicit id is polled even where the listing does not know it: the API will say.
    """
    known = {queue.id: queue for queue in listing}
    chosen = {queue.id: known.get(queue.id, queue) for queue in explicit(settings)}
    globs = [glob.lower() for glob in settings.name_globs]
    divisions = {division.lower() for division in settings.divisions}
    exclude = [glob.lower() for glob in settings.exclude]
    for queue in known.values():
        name = (queue.name or "").lower()
        if (
            _any_match(name, globs)
            and (
                not divisions
                or {(queue.division or "").lower(), (queue.division_id or "").lower()} & divisions
            )
            and not _any_match(name, exclude)
            and queue.id not in exclude
        ):
            chosen.setdefault(queue.id, queue)
    return list(chosen.values())


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


def _any_match(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
