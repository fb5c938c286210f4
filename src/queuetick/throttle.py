"""The token's request budget and its pauses. Knows nothing of Genesys Cloud.

Law 1: in any 60 seconds no more requests leave than the budget allows.
Law 2: while a pause lasts, no request leaves.
Both hold for the whole token, over all threads. Nobody waits past the deadline it gave.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from queuetick.events import Event, PauseSource, RateLimitPaused, RateLimitResumed
from queuetick.instants import utc
from queuetick.model import RateLimit

WINDOW = 60.0
"""Seconds over which the budget counts (facts, section 3.1: requests per minute and token)."""

BACKOFF_BASE = 3.0
BACKOFF_CAP = 60.0
"""Seconds. A 429 that names no time is answered by full jitter: uniform in 0..min(cap, base * 2**n) for the n-th in a
row, and never less than `BACKOFF_FLOOR`."""
BACKOFF_FLOOR = 0.5

LONGEST_RESET = 120.0
"""Seconds; a reset header beyond two windows is not believed unless a 429 came with it."""


class Deferred(Exception):
    """No request may leave before the deadline; `until` is when one may (monotonic seconds)."""

    def __init__(self, until: float) -> None:
        super().__init__(f"deferred until {until:.3f}")
        self.until = until


class Stopping(Exception):
    """The wait was ended by stop."""


class Throttle:
    """Admits requests, one at a time, for any number of threads."""

    def __init__(
        self,
        requests_per_minute: int,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], float],
        wait: Callable[[float], bool],
        uniform: Callable[[float, float], float],
        emit: Callable[[Event], None],
    ) -> None:
        """`wait(seconds)` returns True when the daemon is stopping; `uniform` is `random.Random.uniform`."""
        self._configured = requests_per_minute
        self._monotonic = monotonic
        self._now = now
        self._wait = wait
        self._uniform = uniform
        self._emit = emit
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._allowed: int | None = None
        self._pause: RateLimitPaused | None = None
        self._paused_until = 0.0
        self._in_a_row = 0
        self.rate_limit: RateLimit | None = None
        """What the last answer with rate-limit headers said."""

    @property
    def budget(self) -> int:
        """Requests a minute: the smaller of the setting and what the API says it allows."""
        return min(self._configured, self._allowed) if self._allowed else self._configured

    @property
    def used(self) -> int:
        """Requests sent within the last 60 seconds."""
        with self._lock:
            self._prune(self._monotonic())
            return len(self._sent)

    def configure(self, requests_per_minute: int) -> None:
        """Put another budget in force; what was sent before still counts."""
        self._configured = requests_per_minute

    def paused_for(self) -> float:
        """Seconds that a pause has still to run, 0 when there is none; says once that a pause is over."""
        resumed = None
        with self._lock:
            left = self._paused_until - self._monotonic()
            if left <= 0 and self._pause is not None:
                resumed, self._pause = self._pause, None
        if resumed is not None:
            self._emit(
                RateLimitResumed(retry_after_seconds=resumed.retry_after_seconds, source=resumed.source)
            )
        return max(0.0, left)

    def acquire(self, deadline: float) -> None:
        """Wait for leave to send one request, and count it.

        Raises Deferred when that would be at or after `deadline` (monotonic seconds), Stopping when stop ends the wait.
        """
        while True:
            self.paused_for()
            with self._lock:
                now = self._monotonic()
                self._prune(now)
                ready = max(self._paused_until, self._slot())
                if now >= deadline:
                    raise Deferred(max(ready, now))
                if ready <= now:
                    self._sent.append(now)
                    return
            if ready >= deadline:
                raise Deferred(ready)
            if self._wait(ready - now):
                raise Stopping

    def observe(self, rate_limit: RateLimit | None) -> None:
        """Take in the rate-limit headers of an answer, None when it had none.

        A window that the API calls used up is waited out as if it had answered 429 already.
        """
        if rate_limit is None:
            return
        self.rate_limit = rate_limit
        if rate_limit.allowed:
            self._allowed = rate_limit.allowed
        if (
            rate_limit.allowed
            and rate_limit.used is not None
            and rate_limit.used >= rate_limit.allowed
            and rate_limit.reset_seconds is not None
            and 0 < rate_limit.reset_seconds <= LONGEST_RESET
        ):
            self._begin_pause(rate_limit.reset_seconds, "reset-header")

    def admitted(self) -> None:
        """An answer other than 429 came: the next 429 without a time starts the backoff anew."""
        self._in_a_row = 0

    def pause(self, seconds: float | None, source: PauseSource) -> None:
        """A 429 came: hold every request for `seconds`, or back off when it is None."""
        with self._lock:
            self._in_a_row += 1
            if seconds is None:
                most = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(self._in_a_row - 1, 10))
                seconds = max(BACKOFF_FLOOR, self._uniform(0.0, most))
        self._begin_pause(seconds, source)

    def _begin_pause(self, seconds: float, source: PauseSource) -> None:
        """Pause, unless a longer one is in force: the 429s of one burst are one pause and one line."""
        with self._lock:
            until = self._monotonic() + seconds
            if until <= self._paused_until:
                return
            # A burst's other 429s name the same moment a little later: extend without another line.
            known = self._pause is not None and until - self._paused_until < max(1.0, 0.05 * seconds)
            self._paused_until = until
            if known:
                return
            self._pause = RateLimitPaused(
                retry_after_seconds=round(seconds, 3), source=source, until=utc(self._now() + seconds)
            )
            paused = self._pause
        self._emit(paused)

    def _prune(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - WINDOW:
            self._sent.popleft()

    def _slot(self) -> float:
        """When the window has room (monotonic seconds); in the past when it has now."""
        if len(self._sent) < self.budget:
            return 0.0
        return self._sent[len(self._sent) - self.budget] + WINDOW
