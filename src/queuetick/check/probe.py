"""What a check notes beside the results of its requests: pauses, the token's lifetime, the clock of every answer."""

from __future__ import annotations

import email.utils
import threading
from collections.abc import Callable

from queuetick.check.report import Noted
from queuetick.check.result import Check, passed, skipped, warned
from queuetick.events import Fact, MetricRefused, RateLimitPaused, TokenRenewed
from queuetick.genesys.transport import Response

SKEW_WARNING = 5.0
"""Seconds. An age such as longest_wait_seconds is this machine's clock minus an instant of the API's, so it is wrong by
the skew; a third of the default interval is where that is seen on a screen. Date has whole seconds, an answer takes up
to one."""


class Probe:
    """Notes what passes through an org, from any thread."""

    def __init__(self, now: Callable[[], float], *, keep_answers: bool = False) -> None:
        self._now = now
        self._keep_answers = keep_answers
        self._lock = threading.Lock()
        self.pause: RateLimitPaused | None = None
        """The first pause that the API asked for."""
        self.token_lifetime: float | None = None
        self.refused_metrics: list[str] = []
        """Metrics that the organisation does not offer."""
        self.answers: list[Noted] = []
        """Every answer, for the report."""
        self.skews: list[float] = []
        """This machine's clock minus the server's, one per answer with a Date header, in seconds."""

    def note(self, *events: Fact) -> None:
        with self._lock:
            for event in events:
                if isinstance(event, RateLimitPaused):
                    self.pause = self.pause or event
                elif isinstance(event, TokenRenewed):
                    self.token_lifetime = event.expires_in_seconds
                elif isinstance(event, MetricRefused):
                    self.refused_metrics.append(event.metric)

    def note_answer(self, method: str, url: str, response: Response) -> None:
        if self._keep_answers:
            self.answers.append((method, url, response))
        arrived = self._now()
        try:
            date = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        self.skews.append(arrived - (date + 0.5))  # Date cuts off the fraction of the second


def clock(probe: Probe) -> Check:
    """This machine's clock against the Date header of the answers so far; the answer with the least skew counts."""
    if not probe.skews:
        return skipped("clock", "no answer with a Date header came")
    skew = min(probe.skews, key=abs)
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
