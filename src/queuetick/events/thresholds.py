"""From which waits and which numbers of contacts a queue needs attention: one table for tail, watch and metrics."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from typing import Annotated

from msgspec import Meta, Struct

Limits = float | tuple[float, float]
"""A critical limit, or a warning and a critical one."""


class Threshold(Struct, frozen=True):
    """One `[[thresholds]]` table. The first that selects a queue and a medium counts.

    Without one, a queue's own service level target decides (`over_target`).
    """

    names: Annotated[tuple[str, ...], Meta(description="globs on the queue name; all by default")] = ("*",)
    divisions: Annotated[tuple[str, ...], Meta(description="division names; empty: all")] = ()
    media: Annotated[tuple[str, ...], Meta(description="media types; empty: all")] = ()
    waiting: Annotated[
        Limits | None, Meta(description="contacts: a critical limit, or [warning, critical]")
    ] = None
    longest_wait: Annotated[
        Limits | None, Meta(description="seconds: a critical limit, or [warning, critical]")
    ] = None
    hours: Annotated[
        str | None, Meta(description='when it holds, such as "Mon-Fri 08:00-18:00 Europe/Berlin"')
    ] = None


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `datetime.weekday()`."""


class Hours(Struct, frozen=True):
    """When a threshold holds, in local time of `zone`."""

    days: frozenset[int]
    """As `datetime.weekday()` counts: Monday is 0."""
    start: int
    """Minutes since midnight."""
    end: int
    """Minutes since midnight, up to 1440. Where it is not after `start`, it is on the next day."""
    zone: zoneinfo.ZoneInfo


def parse_hours(text: str) -> Hours:
    """Read "[DAYS] [HH:MM-HH:MM] [ZONE]"; every day, the whole day and UTC by default.

    DAYS is a list such as "Mon-Fri" or "Mon,Wed,Sat-Sun". Raises ValueError, whose text says what is wrong.
    """
    words = re.sub(r"\s*-\s*", "-", text).split()
    days, start, end, zone = frozenset(range(7)), 0, 1440, "UTC"
    if not words:
        raise ValueError("it is empty")
    if not re.match(r"\d", words[0]) and _looks_like_days(words[0]):
        days = _days(words.pop(0))
    if words and re.match(r"\d", words[0]):
        start, end = _span(words.pop(0))
    if words:
        zone = words.pop(0)
    if words:
        raise ValueError(f"{words[0]!r:.40} is one word too many")
    return Hours(days, start, end, time_zone(zone))


def _looks_like_days(word: str) -> bool:
    """Whether `word` is meant as days, not as a zone: zones have a slash, or are known."""
    return word[:3].lower() in DAYS or ("/" not in word and word not in zoneinfo.available_timezones())


def _days(word: str) -> frozenset[int]:
    found: set[int] = set()
    for part in word.lower().split(","):
        first, dash, last = part.partition("-")
        for day in (first, last) if dash else (first,):
            if day not in DAYS:
                raise ValueError(f"{day!r:.40} is not a day of {', '.join(day.title() for day in DAYS)}")
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 if dash else 0
        found.update((begin + step) % 7 for step in range(length + 1))
    return frozenset(found)


def _span(word: str) -> tuple[int, int]:
    written = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})", word)
    if written is None:
        raise ValueError(f"{word!r:.40} is not HH:MM-HH:MM")
    hour, minute, last_hour, last_minute = map(int, written.groups())
    start, end = hour * 60 + minute, last_hour * 60 + last_minute
    if minute > 59 or last_minute > 59 or start >= 1440 or end > 1440:
        raise ValueError(f"{word!r} is no time of the day")
    if start == end:
        raise ValueError(f"{word!r} begins and ends at the same minute")
    return start, end


def time_zone(name: str) -> zoneinfo.ZoneInfo:
    """The IANA time zone `name`. Raises ValueError, whose text names the nearest zone that is known."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    known = {zone.lower(): zone for zone in sorted(zoneinfo.available_timezones())}
    by_city = {zone.rpartition("/")[2]: zone for zone in known}
    wanted = re.sub(r"\s+", "_", name.strip().lower())
    near = [wanted] if wanted in known else [by_city[wanted]] if wanted in by_city else None
    near = near or difflib.get_close_matches(wanted, known, n=1)
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    raise ValueError(f"{name!r:.60} is not a known time zone{hint}")
