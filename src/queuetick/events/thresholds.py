"""From which waits and which numbers of contacts a queue needs attention: one table for tail, watch and metrics."""

from __future__ import annotations

import difflib
import enum
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct, UnsetType

from queuetick.events.model import QueueSnapshot
from queuetick.names import folded, matches

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

    def include(self, now: float) -> bool:
        """Whether `now`, in seconds since 1970, is inside. Over midnight the day is the one that it begins on."""
        local = datetime.fromtimestamp(now, self.zone)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or (
            (day - 1) % 7 in self.days and minute < self.end
        )


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
        raise ValueError(f"{words[0]!r:.40} is unexpected")
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
        raise ValueError(f"{word!r} is not a time of day")
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


class Severity(enum.IntEnum):
    """How much attention a queue needs."""

    QUIET = 0
    """Nobody waits, or it is not known."""
    NORMAL = 1
    """Contacts wait, under every limit."""
    WARN = 2
    """Over the service level target, or over a warning limit."""
    CRIT = 3
    """Over a critical limit; without a limit: over three times the target, or over it with nobody on the queue."""


class Assessment(NamedTuple):
    """The severity of a queue, of its waiting contacts and of its longest wait, with the wait and limit behind it."""

    severity: Severity
    waiting: Severity
    longest_wait: Severity
    wait: float | None = None
    """Seconds: the wait that `longest_wait` grades; None where it is not known."""
    limit: float | None = None
    """Seconds: the target or the first limit of the wait that `longest_wait` grades; None where there is none."""
    is_target: bool = False
    """Whether `limit` is the queue's own service level target."""


CRITICAL_TARGETS = 3
"""Times the service level target from which a wait is critical."""
ASYNCHRONOUS = frozenset({"email", "message", "workitem", "callback"})
"""Media where nobody sits and waits for an answer: an empty queue of agents is no trouble by itself."""
_ALL = Assessment(Severity.NORMAL, Severity.NORMAL, Severity.NORMAL)
NOBODY = Assessment(Severity.QUIET, Severity.QUIET, Severity.QUIET)
"""Of a queue where nobody waits."""


def _rank(one: Assessment) -> tuple[Severity, Severity, float]:
    """Of equally severe waits the longest is the one to name."""
    return one.severity, one.longest_wait, one.wait or 0.0


class Thresholds:
    """The thresholds of a configuration, ready to assess snapshots."""

    def __init__(self, thresholds: Iterable[Threshold] = ()) -> None:
        """Raises ValueError where a threshold's hours are invalid."""
        self._all = tuple((one, parse_hours(one.hours) if one.hours else None) for one in thresholds)
        self._selected: dict[tuple[str, str, str | None], tuple[tuple[Threshold, Hours | None], ...]] = {}

    def assess(self, snapshot: QueueSnapshot, now: float) -> Assessment:
        """Grade one snapshot at `now`, in seconds since 1970.

        For each medium the first threshold counts that selects it and whose hours hold. Where some select it and the
        hours of none hold, the queue is closed: no limit. Where none selects it, the queue's own target is the limit.
        A threshold's limits are for the sum of the contacts and the longest wait of all media that it counts for.
        """
        if not snapshot.waiting:
            return NOBODY
        if not self._all:
            graded = [_by_target(snapshot, share) for _, share in _shares(snapshot)]
        else:
            groups: dict[Threshold | str | None, list[_Share]] = {}
            for medium, share in _shares(snapshot):
                groups.setdefault(self.counting(snapshot, medium, now), []).append(share)
            graded = [_grade(snapshot, limits, shares) for limits, shares in groups.items()]
        if len(graded) < 2:
            return graded[0] if graded else _ALL
        return max(graded, key=_rank)._replace(waiting=max(one.waiting for one in graded))

    def counting(self, snapshot: QueueSnapshot, medium: str | None, now: float) -> Threshold | str | None:
        """The threshold that counts for a medium; None: it is closed; a text: the queue's own target does."""
        name = snapshot.queue_name if isinstance(snapshot.queue_name, str) else ""
        division = snapshot.division if isinstance(snapshot.division, str) else ""
        key = (name, division, medium)
        selected = self._selected.get(key)
        if selected is None:
            if len(self._selected) > 100_000:
                self._selected.clear()
            selected = tuple(one for one in self._all if _selects(one[0], name, division, medium))
            self._selected[key] = selected
        if not selected:
            return f"target {medium}"
        return next((one for one, hours in selected if hours is None or hours.include(now)), None)


class _Share(NamedTuple):
    """One medium's part of a queue, or the whole queue where its media are not known."""

    synchronous: bool
    waiting: int
    longest_wait: float | None
    target: float | None
    over_target: bool


def _shares(snapshot: QueueSnapshot) -> Iterator[tuple[str | None, _Share]]:
    media = snapshot.media or {}
    if not media or isinstance(snapshot.media_omitted, int):
        yield (
            None,
            _Share(
                synchronous=not media,
                waiting=snapshot.waiting or 0,
                longest_wait=None if media else snapshot.longest_wait_seconds,
                target=None,
                over_target=bool(snapshot.over_target),
            ),
        )
    for medium, counts in media.items():
        if counts.waiting:
            wait, target = counts.longest_wait_seconds, counts.wait_target_seconds
            known = None if isinstance(wait, UnsetType) else wait
            limit = None if isinstance(target, UnsetType) else target
            over = known is not None and limit is not None and known > limit
            yield medium, _Share(medium not in ASYNCHRONOUS, counts.waiting, known, limit, over)


def _selects(threshold: Threshold, name: str, division: str, medium: str | None) -> bool:
    return (
        (not threshold.media or (medium is not None and medium in threshold.media))
        and (not threshold.divisions or any(folded(one) == folded(division) for one in threshold.divisions))
        and any(matches(glob, name) for glob in threshold.names)
    )


def _grade(snapshot: QueueSnapshot, limits: Threshold | str | None, shares: list[_Share]) -> Assessment:
    if limits is None:
        return _ALL
    if isinstance(limits, Threshold):
        waiting = _over(sum(share.waiting for share in shares), limits.waiting)
        wait = max((share.longest_wait for share in shares if share.longest_wait is not None), default=None)
        longest = _over(wait, limits.longest_wait)
        limit = limits.longest_wait[0] if isinstance(limits.longest_wait, tuple) else limits.longest_wait
        return Assessment(max(waiting, longest), waiting, longest, wait, limit)
    return _by_target(snapshot, shares[0])


def _by_target(snapshot: QueueSnapshot, share: _Share) -> Assessment:
    """Grade one medium by the queue's own target."""
    wait, target = share.longest_wait, share.target
    longest = Severity.NORMAL
    if share.over_target:
        nobody = share.synchronous and snapshot.agents_on_queue == 0
        far = wait is not None and target is not None and wait > CRITICAL_TARGETS * target
        longest = Severity.CRIT if nobody or far else Severity.WARN
    return Assessment(longest, Severity.NORMAL, longest, wait, target, is_target=target is not None)


def _over(value: float | None, limits: Limits | None) -> Severity:
    """A limit is crossed when it is reached."""
    if value is None or limits is None:
        return Severity.NORMAL
    if not isinstance(limits, tuple):
        return Severity.CRIT if value >= limits else Severity.NORMAL
    warning, critical = limits
    return Severity.CRIT if value >= critical else Severity.WARN if value >= warning else Severity.NORMAL
