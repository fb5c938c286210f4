"""The token's request budget and its pauses. Knows nothing of Genesys Cloud.

Law 1: in any 60 seconds no more requests leave, and no more arrive at the API, than the budget allows.
Law 2: while a pause lasts, no request leaves.
Both hold for the whole token, over all threads. Nobody waits past the deadline it gave.

The API counts a request when it arrives, at some moment between its leaving and its answer. So a request takes its
place in the budget from its leaving until 60 seconds after its answer: then a slow way there and a quick way a minute
later cannot put one too many into the API's window.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from queuetick.clock import Stopped, utc
from queuetick.events import Event, PauseSource, RateLimit, RateLimitPaused, RateLimitResumed

WINDOW = 60.0
"""Seconds over which the budget counts (facts, section 3.1: requests per minute and token)."""

BACKOFF_BASE = 3.0
BACKOFF_CAP = 60.0
"""Seconds. A 429 that names no time is answered by full jitter: uniform in 0..min(cap, base * 2**n) for the n-th in a
row."""
BACKOFF_FLOOR = 0.5
"""Seconds; no pause is shorter, so that a Retry-After of a moment does not become a hot loop."""

LONGEST_RESET = 120.0
"""Seconds; a reset header beyond two windows is not believed unless a 429 came with it."""


class Deferred(Exception):
    """No request may leave before the deadline; `until` is when one may (monotonic seconds)."""

    def __init__(self, until: float) -> None:
        super().__init__(f"deferred until {until:.3f}")
        self.until = until


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
        self._in_flight = 0
        self._answered: deque[float] = deque()
        self._allowed: int | None = None
        self._pause: RateLimitPaused | None = None
        self._paused_until = 0.0
        self._held_until = 0.0
        self._in_a_row = 0
        self.rate_limit: RateLimit | None = None
        """What the last answer with rate-limit headers said."""

    @property
    def budget(self) -> int:
        """Requests a minute: the smaller of the setting and what the API says it allows."""
        return min(self._configured, self._allowed) if self._allowed else self._configured

    @property
    def used(self) -> int:
        """Requests that count against the budget now: under way, or answered within the last 60 seconds."""
        with self._lock:
            self._prune(self._monotonic())
            return self._in_flight + len(self._answered)

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
        """Wait for leave to send one request, and count it; `answered()` must follow, whatever becomes of it.

        Raises Deferred when that would be at or after `deadline` (monotonic seconds), Stopped when stop ends the wait.
        """
        while True:
            self.paused_for()
            with self._lock:
                now = self._monotonic()
                self._prune(now)
                ready = max(self._paused_until, self._held_until, self._slot(now))
                if now >= deadline:
                    raise Deferred(max(ready, now))
                if ready <= now:
                    self._in_flight += 1
                    return
            if ready >= deadline:
                raise Deferred(ready)
            if self._wait(ready - now):
                raise Stopped

    def answered(self) -> None:
        """The request was answered, or given up: its place is free again in 60 seconds."""
        with self._lock:
            self._in_flight -= 1
            self._answered.append(self._monotonic())

    def observe(self, rate_limit: RateLimit | None) -> None:
        """Take in the rate-limit headers of an answer, None when it had none.

        A window that the API calls used up is waited out: the next request would be answered 429. No pause and no
        line, for nothing was refused; a cycle that waits for its end too long says so by its deferred queues.
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
            with self._lock:
                self._held_until = max(self._held_until, self._monotonic() + rate_limit.reset_seconds)

    def admitted(self) -> None:
        """An answer other than 429 came: the next 429 without a time starts the backoff anew."""
        self._in_a_row = 0

    def pause(self, seconds: float | None, source: PauseSource) -> None:
        """A 429 came: hold every request for `seconds`, or back off when it is None."""
        with self._lock:
            burst = self._paused_until > self._monotonic()
            if not burst:
                self._in_a_row += 1
            if seconds is None:
                if burst:
                    return  # one of several that were under way together: the first has begun the backoff
                seconds = self._uniform(
                    0.0, min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(self._in_a_row - 1, 10))
                )
        self._begin_pause(max(BACKOFF_FLOOR, seconds), source)

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
        while self._answered and self._answered[0] + WINDOW <= now:
            self._answered.popleft()

    def _slot(self, now: float) -> float:
        """When the budget has room (monotonic seconds); in the past when it has now."""
        excess = self._in_flight + len(self._answered) - self.budget
        if excess < 0:
            return 0.0
        if excess < len(self._answered):
            return self._answered[excess] + WINDOW
        return now + WINDOW  # all of the budget is under way: not before its answers are a minute old
