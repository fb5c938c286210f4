"""How numbers, times and foreign words are written in a cell. None is an en dash: not known is never 0."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo

from queuetick.foreign_text import visible

UNKNOWN = "\N{EN DASH}"
LEVELS = "▁▂▃▄▅▆▇█"
SORTED, REVERSED = "▾", "▴"
GAP = "·"
_MAX_SECONDS = 999 * 86_400.0


def clean(text: object) -> str:
    """Any value as words that stay inside their cell."""
    return visible(str(text))


def words(*parts: object) -> str:
    """The parts that are there, as one sentence."""
    return " ".join(clean(part) for part in parts if part is not None and part != "")


def value(found: object) -> str:
    """A number in full, or any other value of a line."""
    if found is None:
        return UNKNOWN
    if isinstance(found, float):
        return f"{found:g}"
    return f"{found:,}" if isinstance(found, int) else clean(found)


def count(number: int | None) -> str:
    """At most six characters."""
    if number is None:
        return UNKNOWN
    if -10_000 < number < 100_000:
        return str(number)
    if 0 < number < 10_000_000:
        return f"{number // 1000}k"
    return ">9999k" if number > 0 else "<-9999"


def duration(seconds: float | None) -> str:
    """Seconds as h:mm:ss, from 100 hours on as days and hours; at most eight characters."""
    if seconds is None:
        return UNKNOWN
    whole = int(min(max(seconds, 0.0), _MAX_SECONDS))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours // 24}d {hours % 24:02}h"
    return f"{hours}:{minute:02}:{second:02}"


def age(seconds: float) -> str:
    """How long ago, short: `7 s` up to a minute and a half, then h:mm:ss."""
    return f"{int(max(seconds, 0.0))} s" if seconds < 90 else duration(seconds)


def short(seconds: float | None) -> str:
    """Seconds as people say them: `47s`, `8m47s`, `2h05m`, `3d04h`."""
    if seconds is None:
        return UNKNOWN
    whole = int(min(max(seconds, 0.0), _MAX_SECONDS))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def limit(seconds: float) -> str:
    """A target or a threshold as short as it can be said: `20s`, `1m`, `4h`, `1d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds < 60 else short(seconds)


def clock_time(at: float, zone: tzinfo | None = UTC) -> str:
    """Seconds since 1970 as time of day: in UTC with a Z, or in the local time zone where `zone` is None."""
    try:
        return f"{datetime.fromtimestamp(at, zone):%H:%M:%S}{'Z' if zone is UTC else ''}"
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def instant(text: object) -> float | None:
    """Seconds since 1970 of an instant as the lines write it, such as 2026-11-24T04:01:02.000Z; None of other text."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def clock_time_of(text: object, zone: tzinfo | None = UTC) -> str:
    """An instant as time of day; other text as it is."""
    at = instant(text)
    return clean(text) if at is None else clock_time(at, zone)


def level(value: int | None, top: float) -> str:
    """One character of a trend; somebody waiting never looks like nobody waiting."""
    if value is None:
        return GAP
    if value <= 0 or top <= 0:
        return LEVELS[0]
    steps = len(LEVELS) - 1
    return LEVELS[max(1, min(steps, math.ceil(value / top * steps)))]
