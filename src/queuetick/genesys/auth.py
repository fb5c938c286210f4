"""The access token: renewed ahead of its end, by one thread at a time.

A token may become invalid earlier (idle timeout, revoked; facts, section 2): a 401 renews it once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from queuetick.clock import full_jitter
from queuetick.events import Event, PauseSource, Route, TokenRenewed
from queuetick.genesys.errors import (
    LoginFailed,
    LoginRefused,
    RateLimited,
    Transient,
    Unreachable,
)
from queuetick.genesys.headers import MAX_PAUSE
from queuetick.genesys.login import Token

MIN_LOGIN_DISTANCE = 5.0
"""Seconds between two logins when the first failed, or when its `expires_in` is shorter."""

MAX_LOGIN_DISTANCE = 300.0
"""Seconds; how slow logins become while the credentials, or the tokens they bring, are refused."""

MAX_FAULTY_DISTANCE = 60.0
"""Seconds; how slow they become while the token endpoint answers 5xx, 429 or an unusable body: that passes."""

MAX_UNREACHABLE_DISTANCE = 12.0
"""Seconds; under the default interval, so that each cycle of an outage tries once."""


@dataclass
class TokenState:
    """What is known of an OAuth client's token and of its last logins. Change it with `lock` held."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: Token | None = None
    renew_at: float = 0.0
    expires_at: float = 0.0
    """Both in monotonic seconds."""
    accepted: bool = False
    on_trial: bool = False
    """The token took the place of a rejected one, and no answer has accepted it yet."""
    refused: set[str] = field(default_factory=set)
    """Queue ids and paths of requests that were answered 401, and not answered since: those cost no further login."""
    useless_until: float = -math.inf
    """A login did not help such a request: until then (monotonic seconds) no 401 costs one."""
    failures: int = 0
    """Logins in a row that failed, or whose token was rejected."""
    next_try: float = -math.inf
    """When the next login may be tried (monotonic seconds)."""
    last_error: LoginFailed | None = None
    reason: Literal["start", "expiring", "rejected"] = "start"


class TokenSource:
    """The token of an account, by one way to log in, for any number of threads."""

    def __init__(
        self,
        login: Callable[[], Token],
        state: TokenState,
        *,
        monotonic: Callable[[], float],
        emit: Callable[[Event], None],
        redact: Callable[[str], None],
        uniform: Callable[[float, float], float],
        pause: Callable[[Route, float, PauseSource], None],
    ) -> None:
        """`redact(token)` is called with each new token before anything else, so that no line can hold it.

        `pause(route, seconds, source)` is called when a login is answered 429 (`RateLimiter.pause`). `state` is the
        account's: several sources of the same account share it, also its lock.
        """
        self._login = login
        self._state = state
        self._monotonic = monotonic
        self._emit = emit
        self._redact = redact
        self._uniform = uniform
        self._pause = pause

    def token(self) -> Token:
        """Return the token to send now; pass it to `renew` or `accepted` afterwards.

        Raises LoginFailed, LoginRefused or Stopped when there is none.
        """
        token = self._state.token
        if token is not None and self._monotonic() < self._state.renew_at:
            return token
        if not self._state.lock.acquire(blocking=False):
            # Another thread renews it. Until it expires the token is valid: no other thread waits for a slow login.
            if token is not None and self._monotonic() < self._state.expires_at:
                return token
            self._state.lock.acquire()
        try:
            now = self._monotonic()
            if self._state.token is not None and now < self._state.renew_at:
                return self._state.token  # another thread has just renewed it
            try:
                return self._renew()
            except LoginFailed:
                if self._state.token is not None and self._monotonic() < self._state.expires_at:
                    return self._state.token  # renewal was ahead of time: the old one is still valid
                self._state.token = None
                raise
        finally:
            self._state.lock.release()

    def renew(self, rejected: Token, about: Iterable[str]) -> bool:
        """Replace a token that a request `about` those ids or paths was answered 401 with; whether to send it again.

        False where another login would not help: one did not help this or another request a moment ago, or no answer
        has accepted the present token yet. It then stays in force, for one request says nothing about the others.
        Raises LoginFailed where the login fails; the present token stays in force then, too.
        """
        state = self._state
        with state.lock:
            now = self._monotonic()
            again = not state.refused.isdisjoint(about)
            state.refused.update(about)
            if again:
                state.useless_until = now + MIN_LOGIN_DISTANCE
            if state.token is None:
                raise self._not_yet(now)
            if state.token is not rejected:  # not by its value: a server may give the same one again
                return not again
            if state.on_trial or now < state.useless_until:
                return False
            state.reason = "rejected"
            try:
                self._renew()
            except LoginFailed as error:
                error.rejected = True
                raise
            finally:
                state.reason = "expiring"
            return True

    def drop(self) -> None:
        """Drop the token: a whole cycle got no other answer than 401. Where it is new, the next login comes slowly."""
        state = self._state
        with state.lock:
            if state.token is None:
                return
            state.token, state.reason = None, "rejected"
            if state.on_trial:
                self._failed(
                    LoginFailed("the API rejects each new token (401)", status=401, genuine=True),
                    self._monotonic(),
                )

    def accepted(self, token: Token, about: Iterable[str]) -> None:
        """Note that the answer to a request `about` those ids or paths showed that `token` is valid."""
        state = self._state
        if state.refused:
            state.refused.difference_update(about)
        if not state.accepted and state.token is token:
            state.accepted, state.on_trial = True, False
            state.failures = 0

    def _renew(self) -> Token:
        now = self._monotonic()
        if now < self._state.next_try:
            raise self._not_yet(now)
        try:
            token = self._login()
        except LoginFailed as error:
            self._failed(error, now)
            raise
        self._redact(token.value)
        self._state.token, self._state.accepted, self._state.last_error = token, False, None
        self._state.on_trial = self._state.reason == "rejected"
        self._state.next_try = -math.inf
        self._state.expires_at = now + token.expires_in
        ahead = min(60.0, 0.1 * token.expires_in)
        # Whatever `expires_in` says, not at once.
        self._state.renew_at = max(self._state.expires_at - ahead, now + MIN_LOGIN_DISTANCE)
        self._emit(TokenRenewed(reason=self._state.reason, expires_in_seconds=token.expires_in))
        if self._state.reason == "expiring":
            self._state.refused.clear()
        self._state.reason = "expiring"
        return token

    def _failed(self, error: LoginFailed, now: float) -> None:
        self._state.failures += 1
        self._state.last_error = error
        cause = error.__cause__
        if isinstance(cause, Unreachable):
            slowest = MAX_UNREACHABLE_DISTANCE
        else:
            refused = error.genuine or isinstance(error, LoginRefused)
            slowest = MAX_LOGIN_DISTANCE if refused else MAX_FAULTY_DISTANCE
        distance = max(
            MIN_LOGIN_DISTANCE,
            full_jitter(self._state.failures - 1, MIN_LOGIN_DISTANCE, slowest, self._uniform),
        )
        if self._state.token is not None and self._state.expires_at >= now + MIN_LOGIN_DISTANCE:
            distance = min(distance, self._state.expires_at - now)  # from there on each second counts
        if isinstance(cause, RateLimited | Transient) and cause.retry_after is not None:
            longest = MAX_PAUSE if isinstance(cause, RateLimited) else MAX_LOGIN_DISTANCE
            distance = max(distance, min(cause.retry_after, longest))
        self._state.next_try = now + distance
        if isinstance(cause, RateLimited):
            self._pause("login", distance, cause.source)

    def _not_yet(self, now: float) -> LoginFailed:
        last = self._state.last_error or LoginFailed("no token")
        kind = type(last)
        seconds = max(0.0, self._state.next_try - now)
        error = kind(f"{last.reason}; next login in {seconds:.0f} s", **last.evidence(), genuine=last.genuine)
        error.__cause__ = last.__cause__  # it tells an outage from a refusal
        return error
