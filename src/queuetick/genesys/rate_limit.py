"""The request budget of a token, and the pauses of its routes. Knows nothing of Genesys Cloud.

Invariant 1: in any 60 seconds no more requests leave, and no more arrive at the API, than the budget allows: the
configured one over all routes, and on each route what the API states as its limit.
Invariant 2: while a route, or the token, is paused, no request leaves on it.
Both hold over all threads. No call waits past the deadline that it was given.

The API counts a request when it arrives, at some moment between its leaving and its answer. So a request counts
against the budget from its leaving until 60 seconds after its answer: then a slow way there and a quick way a minute
later cannot put one too many into the API's window.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import get_args

from queuetick.clock import Stopped, full_jitter, utc
from queuetick.events import Event, PauseSource, RateLimit, RateLimitPaused, RateLimitResumed, Route

WINDOW = 60.0
"""Seconds over which the budget counts (facts, section 3.1: requests per minute and token)."""

BACKOFF_BASE = 3.0
BACKOFF_CAP = 60.0
"""Seconds. The n-th 429 in a row that names no time is answered by full jitter of these."""
BACKOFF_FLOOR = 0.5
"""Seconds; no pause is shorter, so that a Retry-After of a moment does not become a hot loop."""

LONGEST_RESET = 120.0
"""Seconds; a reset header beyond two windows is not believed unless a 429 came with it."""

LONGEST_HOLD = 300.0
"""Seconds; what a 503 asks for beyond that is not waited: an outage may end earlier than its Retry-After."""

BELIEVED_AFTER = 3
"""Answers of one route in a row that must state the same limit before it counts."""

LONGEST_BELIEF = 900.0
"""Seconds after which a limit that no answer has stated again counts no more."""

LONGEST_STRETCH = 280.0
"""Seconds within which a cycle's requests may always leave, whatever limit is stated. A stretched interval leaves 5 %
of the budget free, and so stays under five minutes."""


class Deferred(Exception):
    """No request may leave before the deadline; `until` is when one may (monotonic seconds)."""

    def __init__(self, until: float) -> None:
        super().__init__(f"deferred until {until:.3f}")
        self.until = until


class _Limit:
    """The requests, the stated limit and the pause of one route, or of the whole token."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.answered: deque[float] = deque()
        self.stated: int | None = None
        self.times_stated = 0
        self.allowed: int | None = None
        """The limit that is believed."""
        self.confirmed_at = 0.0
        """When an answer last stated it."""
        self.pause: RateLimitPaused | None = None
        self.paused_until = 0.0
        self.held_until = 0.0
        self.refusals = 0

    def count(self, now: float) -> int:
        while self.answered and self.answered[0] + WINDOW <= now:
            self.answered.popleft()
        return self.in_flight + len(self.answered)

    def ready_at(self, budget: float, now: float) -> float:
        """When the next request may leave (monotonic seconds); in the past when it may leave now."""
        ready = max(self.paused_until, self.held_until)
        excess = self.count(now) - budget
        if excess < 0:
            return ready
        if excess < len(self.answered):
            return max(ready, self.answered[int(excess)] + WINDOW)
        # The whole budget is under way: its answers must be a minute old first.
        return max(ready, now + WINDOW)


class RateLimiter:
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
        self._limits: dict[Route, _Limit] = {route: _Limit() for route in get_args(Route)}
        self._token = self._limits["token"]
        self._needed, self._interval = 0, WINDOW
        self.rate_limit: RateLimit | None = None
        """What the last observations answer with rate-limit headers said."""

    @property
    def budget(self) -> int:
        """Requests a minute for observations: the smaller of the setting and the limit that the API states."""
        return int(min(self._configured, self._allowed("observations")))

    @property
    def stated_limits(self) -> dict[str, int]:
        """Requests a minute by route, of those limits that the API states and that are believed."""
        return {route: limit.allowed for route, limit in self._limits.items() if limit.allowed is not None}

    def _allowed(self, route: Route) -> float:
        """Requests a minute that `route` may send.

        Observations may always send so many that a cycle fits into `LONGEST_STRETCH`; stats what observations and
        the listing leave.
        """
        stated = self._limits[route].allowed
        allowed = math.inf if stated is None else stated
        if route == "stats":
            needed = math.ceil(self._needed * WINDOW / self._interval)
            listed = self._limits["listing"].count(self._monotonic())
            return min(allowed, max(0, self._configured - needed - listed))
        return max(allowed, math.ceil(self._needed * WINDOW / LONGEST_STRETCH))

    @property
    def used(self) -> int:
        """Requests that count against the budget now: under way, or answered within the last 60 seconds."""
        with self._lock:
            return self._token.count(self._monotonic())

    def configure(self, requests_per_minute: int) -> None:
        """Put another budget in force; what was sent before still counts."""
        self._configured = requests_per_minute

    def expect(self, requests: int, interval: float = WINDOW) -> None:
        """Set how many requests a cycle needs, every `interval` seconds.

        No stated limit makes them take longer than `LONGEST_STRETCH`, and stats leave them their share of the budget.
        """
        self._needed, self._interval = requests, interval

    def paused_for(self, route: Route = "observations") -> float:
        """Seconds that a pause of `route`, or of the token, has still to run; 0 when there is none."""
        until = max(self._token.paused_until, self._limits[route].paused_until)
        return max(0.0, until - self._monotonic())

    def expire(self, at: float | None = None) -> None:
        """Emit RateLimitResumed for each pause that is over at `at` (monotonic seconds), by default now.

        Forget the limits that the API has stopped to state.
        """
        ended: list[RateLimitPaused] = []
        with self._lock:
            at = self._monotonic() if at is None else at
            for limit in self._limits.values():
                if limit.pause is not None and limit.paused_until <= at:
                    ended.append(limit.pause)
                    limit.pause = None
                if limit.confirmed_at + LONGEST_BELIEF <= at:
                    limit.allowed = None
        for pause in ended:
            self._emit(
                RateLimitResumed(
                    route=pause.route, retry_after_seconds=pause.retry_after_seconds, source=pause.source
                )
            )

    def acquire(self, route: Route, deadline: float) -> None:
        """Block until the budget allows one more request on `route`, and reserve it.

        Always call `release(route)` afterwards, also after an error. Raises Deferred when no request may leave before
        `deadline` (monotonic seconds), Stopped when the daemon stops.
        """
        while True:
            self.expire()
            with self._lock:
                now = self._monotonic()
                limit = self._limits[route]
                ready = max(
                    self._token.ready_at(self._configured, now), limit.ready_at(self._allowed(route), now)
                )
                if now >= deadline:
                    raise Deferred(max(ready, now))
                if ready <= now:
                    self._token.in_flight += 1
                    limit.in_flight += 1
                    return
            if ready >= deadline:
                raise Deferred(ready)
            if self._wait(ready - now):
                raise Stopped

    def release(self, route: Route) -> None:
        """Record that a request was answered, or given up: it counts for 60 seconds more."""
        with self._lock:
            for limit in (self._token, self._limits[route]):
                limit.in_flight -= 1
                limit.answered.append(self._monotonic())

    def update_from_headers(self, route: Route, rate_limit: RateLimit | None) -> None:
        """Take in the rate-limit headers of an answer, None when it had none.

        A limit counts for its route after `BELIEVED_AFTER` answers in a row that state it. A window that the API then
        calls used up is waited out: the next request would be answered 429. No event, for nothing was refused.
        """
        if rate_limit is None:
            return
        if route == "observations":
            self.rate_limit = rate_limit
        allowed, used, reset = rate_limit.allowed, rate_limit.used, rate_limit.reset_seconds
        if not allowed:
            return
        with self._lock:
            limit = self._limits[route]
            limit.times_stated = limit.times_stated + 1 if allowed == limit.stated else 1
            limit.stated = allowed
            if limit.times_stated >= BELIEVED_AFTER:
                limit.allowed = allowed
            if limit.allowed == allowed:
                limit.confirmed_at = self._monotonic()
            used_up = used is not None and used >= self._allowed(route)
            if limit.allowed == allowed and used_up and reset is not None and 0 < reset <= LONGEST_RESET:
                limit.held_until = max(limit.held_until, self._monotonic() + reset)

    def reset_backoff(self, route: Route) -> None:
        """Record an answer other than 429: the next 429 without a time starts the backoff from its base."""
        self._token.refusals = self._limits[route].refusals = 0

    def hold(self, route: Route, seconds: float) -> None:
        """Send nothing on `route` for `seconds`, at most `LONGEST_HOLD`: a 503 asked for it. No event."""
        with self._lock:
            limit = self._limits[route]
            limit.held_until = max(limit.held_until, self._monotonic() + min(seconds, LONGEST_HOLD))

    def pause(self, route: Route, seconds: float | None, source: PauseSource) -> None:
        """Send nothing on `route` for `seconds`, or back off when it is None: a 429 came. "token" is every route."""
        with self._lock:
            limit = self._limits[route]
            burst = limit.paused_until > self._monotonic()
            if not burst:
                limit.refusals += 1
            if seconds is None:
                if burst:
                    return  # one of several that were under way together: the first has begun the backoff
                seconds = full_jitter(limit.refusals - 1, BACKOFF_BASE, BACKOFF_CAP, self._uniform)
            begun = self._begin_pause(limit, route, max(BACKOFF_FLOOR, seconds), source)
        if begun is not None:
            self._emit(begun)

    def _begin_pause(
        self, limit: _Limit, route: Route, seconds: float, source: PauseSource
    ) -> RateLimitPaused | None:
        """Pause, unless a longer pause is in force. Return the event to emit: one for the 429s of one burst."""
        until = self._monotonic() + seconds
        if until <= limit.paused_until:
            return None
        # A burst's other 429s name the same moment a little later: extend without another event.
        known = limit.pause is not None and until - limit.paused_until < max(1.0, 0.05 * seconds)
        limit.paused_until = until
        if known:
            return None
        limit.pause = RateLimitPaused(
            route=route,
            retry_after_seconds=round(seconds, 3),
            source=source,
            until=utc(self._now() + seconds),
        )
        return limit.pause
