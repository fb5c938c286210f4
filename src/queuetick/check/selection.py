"""What the configuration selects from the org's queues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queuetick.check.result import Check, Item, failed, skipped, worst
from queuetick.config import Queues
from queuetick.events import Queue
from queuetick.polling.selection import unmatched


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
        ("divisions", found.divisions, "is not a division with a queue that the client may see", listed),
    )
    return [
        Item(entry, "warn", f"{key(name)} {entry!r} {words}", nearest.get(entry, otherwise))
        for name, entries, words, otherwise in kinds
        for entry in entries
    ]


def not_listed(settings: Queues) -> Check:
    """Without a listing only explicit ids can be checked."""
    if settings.ids:
        return skipped("selection", "without a listing only queues.ids are known")
    return skipped("selection", "the queues could not be listed")
