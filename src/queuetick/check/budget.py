"""The sum: requests that queues, batch size and interval need, against what the token may send."""

from __future__ import annotations

import math
from typing import Any

from queuetick.check.result import Check, failed, passed, warned
from queuetick.config import Config
from queuetick.genesys.listing import PAGE_SIZE
from queuetick.polling.capacity import (
    MAX_BATCH_SIZE,
    fitting_batch_size,
    interval_in_force,
    shortest_interval,
)

MONTH = 30 * 86400
"""Seconds, as the facts page counts fair use."""

TIGHT = 0.8
"""Share of the budget above which retries have too little room; what is advised keeps below it."""


def budget(config: Config, queues: int, listed: int | None, allowed: int, stated: int | None) -> Check:
    """`allowed` requests a minute are in force; `stated` is what the API's own headers say, where they do."""
    poll = config.poll
    batches = math.ceil(queues / poll.batch_size)
    needed = batches * 60 / poll.interval
    share = needed / allowed
    room = max(1, int(allowed * TIGHT))
    size = fitting_batch_size(queues, poll.interval, room)
    interval = max(float(poll.interval), shortest_interval(batches, room) if batches else 0.0)
    month = round(batches * MONTH / poll.interval)
    pages = math.ceil((listed or 0) / PAGE_SIZE)
    evidence: dict[str, Any] = {
        "queues": queues,
        "batches": batches,
        "requests_per_minute_needed": round(needed, 1),
        "requests_per_minute_allowed": allowed,
        "requests_per_minute_stated": stated,
        "share": round(share, 3),
        "requests_per_month": month,
        "listing_requests_per_month": round(pages * MONTH / config.queues.refresh),
        "fitting_batch_size": size,
        "fitting_interval": interval,
    }
    limit = f"{allowed} a minute" + (" (the API's own limit)" if stated == allowed else "")
    message = (
        f"{queues} queues in batches of {poll.batch_size} every {poll.interval:g} s are {needed:.4g} requests "
        f"a minute, {100 * share:.3g} % of {limit}; {month:,} in 30 days"
    )
    if share > 1:
        stretched = interval_in_force(batches, float(poll.interval), allowed)
        message += f": the daemon would stretch the interval to {stretched:g} s"
        return failed("budget", message, _fix(size, interval, queues, room), **evidence)
    if share > TIGHT:
        message += ": that leaves little room for retries"
        return warned("budget", message, _fix(size, interval, queues, room), **evidence)
    return passed("budget", message, **evidence)


def _fix(size: int | None, interval: float, queues: int, room: int) -> str:
    if size is not None:
        return f"set poll.batch_size to {size} at this interval, or poll.interval to {interval:g} at this batch size"
    widest = shortest_interval(math.ceil(queues / MAX_BATCH_SIZE), room)
    return f"set poll.batch_size to {MAX_BATCH_SIZE} and poll.interval to {widest:g}, or poll fewer queues"
