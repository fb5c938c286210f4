"""What can go wrong with a request, split by what the caller can do about it.

ApiError
├── Transient          try again within the cycle: no answer, 5xx, an answer that cannot be read
│   └── Unreachable    no HTTP answer at all: DNS, connection, TLS, timeout, reset
├── RateLimited        429: the token pauses
├── TokenRejected      401: renew the token, once
├── Forbidden          403: a permission or a division is missing
├── RequestRefused     400: for a batch of queues, split it
├── LoginFailed        no token now: the login host is down or is left alone for a while
│   └── LoginRefused   client id or secret are wrong
└── Refused            any other answer: trying again will not help
"""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from queuetick.events import PauseSource, RateLimit

MAX_PAUSE = 86_400.0
"""Seconds; a Retry-After beyond a day is taken as a day."""

_REASON_LENGTH = 300
_IN_BODY = re.compile(r"\[(\d+(?:\.\d+)?)\] seconds")


class ApiError(Exception):
    """One failed request. `str()` is a sentence for a person."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.correlation_id = correlation_id

    def evidence(self) -> dict[str, Any]:
        """What a line says of it besides its reason: status, code and correlation_id."""
        return {"status": self.status, "code": self.code, "correlation_id": self.correlation_id}


class Transient(ApiError): ...


class Unreachable(Transient): ...


class TokenRejected(ApiError): ...


class Forbidden(ApiError): ...


class RequestRefused(ApiError):
    """400. `named` is the text that may name what was refused."""

    named: str = ""


class LoginFailed(ApiError): ...


class LoginRefused(LoginFailed): ...


class Refused(ApiError): ...


class RateLimited(ApiError):
    """429. `retry_after` is in seconds, None when the answer names no time; then `source` is backoff."""

    retry_after: float | None = None
    source: PauseSource = "backoff"


class _Envelope(msgspec.Struct):
    """The API's error body (SDK models/error_body.py) and the token endpoint's, as far as they are of use."""

    message: Any = None
    code: Any = None
    contextId: Any = None  # noqa: N815 - the API's name
    error: Any = None
    description: Any = None
    error_description: Any = None


def from_answer(status: int, headers: Mapping[str, str], data: bytes, *, now: float) -> ApiError:
    """Make the error for an answer outside 2xx. `now` is in epoch seconds, for a Retry-After that is a date."""
    body = _envelope(data)
    message = _text(body.message) or _text(body.description) or _text(body.error_description)
    code = _text(body.code) or _text(body.error)
    kind: type[ApiError]
    if status == 429:
        kind = RateLimited
    elif status == 401:
        kind = TokenRejected
    elif status == 403:
        kind = Forbidden
    elif status == 400:
        kind = RequestRefused
    elif status == 408 or status >= 500:
        kind = Transient
    else:
        kind = Refused
    reason = message or f"HTTP {status} without a readable error body"
    if 300 <= status < 400:
        reason = f"HTTP {status}: redirected; check api_url and login_url"
    correlation_id = headers.get("ININ-Correlation-Id") or _text(body.contextId)
    error = kind(reason[:_REASON_LENGTH], status=status, code=code, correlation_id=correlation_id)
    if isinstance(error, RateLimited):
        error.retry_after, error.source = _pause(headers, message or "", now=now)
    if isinstance(error, RequestRefused):
        error.named = data[:65536].decode("utf-8", "replace")
    return error


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Read the `inin-ratelimit-*` headers (sample 1/180/61: developer-center-blog 2021-05-06); None without them."""
    allowed = _number(headers.get("inin-ratelimit-allowed"))
    used = _number(headers.get("inin-ratelimit-count"))
    reset = _number(headers.get("inin-ratelimit-reset"))
    if allowed is None and used is None and reset is None:
        return None
    return RateLimit(
        allowed=int(allowed) if allowed else None,
        used=int(used) if used is not None else None,
        reset_seconds=reset,
    )


def _pause(headers: Mapping[str, str], message: str, *, now: float) -> tuple[float | None, PauseSource]:
    """How long a 429 asks to wait: Retry-After, the reset header, the seconds in its message, or nothing."""
    if seconds := _retry_after(headers.get("Retry-After"), headers.get("Date"), now=now):
        return min(seconds, MAX_PAUSE), "retry-after"
    if reset := _number(headers.get("inin-ratelimit-reset")):
        return min(reset, MAX_PAUSE), "reset-header"
    if (match := _IN_BODY.search(message)) and float(match[1]) > 0:
        return min(float(match[1]), MAX_PAUSE), "retry-after"
    return None, "backoff"


def _retry_after(value: str | None, date: str | None, *, now: float) -> float | None:
    """Seconds of a Retry-After in either of its forms (RFC 9110, 10.2.3); a date counts from the server's own Date."""
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    until = _epoch(value)
    if until is None:
        return None
    server_now = _epoch(date) if date else None
    return max(0.0, until - (server_now if server_now is not None else now))


def _epoch(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _envelope(data: bytes) -> _Envelope:
    try:
        return msgspec.json.decode(data, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Envelope()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
