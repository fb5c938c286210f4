"""What the headers of an answer say about limits: Retry-After (RFC 9110, 10.2.3) and `inin-ratelimit-*`.

A proxy may send a header twice; the HTTP client joins such values with a comma.
"""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping

from queuetick.events import RateLimit

MAX_PAUSE = 86_400.0
"""Seconds; a Retry-After beyond a day is taken as a day."""

MOST_ALLOWED = 1_000_000
"""Requests a minute; a larger stated limit is not believed."""

_BETWEEN_VALUES = re.compile(r",\s*(?=[\d.]+\s*(?:,|$)|[A-Za-z]+(?:,| ))")
"""The comma between two values of Retry-After, but not the one after the weekday of an HTTP date."""


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds that Retry-After asks to wait, at most `MAX_PAUSE`; the longest of several values; None without one.

    A date counts from the server's own Date header, else from `now` (epoch seconds).
    """
    values = _BETWEEN_VALUES.split(headers.get("Retry-After") or "")
    waits = [seconds for value in values if (seconds := _seconds(value, headers, now)) is not None]
    return min(max(waits), MAX_PAUSE) if waits else None


def reset(headers: Mapping[str, str]) -> float | None:
    """Seconds of `inin-ratelimit-reset`, at most `MAX_PAUSE`; None when it is absent or no number."""
    seconds = _number(headers.get("inin-ratelimit-reset"))
    return None if seconds is None else min(seconds, MAX_PAUSE)


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Read the `inin-ratelimit-*` headers (sample 1/180/61: developer-center-blog 2021-05-06).

    None when there are none that can be read. `allowed` is at least 1, `used` and `reset_seconds` at least 0.
    """
    allowed = _number(headers.get("inin-ratelimit-allowed"))
    used = _number(headers.get("inin-ratelimit-count"))
    seconds = reset(headers)
    if allowed is not None and not 1 <= allowed <= MOST_ALLOWED:
        allowed = None
    if used is not None and used > MOST_ALLOWED:
        used = None
    if allowed is None and used is None and seconds is None:
        return None
    return RateLimit(
        allowed=None if allowed is None else int(allowed),
        used=None if used is None else int(used),
        reset_seconds=seconds,
    )


def _seconds(value: str, headers: Mapping[str, str], now: float) -> float | None:
    if (seconds := _number(value)) is not None:
        return seconds
    until = _epoch(value)
    if until is None:
        return None
    server_now = _epoch(headers.get("Date") or "")
    return max(0.0, until - (server_now if server_now is not None else now))


def _epoch(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(value: str | None) -> float | None:
    """A finite number of 0 or more; a value that was sent twice ("300, 300") is one value."""
    said = {part.strip() for part in (value or "").split(",")}
    try:
        number = float(said.pop()) if len(said) == 1 else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
