"""The sums: requests against what the token may send, and a cycle's requests against the interval."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from queuetick.check.result import Check, failed, passed, warned
from queuetick.config import Config, Poll
from queuetick.genesys.listing import PAGE_SIZE
from queuetick.polling.capacity import (
    MAX_BATCH_SIZE,
    interval_in_force,
    shortest_interval,
    stats_requests_per_minute,
)
from queuetick.polling.runner import CYCLE_SHARE

MONTH = 30 * 86400
"""Seconds, as the facts page counts fair use."""

TIGHT = 0.8
"""Share of the budget, or of a cycle, above which retries have too little room; what is advised keeps below it."""

MAX_CONCURRENCY = 64


class Measured(Struct, frozen=True):
    """What a check knows about the org: see `budget`."""

    queues: int
    """Queues that are selected."""
    listed: int | None
    """Queues in the listing, where there is one."""
    allowed: int
    """Requests a minute that are in force."""
    stated: int | None
    """Requests a minute that the API's own headers state, where they do."""
    latency: float | None
    """Seconds that one query took."""


def budget(config: Config, known: Measured) -> Check:
    """Whether the token's budget and the interval have room for what is configured, and which setting would fit."""
    poll, queues, allowed = config.poll, known.queues, known.allowed
    batches = math.ceil(queues / poll.batch_size)
    for_stats = stats_requests_per_minute(queues, config.stats.every)
    needed = batches * 60 / poll.interval
    used = needed + (for_stats if config.stats.enabled else 0.0)
    share = used / allowed
    room = max(1, int(allowed * TIGHT - (used - needed)))
    latency = known.latency or 0.0
    size = _fitting_size(poll, queues, latency, room)
    interval = max(float(poll.interval), _interval_for(batches, room, poll.concurrency, latency))
    month = round(batches * MONTH / poll.interval)
    pages = math.ceil((known.listed or 0) / PAGE_SIZE)
    seconds = None if known.latency is None else _cycle_seconds(batches, poll.concurrency, known.latency)
    evidence: dict[str, Any] = {
        "queues": queues,
        "batches": batches,
        "requests_per_minute_needed": round(used, 1),
        "requests_per_minute_stats": round(for_stats, 1),
        "requests_per_minute_allowed": allowed,
        "requests_per_minute_stated": known.stated,
        "share": round(share, 3),
        "requests_per_month": month,
        "listing_requests_per_month": round(pages * MONTH / config.queues.refresh),
        "fitting_batch_size": size,
        "fitting_interval": interval,
        "request_seconds": None if known.latency is None else round(known.latency, 3),
        "cycle_seconds": None if seconds is None else round(seconds, 3),
    }
    limit = f"{allowed} a minute" + (" (the API's own limit)" if known.stated == allowed else "")
    message = (
        f"{queues} queues in batches of {poll.batch_size} every {poll.interval:g} s are {needed:.4g} requests "
        f"a minute"
    )
    if config.stats.enabled:
        message += f" and queue.stats {for_stats:.4g}"
    message += f", {100 * share:.3g} % of {limit}; {month:,} in 30 days"
    fix = (
        f"set poll.batch_size to {size} at this interval, or poll.interval to {interval:g} at this batch size"
    )
    if size is None:
        widest = _interval_for(math.ceil(queues / MAX_BATCH_SIZE), room, poll.concurrency, latency)
        fix = f"set poll.batch_size to {MAX_BATCH_SIZE} and poll.interval to {widest:g}, or poll fewer queues"
    if share > 1:
        stretched = interval_in_force(batches, float(poll.interval), allowed)
        if stretched > poll.interval:
            message += f": the daemon would stretch the interval to {stretched:g} s"
        else:
            message += ": queue.stats would get what the observations leave, and come late"
        return failed("budget", message, fix, **evidence)
    if seconds is not None and seconds > CYCLE_SHARE * poll.interval:
        message = _too_slow(config, batches, latency, seconds)
        return failed("budget", message, _faster(poll, queues, latency), **evidence)
    if share > TIGHT:
        message += ": that leaves little room for retries"
        return warned("budget", message, fix, **evidence)
    if seconds is not None and seconds > TIGHT * CYCLE_SHARE * poll.interval:
        message = f"{_too_slow(config, batches, latency, seconds)}, with little room for retries"
        return warned("budget", message, _faster(poll, queues, latency), **evidence)
    if not config.stats.enabled and queues:
        message += f"; queue.stats ([stats] enabled) would add {for_stats:.4g} a minute"
    return passed("budget", message, **evidence)


def _cycle_seconds(batches: int, concurrency: int, latency: float) -> float:
    return math.ceil(batches / concurrency) * latency


def _too_slow(config: Config, batches: int, latency: float, seconds: float) -> str:
    poll = config.poll
    return (
        f"{batches} requests of {latency:.2g} s each, {poll.concurrency} at once, take {seconds:.3g} s, and a cycle of "
        f"{poll.interval:g} s begins requests for {CYCLE_SHARE * poll.interval:.3g} s"
    )


def _interval_for(batches: int, room: int, concurrency: int, latency: float) -> float:
    """Seconds: the shortest interval that a budget of `room` requests a minute and the latency leave room for."""
    if not batches:
        return 0.0
    exact = _cycle_seconds(batches, concurrency, latency) / (TIGHT * CYCLE_SHARE)
    return max(shortest_interval(batches, room), float(math.ceil(exact)) if exact > 1 else 0.0)


def _in_time(poll: Poll, queues: int, latency: float, *, size: int, concurrency: int) -> bool:
    """Whether a cycle has time for its requests, with room for retries."""
    seconds = _cycle_seconds(math.ceil(queues / size), concurrency, latency)
    return seconds <= TIGHT * CYCLE_SHARE * poll.interval


def _fitting_size(poll: Poll, queues: int, latency: float, room: float = math.inf) -> int | None:
    """The smallest batch size with which a cycle has time and budget for its requests."""
    for size in range(1, MAX_BATCH_SIZE + 1):
        within = math.ceil(queues / size) * 60 / poll.interval <= room
        if within and _in_time(poll, queues, latency, size=size, concurrency=poll.concurrency):
            return size
    return None


def _faster(poll: Poll, queues: int, latency: float) -> str:
    """The smallest batch size, and the smallest concurrency, with which a cycle keeps below its share."""
    fixes = []
    if (size := _fitting_size(poll, queues, latency)) is not None:
        fixes.append(f"set poll.batch_size to {size}")
    for threads in range(1, MAX_CONCURRENCY + 1):
        if _in_time(poll, queues, latency, size=poll.batch_size, concurrency=threads):
            fixes.append(f"set poll.concurrency to {threads}")
            break
    widest = _cycle_seconds(math.ceil(queues / MAX_BATCH_SIZE), MAX_CONCURRENCY, latency) / (
        TIGHT * CYCLE_SHARE
    )
    slower = f"set poll.batch_size to {MAX_BATCH_SIZE}, poll.concurrency to {MAX_CONCURRENCY} and poll.interval to "
    return " or ".join(fixes) or f"{slower}{max(poll.interval, math.ceil(widest)):g}"
