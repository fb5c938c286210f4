"""Which interval and which batch size a budget of requests a minute holds. Pure sums."""

from __future__ import annotations

import math

MAX_BATCH_SIZE = 200
"""Queues a request, the API's own maximum (facts, section 1.1)."""

HEADROOM = 0.95
"""Share of the budget that a stretched interval uses. All of it would leave none for discoveries and retries, and each
minute's cycles would begin later by one answer's time, until one runs out of its interval."""

MAX_STATS_QUEUES = 100
"""Queues a request for queue.stats (facts, section 13)."""


def stats_requests_per_minute(queues: int, every: float) -> float:
    """Requests a minute that queue.stats takes for `queues`, asked for every so many seconds."""
    return math.ceil(queues / MAX_STATS_QUEUES) * 60 / every


def fitting_batch_size(queues: int, interval: float, budget: int) -> int | None:
    """The smallest batch size at which `queues` stay within `budget` requests a minute; None when 200 is too small."""
    batches = math.floor(budget * interval / 60 + 1e-9)  # a batch too many would be over: whole ones only
    size = math.ceil(queues / batches) if batches else MAX_BATCH_SIZE + 1
    return size if size <= MAX_BATCH_SIZE else None


def interval_in_force(batches: int, wanted: float, budget: int) -> float:
    """Seconds: the `wanted` interval where the budget holds it, else the shortest that leaves `HEADROOM`."""
    if batches * 60 <= budget * wanted + 1e-9:
        return wanted
    return shortest_interval(batches, budget * HEADROOM)


def shortest_interval(batches: int, budget: float) -> float:
    """Seconds: the shortest interval at which `batches` requests a cycle stay within `budget` requests a minute.

    Whole seconds, so that the grid stays one that a person can read; tenths below one second.
    """
    exact = batches * 60 / budget
    return float(math.ceil(exact)) if exact > 1 else math.ceil(exact * 10 - 1e-9) / 10
