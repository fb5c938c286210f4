"""Events become lines: a chain of structlog processors.

redact, observe, level, stamp, render: one call for the events of one level that are emitted together, because a call
for each of 1,500 snapshots costs more than their rendering (bench/lines.py). What the chain returns is appended to the
output.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import structlog
from msgspec import structs

from queuetick.events import (
    MEASUREMENTS,
    Fact,
    Level,
    LogMessage,
    MediaCounts,
    OutputRecovered,
    QueueSnapshot,
)
from queuetick.lines.length import LIMIT, cut_text, escape, fit
from queuetick.lines.output import Line, Output, Recovery
from queuetick.lines.profiles import Renderer, render
from queuetick.lines.redaction import Redaction

MediaChoice = Literal["all", "active", "none"]
LEVELS: tuple[Level, ...] = get_args(Level)
_LOUD: dict[str, frozenset[str]] = {level: frozenset(LEVELS[at:]) for at, level in enumerate(LEVELS)}

Fields = MutableMapping[str, Any]
"""What the processors pass on: `facts`, `observers`, `now`, `route`; `stamp_line` adds `timestamp`."""


class Route(NamedTuple):
    """How lines are made and where they go: replaced by one assignment, never changed."""

    output: Output
    level: Level
    renderer: Renderer
    org: str | None
    media: MediaChoice


class Emitter:
    """Writes events as lines. Safe to use from several threads, not from a signal handler."""

    def __init__(
        self,
        output: Output,
        *,
        now: Callable[[], float],
        level: Level = "info",
        profile: str = "plain",
        org: str | None = None,
        media: MediaChoice = "all",
        redaction: Redaction | None = None,
    ) -> None:
        """`now` gives seconds since the epoch. `redaction` is the mask that the whole process shares."""
        self.observers: list[Callable[[Fact], None]] = []
        self.level_changed: list[Callable[[Level], None]] = []
        self.redaction = redaction or Redaction()
        self._now = now
        self._blamed: set[int] = set()
        self._logger = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[self._redact, self._observe, drop_below_level, stamp_line, render_lines],
            wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
            cache_logger_on_first_use=True,
        ).bind()
        output.on_recovery = self._recovered
        self._route = Route(output, level, render[profile], org, media)

    @property
    def output(self) -> Output:
        """Where lines go at present."""
        return self._route.output

    @property
    def level(self) -> Level:
        """`log.level` in force."""
        return self._route.level

    def configure(
        self,
        *,
        level: Level,
        profile: str,
        org: str | None = None,
        media: MediaChoice = "all",
        output: Output | None = None,
        timeout: float = 1.0,
    ) -> None:
        """Put a Config's `log.level`, `output.profile`, `genesys.org` and `output.media` in force, by one assignment.

        With `output` lines go there from now on: the one before has `timeout` seconds, and `output` takes what it
        leaves. Raises KeyError for an unknown profile.
        """
        earlier = self.output
        if output is not None:
            output.on_recovery = self._recovered
            output.dropped += earlier.dropped
        self._route = Route(output or earlier, level, render[profile], org, media)
        if output is not None:
            output.append(earlier.hand_over(timeout))
        for changed in self.level_changed:
            changed(level)

    def redact(self, *secrets: str, passing: bool = False) -> None:
        """Mask `secrets` in every line from now on; of `passing` ones (access tokens) the latest eight."""
        self.redaction.add(secrets, passing=passing)

    def mask(self, text: str) -> str:
        """`text` with every secret masked, for what leaves by another way than a line."""
        return self.redaction.mask(text)

    def emit(self, *facts: Fact, level: Level | None = None) -> None:
        """Write `facts` with one timestamp. `level` replaces the facts' own.

        Never raises for what is in a fact, and never waits for the output.
        """
        now, observers = self._now(), self.observers
        while True:
            route = self._route
            lines: list[Line] = []
            for severity, group in itertools.groupby(facts, lambda fact: level or fact.severity):
                log = getattr(self._logger, severity)
                lines += log("", facts=list(group), observers=observers, now=now, route=route)
            if not lines or route.output.append(lines) or route is self._route:
                return
            observers = []  # the output was replaced and has ended: make the lines again, for the present one

    def drain(self, timeout: float | None) -> bool:
        """Give the output `timeout` seconds to write what is pending; return whether all of it is written."""
        return self.output.drain(timeout)

    def close(self, timeout: float | None) -> bool:
        """Write what is pending within `timeout` seconds and end the output; return whether no line was lost."""
        return self.output.end(timeout)

    def _recovered(self, recovery: Recovery) -> None:
        self.emit(OutputRecovered(**recovery._asdict()))

    # The chain

    def _redact(self, _logger: object, _level: str, fields: Fields) -> Fields:
        fields["facts"] = [self.redaction.clean_event(fact) for fact in fields["facts"]]
        return fields

    def _observe(self, _logger: object, _level: str, fields: Fields) -> Fields:
        for observe, fact in itertools.product(fields["observers"], fields["facts"]):
            try:
                observe(fact)
            except Exception as error:  # noqa: BLE001 - a defect of the metrics must not cost lines
                if id(observe) not in self._blamed:
                    self._blamed.add(id(observe))
                    message = f"an observer failed: {error!r}"
                    self.emit(LogMessage(logger="queuetick.lines", message=message), level="error")
        return fields


def drop_below_level(_logger: object, level: str, fields: Fields) -> Fields:
    """Drop operational events below `log.level`; measurements stay."""
    if level not in _LOUD[fields["route"].level]:
        fields["facts"] = [fact for fact in fields["facts"] if isinstance(fact, MEASUREMENTS)]
    return fields


def stamp_line(_logger: object, _level: str, fields: Fields) -> Fields:
    """Add the time of writing."""
    fields["timestamp"] = stamp(fields["now"])
    return fields


def render_lines(_logger: object, level: str, fields: Fields) -> tuple[tuple[list[Line]], dict[str, Any]]:
    """One line for each event, nearly always; several where `fit` has to carry a list on."""
    timestamp, route = fields["timestamp"], fields["route"]
    return ([line for fact in fields["facts"] for line in _lines(fact, timestamp, level, route)],), {}


def _lines(fact: Fact, timestamp: str, level: str, route: Route) -> list[Line]:
    data = isinstance(fact, MEASUREMENTS)
    if data and route.media != "all":
        fact = without_media(fact, route.media)

    def rendered(fact: Fact) -> list[bytes]:
        line = encoded(fact)
        return (
            [line]
            if len(line) <= LIMIT
            else [encoded(part) for part in fit(fact, lambda part: len(encoded(part)))]
        )

    def encoded(fact: Fact) -> bytes:
        return escape(route.renderer(fact, timestamp, level, route.org))

    try:
        lines = rendered(fact)
    except Exception as error:  # noqa: BLE001 - numbers beyond 64 bits, keys that are no strings, nothing that can be cut
        described = cut_text(ascii(fact), 1024)
        message = f"an event could not be written ({error!r}): {described}"
        lines = rendered(LogMessage(logger="queuetick.lines", message=message))
    return [Line(line + b"\n", level, data) for line in lines]


@lru_cache(maxsize=64)
def stamp(now: float) -> str:
    """`now`, in seconds since the epoch, as UTC with milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def without_media(fact: Fact, choice: MediaChoice) -> Fact:
    """`fact` with the media of a snapshot that `output.media` keeps: none, or those with a count that is not 0."""
    if not isinstance(fact, QueueSnapshot) or not fact.media:
        return fact
    kept = {name: counts for name, counts in fact.media.items() if choice == "active" and _is_active(counts)}
    return structs.replace(fact, media=kept)


def _is_active(counts: MediaCounts) -> bool:
    return (counts.waiting, counts.interacting, counts.alerting) != (0, 0, 0)
