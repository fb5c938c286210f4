"""The access token: asked for with client credentials, renewed ahead of its end, by one thread at a time.

Facts, section 2: POST {login}/oauth/token, Basic client id and secret, form grant_type=client_credentials; the answer
names `expires_in` (300 to 172,800 s). A token may become invalid earlier (idle timeout, revoked): a 401 renews it once.
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from queuetick.clock import full_jitter
from queuetick.config import Credentials
from queuetick.events import Event, PauseSource, Route, TokenRenewed
from queuetick.genesys import sdk
from queuetick.genesys.answers import read_object
from queuetick.genesys.errors import (
    ApiError,
    LoginFailed,
    LoginRefused,
    RateLimited,
    Transient,
    Unreachable,
    from_answer,
)
from queuetick.genesys.headers import MAX_PAUSE
from queuetick.genesys.transport import Response, Transport

MIN_LOGIN_DISTANCE = 5.0
"""Seconds between two logins when the first failed, or when its `expires_in` is shorter."""

MAX_LOGIN_DISTANCE = 300.0
"""Seconds; how slow logins become while the credentials, or the tokens they bring, are refused."""

MAX_FAULTY_DISTANCE = 60.0
"""Seconds; how slow they become while the token endpoint answers 5xx, 429 or an unusable body: that passes."""

MAX_UNREACHABLE_DISTANCE = 12.0
"""Seconds; under the default interval, so that each cycle of an outage tries once."""

ASSUMED_LIFETIME = 300.0
"""Seconds, the shortest that an OAuth client can be given, for an answer without `expires_in`."""


_WRONG_GRANT = ("unauthorized_client", "unsupported_grant_type")
"""RFC 6749, section 5.2."""

MAX_BODY = 256 * 1024
"""Bytes of an answer of the token endpoint; a token has under 4 KB."""


class Token(msgspec.Struct, frozen=True):
    """An access token and its life in seconds. The value does not show in a repr."""

    value: str
    expires_in: float

    def __repr__(self) -> str:
        return f"Token(***, expires_in={self.expires_in:g})"


class Login:
    """One login at the token endpoint."""

    def __init__(
        self,
        transport: Transport,
        *,
        login_url: str,
        region: str,
        credentials: Credentials,
        timeout: float,
        now: Callable[[], float],
    ) -> None:
        """`region` says in messages how the login host was chosen; `timeout` is in seconds.

        `now` gives epoch seconds, for a Retry-After that is a date.
        """
        self._transport = transport
        self._now = now
        self._url = f"{login_url.rstrip('/')}/oauth/token"
        self._timeout = timeout
        self._place = f"{login_url.rstrip('/')} ({region})"
        pair = f"{credentials.client_id}:{credentials.client_secret}".encode()
        self._authorization = "Basic " + base64.b64encode(pair).decode("ascii")

    def __call__(self) -> Token:
        """Ask for a token.

        Raises LoginRefused when the credentials are wrong, LoginFailed when there is no token for another reason
        (its `__cause__` is the error of the request), Stopped when the daemon stops.
        """
        options = sdk.load().HttpRequestOptions(
            url=self._url,
            method="POST",
            headers={
                "Authorization": self._authorization,
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            body="grant_type=client_credentials",
        )
        try:
            response = self._transport.send(options, timeout=self._timeout, most=MAX_BODY)
        except ApiError as error:
            raise LoginFailed(f"login at {self._place}: {error.reason}") from error
        if 200 <= response.status < 300:
            return _read_token(response, self._place)
        cause = from_answer(response.status, response.headers, response.data, now=self._now())
        if cause.genuine and response.status in (400, 401, 403):
            raise _refusal(cause, self._place) from cause
        raise LoginFailed(f"login at {self._place}: {cause.reason}", **cause.evidence()) from cause


def _refusal(cause: ApiError, place: str) -> LoginRefused:
    """A refused login, and what a person should do (400: unknown client, 401: wrong secret; facts, section 2)."""
    region = "check that genesys.region is the region of the client's organisation"
    if cause.status == 401:
        title = "wrong client secret"
        problem = f"according to {place} the client secret is wrong ({cause.reason})"
        fix = f"set GENESYS_CLIENT_SECRET to the client's current secret, and {region}"
    elif cause.status == 400 and cause.code == "invalid_client":
        title = "unknown client id"
        problem = f"{place} does not know the client ({cause.reason})"
        fix = f"check GENESYS_CLIENT_ID, and {region}"
    elif cause.status == 400 and cause.code in _WRONG_GRANT:
        title = "wrong grant type"
        problem = f"{place} refuses the grant ({cause.reason})"
        fix = "make an OAuth client of grant type Client Credentials in Admin > Integrations > OAuth"
    elif cause.status == 400:
        title = "login refused"
        problem = f"{place} refuses the login ({cause.reason})"
        fix = f"check that it is Genesys Cloud's login host, check GENESYS_CLIENT_ID, and {region}"
    else:
        title = "login forbidden"
        problem = f"{place} forbids the login ({cause.reason})"
        fix = "check in Admin > Integrations > OAuth that the client is enabled and this machine's address is allowed"
    error = LoginRefused(f"{problem}. Fix: {fix}", **cause.evidence(), genuine=True)
    error.title, error.problem, error.fix = title, problem, fix
    return error


def _read_token(response: Response, place: str) -> Token:
    try:
        grant = read_object(response.data)
    except Transient:
        grant = {}
    token = grant.get("access_token")
    if not isinstance(token, str):
        raise LoginFailed(
            f"login at {place}: the answer is not a token; check login_url", status=response.status
        )
    # The value goes into a header: anything but visible ASCII would break or forge one.
    if not token.isascii() or not token.isprintable() or not token.strip():
        raise LoginFailed(
            f"login at {place}: the token holds characters that no token has", status=response.status
        )
    try:
        lifetime = float(grant["expires_in"])
    except (KeyError, TypeError, ValueError, OverflowError):
        lifetime = ASSUMED_LIFETIME
    return Token(token, lifetime if 0 < lifetime < math.inf else ASSUMED_LIFETIME)


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
