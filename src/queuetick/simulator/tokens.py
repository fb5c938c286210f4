"""Access tokens and the requests each has made: login, expiry, rate limit."""

import math
import random
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate

from queuetick.simulator import api_errors
from queuetick.simulator.faults import Faults

WINDOW_SECONDS = 60
MAX_TOKENS = 10_000
"""Tokens remembered; only a client that logs in for every request gets that far."""


@dataclass(slots=True)
class Token:
    """One access token. Times are epoch seconds of the simulator's clock."""

    value: str
    issued: float
    last_used: float
    window_start: float = -math.inf
    used: int = 0
    """Requests in the fixed window."""
    recent: deque[float] = field(default_factory=deque)
    """Times of the requests of the last 60 s, for the sliding window."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of its window a token has used, as `inin-ratelimit-*` tells it."""

    allowed: int
    used: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        return {
            "inin-ratelimit-count": str(self.used),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": str(self.reset_seconds),
        }


class Tokens:
    """The valid tokens. Only the serving thread uses it, except for revoke_all."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens: dict[str, Token] = {}

    def issue(self, now: float) -> Token:
        # Drawn from the seed like everything here: no secret is guarded by it.
        token = Token(f"{self._rng.getrandbits(512):0128x}"[:86], issued=now, last_used=now)
        self._tokens[token.value] = token
        if len(self._tokens) > MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return token

    def revoke_all(self) -> int:
        revoked, self._tokens = len(self._tokens), {}
        return revoked

    def revoke(self, token: Token) -> None:
        self._tokens.pop(token.value, None)

    def find(self, authorization: str | None, now: float, faults: Faults) -> Token:
        """The live token of an Authorization header; raises the 401 that fits otherwise."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise api_errors.authentication_required()
        token = self._tokens.get(value.strip())
        if token is None:
            raise api_errors.bad_credentials()
        idle = faults.token_idle_timeout
        if now - token.issued >= faults.token_lifetime or (idle and now - token.last_used >= idle):
            self.revoke(token)
            raise api_errors.bad_credentials()
        token.last_used = now
        return token

    def count(self, token: Token, now: float, faults: Faults) -> Allowance:
        """Count one request of the token. A refused request is not counted: waiting must help."""
        limit = faults.rate_limit
        if faults.window == "fixed":
            if not 0 <= now - token.window_start < WINDOW_SECONDS:
                token.window_start, token.used = now, 0
            reset = _whole_seconds(token.window_start + WINDOW_SECONDS - now)
            used = token.used
            if used < limit:
                token.used += 1
        else:
            recent = token.recent
            while recent and not 0 <= now - recent[0] < WINDOW_SECONDS:
                recent.popleft()
            used = len(recent)
            if used < limit:
                recent.append(now)
            # A refused client learns when the oldest request leaves the window.
            reset = _whole_seconds(recent[0] + WINDOW_SECONDS - now)
        return Allowance(limit, used + 1, reset)


def _whole_seconds(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def retry_after(seconds: int, now: float, faults: Faults) -> str | None:
    """The Retry-After header in the form the faults ask for; None: no such header."""
    form = faults.retry_after
    if form == "absent":
        return None
    if form == "date":
        return formatdate(math.ceil(now) + seconds, usegmt=True)
    return str(seconds) if isinstance(form, str) else f"{form:g}"


def refusal(allowance: Allowance, now: float, faults: Faults) -> api_errors.Problem:
    """The 429 of a token that has used up its window."""
    header = retry_after(allowance.reset_seconds, now, faults)
    if faults.legacy_429:
        problem = api_errors.too_many_requests_legacy(allowance.allowed, WINDOW_SECONDS, header)
    else:
        problem = api_errors.too_many_requests(allowance.reset_seconds, header)
    problem.limit = api_errors.token_limit(allowance.allowed)
    return problem
