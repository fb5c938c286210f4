"""What can go wrong with a request, split by what the caller can do about it.

ApiError
├── Transient            try again within the cycle: no answer, 5xx, an answer that cannot be read, a refusal that is
│   │                    not Genesys's own (400, 401, 403, 404 without its error body: a proxy or firewall on the way)
│   └── Unreachable      no HTTP answer at all: DNS, connection, TLS, timeout, reset
├── RateLimited          429: the route, or the token, pauses
├── TokenRejected        401: renew the token, once
├── Forbidden            403: a permission or a division is missing; `single_queue`: perhaps for one queue of the batch
├── NotFound             404: what was asked for does not exist; for a batch, perhaps one queue of it
├── RequestRefused       400: for a batch of queues, split it
│   └── TooLarge         413, or 400 response.entity.too.large: halve the batch, blame no id
├── ListingContradicted  the listing disagrees with its own `total`
│   └── ListingUnfinished  it was not read to its end: time or budget ended
├── LoginFailed          no token now: the login host is down or is left alone for a while
│   └── LoginRefused     client id or secret are wrong
└── Refused              any other answer: trying again will not help
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from queuetick.events import PauseSource, Route
from queuetick.genesys import headers as read

MAX_ERROR_BODY = 65_536
"""Bytes; a longer body of an error is not read: Genesys's own are under 2 KB."""

_IN_BODY = re.compile(r"\[(\d{1,9}(?:\.\d+)?)\] seconds")
_PERMISSIONS = re.compile(r"\[([a-zA-Z]+:[a-zA-Z]+:[a-zA-Z]+)[],]")

_CODE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
"""The form of Genesys's error codes, such as missing.any.permissions (facts, 3.4)."""

_OAUTH_ERRORS = frozenset({
    "invalid_request", "invalid_client", "invalid_grant",
    "unauthorized_client", "unsupported_grant_type", "invalid_scope",
})  # fmt: skip
"""The error codes of a token endpoint (RFC 6749, 5.2; facts, 2)."""

_TOKEN_LIMITS = ("token.rate.per.minute", "app.user.rate.per.minute")
"""Names of the limits that hold for all that one OAuth client sends (facts, 3.1)."""


class ApiError(Exception):
    """One failed request. `str()` is a sentence for a person.

    `genuine` tells whether the answer had Genesys's own error body; an error without an answer is never genuine.
    `rejected` tells that the answer was 401 to a token that stays in force, because others may be answered with it.
    `retry_after` is the seconds that a 429 or 503 asks to wait, None when it names none.
    """

    rejected: bool = False
    retry_after: float | None = None

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        code: str | None = None,
        correlation_id: str | None = None,
        genuine: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.correlation_id = correlation_id
        self.genuine = genuine

    def evidence(self) -> dict[str, Any]:
        """What a line says of it besides its reason: status, code and correlation_id."""
        return {"status": self.status, "code": self.code, "correlation_id": self.correlation_id}


class Transient(ApiError): ...


class Unreachable(Transient): ...


class TokenRejected(ApiError):
    rejected = True


class Forbidden(ApiError):
    """403. `permission` is the first permission that the answer names."""

    single_queue: bool = False
    permission: str | None = None


class RequestRefused(ApiError):
    """400. `named` is the text that may name what was refused."""

    named: str = ""


class TooLarge(RequestRefused): ...


class NotFound(ApiError):
    """404. `named` is the text that may name what was not found."""

    named: str = ""


class ListingContradicted(ApiError): ...


class ListingUnfinished(ListingContradicted): ...


class LoginFailed(ApiError): ...


class LoginRefused(LoginFailed):
    """`problem` and `fix` are the two halves of `reason`; `title` says in three words what is wrong."""

    title: str = ""
    problem: str = ""
    fix: str = ""


class Refused(ApiError): ...


class RateLimited(ApiError):
    """429. `source` is backoff where the answer names no time.

    `route` is what the limit holds for: "token" when the body names a limit of the token, else None: the route asked.
    """

    source: PauseSource = "backoff"
    route: Route | None = None


class _Envelope(msgspec.Struct):
    """The API's error body (SDK models/error_body.py) and the token endpoint's, as far as they are of use."""

    message: Any = None
    code: Any = None
    status: Any = None
    contextId: Any = None  # noqa: N815 - the API's name
    error: Any = None
    description: Any = None
    error_description: Any = None

    def genuine(self, status: int) -> bool:
        """Whether this is Genesys's own error body for an answer of `status`: a dotted code, and the same status."""
        if self.error in _OAUTH_ERRORS if isinstance(self.error, str) else False:
            return status in (400, 401, 403)
        dotted = isinstance(self.code, str) and _CODE.fullmatch(self.code) is not None
        return dotted and (self.status is None or self.status == status)


def from_answer(status: int, headers: Mapping[str, str], data: bytes, *, now: float) -> ApiError:
    """Make the error for an answer outside 2xx, or one of 2xx without a body.

    `now` is in epoch seconds, for a Retry-After that is a date.
    """
    body = _envelope(data)
    genuine = body.genuine(status)
    message = _text(body.message) or _text(body.description) or _text(body.error_description)
    code = _text(body.code) or _text(body.error)
    reason = message or f"HTTP {status} without a readable error body"
    if 200 <= status < 300:
        reason = f"HTTP {status}: the answer is empty"
    elif 300 <= status < 400:
        reason = f"HTTP {status}: redirected; check api_url and login_url"
    elif status in (400, 401, 403, 404) and not genuine:
        said = f" ({message})" if message else ""
        reason = f"HTTP {status} without Genesys's error body{said}: a proxy or firewall on the way may have answered"
    error = _kind(status, code, genuine)(
        reason,
        status=status,
        code=code,
        correlation_id=headers.get("ININ-Correlation-Id") or _text(body.contextId),
        genuine=genuine,
    )
    text = data[:MAX_ERROR_BODY].decode("utf-8", "replace")
    if isinstance(error, RateLimited):
        error.retry_after, error.source = _pause(headers, message or "", now=now)
        error.route = "token" if any(limit in text for limit in _TOKEN_LIMITS) else None
    elif isinstance(error, Forbidden):
        error.single_queue = "division" in f"{code} {message}"
        named = _PERMISSIONS.search(message or "")
        error.permission = named[1] if named else None
    elif isinstance(error, RequestRefused | NotFound):
        error.named = text
    elif isinstance(error, Transient) and status == 503:
        error.retry_after = read.retry_after(headers, now=now)
    return error


def _kind(status: int, code: str | None, genuine: bool) -> type[ApiError]:
    if status == 429:
        return RateLimited
    if status == 413 or (genuine and code in {"response.entity.too.large", "request.entity.too.large"}):
        return TooLarge
    if status == 408 or status >= 500 or status < 300:
        return Transient
    kinds: dict[int, type[ApiError]] = {
        400: RequestRefused,
        401: TokenRejected,
        403: Forbidden,
        404: NotFound,
    }
    if status in kinds:
        return kinds[status] if genuine else Transient
    return Refused


def _pause(headers: Mapping[str, str], message: str, *, now: float) -> tuple[float | None, PauseSource]:
    """How long a 429 asks to wait: Retry-After, the reset header, the seconds in its message, or nothing."""
    if seconds := read.retry_after(headers, now=now):
        return seconds, "retry-after"
    if seconds := read.reset(headers):
        return seconds, "reset-header"
    if (match := _IN_BODY.search(message)) and float(match[1]) > 0:
        return min(float(match[1]), read.MAX_PAUSE), "retry-after"
    return None, "backoff"


def _envelope(data: bytes) -> _Envelope:
    if len(data) > MAX_ERROR_BODY:
        return _Envelope()
    try:
        return msgspec.json.decode(data, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Envelope()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
