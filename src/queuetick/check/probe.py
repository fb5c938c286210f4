"""What came back during a check: the facts that the client path emits, and the clock of every answer."""

from __future__ import annotations

import email.utils
import threading
from collections.abc import Callable

from queuetick.check.result import Check, passed, skipped, warned
from queuetick.events import (
    BatchFailed,
    Fact,
    QueueInvalid,
    QueueMissing,
    QueueSnapshot,
    RateLimitPaused,
    TokenRenewed,
)
from queuetick.genesys.transport import Response

SKEW_WARNING = 5.0
"""Seconds. An age such as longest_wait_seconds is this machine's clock minus an instant of the API's, so it is wrong by
the skew; a third of the default interval is where that is seen on a screen. Date has whole seconds, an answer takes up
to one."""


class Heard:
    """Listens to a session, from any thread."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.missing: dict[str, QueueMissing] = {}
        self.invalid: dict[str, QueueInvalid] = {}
        self.failed: dict[str, BatchFailed] = {}
        self.answered: set[str] = set()
        self.pause: RateLimitPaused | None = None
        """The first pause that the API asked for."""
        self.token_lifetime: float | None = None
        self.skews: list[float] = []
        """This machine's clock minus the server's, one per answer with a Date header, in seconds."""

    def take(self, *facts: Fact) -> None:
        with self._lock:
            for fact in facts:
                if isinstance(fact, QueueSnapshot):
                    self.answered.add(fact.queue_id)
                elif isinstance(fact, QueueMissing):
                    self.missing[fact.queue_id] = fact
                elif isinstance(fact, QueueInvalid):
                    self.invalid[fact.queue_id] = fact
                elif isinstance(fact, BatchFailed):
                    self.failed.update(dict.fromkeys(fact.queue_ids, fact))
                elif isinstance(fact, RateLimitPaused):
                    self.pause = self.pause or fact
                elif isinstance(fact, TokenRenewed):
                    self.token_lifetime = fact.expires_in_seconds

    def answer(self, response: Response) -> None:
        arrived = self._now()
        try:
            date = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        self.skews.append(arrived - (date + 0.5))  # Date cuts off the fraction of the second


def clock(heard: Heard) -> Check:
    """This machine's clock against the Date header of the answers so far; the answer with the least skew counts."""
    if not heard.skews:
        return skipped("clock", "no answer with a Date header came")
    skew = min(heard.skews, key=abs)
    seconds = round(skew, 1)
    if abs(skew) > SKEW_WARNING:
        direction = "ahead of" if skew > 0 else "behind"
        return warned(
            "clock",
            f"this machine's clock is {abs(skew):.0f} s {direction} the API's: every age and "
            "timestamp in the lines is wrong by as much",
            "synchronise it (`timedatectl set-ntp true`, or chrony)",
            skew_seconds=seconds,
        )
    return passed("clock", f"within {max(1, round(abs(skew)))} s of the API's", skew_seconds=seconds)
