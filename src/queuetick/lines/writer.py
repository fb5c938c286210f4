"""Facts become lines: the only module that writes them.

A fact goes through structlog: one bound logger that obeys `log.level`, one for snapshots that does not. Their
processors render the fact in the configured profile and frame it; the logger that structlog wraps appends the
bytes to the output.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args

import structlog
from msgspec import UNSET, structs

from queuetick.events import (
    Fact,
    Level,
    LogMessage,
    MediaCounts,
    OutputRecovered,
    QueueSnapshot,
    QueueStats,
)
from queuetick.lines.buffering import BufferedOutput
from queuetick.lines.length import LIMIT, cut_text, escape, fit, map_strings, spell_out
from queuetick.lines.output import Output
from queuetick.lines.profiles import Renderer, render
from queuetick.lines.redaction import Redaction

MediaChoice = Literal["all", "active", "none"]
LEVELS: tuple[Level, ...] = get_args(Level)
PRIORITIES: dict[str, bytes] = {
    "debug": b"<7>",
    "info": b"<6>",
    "warning": b"<4>",
    "error": b"<3>",
    "critical": b"<2>",
}
"""The syslog priorities that journald takes off the start of a line (sd-daemon(3))."""


def stamp(now: float) -> str:
    """`now`, in seconds since the epoch, as UTC with milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class _Sink:
    """What structlog wraps: every level method appends the rendered lines to the output."""

    def __init__(self, output: Output, *, expendable: bool) -> None:
        self._output = output
        self._expendable = expendable

    def append(self, *lines: bytes) -> None:
        self._output.append(*lines, expendable=self._expendable)

    debug = info = warning = error = critical = append


class _Loggers(NamedTuple):
    snapshots: Any
    events: Any


class Emitter:
    """Writes facts as lines. Safe to use from several threads, not from a signal handler."""

    def __init__(
        self,
        output: Output,
        *,
        now: Callable[[], float],
        level: Level = "info",
        profile: str = "plain",
        org: str | None = None,
        media: MediaChoice = "all",
        journal: bool = False,
    ) -> None:
        """`now` gives seconds since the epoch; with `journal` each line starts with its syslog priority."""
        self.output = output
        self.observers: list[Callable[[Fact], None]] = []
        self.level_changed: list[Callable[[Level], None]] = []
        self._now = now
        self._journal = journal
        self._redaction = Redaction()
        self._blamed: set[int] = set()
        self.configure(level=level, profile=profile, org=org, media=media)

    def configure(
        self, *, level: Level, profile: str, org: str | None = None, media: MediaChoice = "all"
    ) -> None:
        """Put settings in force, at start and on reload: `log.level`, `output.profile`, `genesys.org`, `output.media`.

        KeyError for an unknown profile.
        """
        renderer = render[profile]

        def render_facts(
            _logger: object, _method: str, fields: MutableMapping[str, Any]
        ) -> tuple[list[bytes], dict[str, Any]]:
            timestamp, level = fields["timestamp"], fields["level"]
            lines: list[bytes] = []
            for fact in fields["facts"]:
                shown = fact if media == "all" else without_media(fact, media)
                lines += self._lines(renderer, shown, timestamp, level, org)
            return lines, {}

        def logger(threshold: int, *, expendable: bool) -> Any:
            return structlog.wrap_logger(
                _Sink(self.output, expendable=expendable),
                processors=[render_facts],
                wrapper_class=structlog.make_filtering_bound_logger(threshold),
                cache_logger_on_first_use=True,
            ).bind()

        self.level = level
        self.profile = profile
        self.org = org
        self.media: MediaChoice = media
        self._loggers = _Loggers(
            snapshots=logger(logging.NOTSET, expendable=True),
            events=logger(getattr(logging, level.upper()), expendable=False),
        )
        for changed in self.level_changed:
            changed(level)

    def redirect(self, output: BufferedOutput, *, journal: bool = False, timeout: float = 1.0) -> None:
        """Write to `output` from now on; the one before has `timeout` seconds, and `output` takes what it leaves."""
        earlier, self.output = self.output, output
        prefixed, self._journal = self._journal, journal
        self.configure(level=self.level, profile=self.profile, org=self.org, media=self.media)
        if prefixed == journal:
            earlier.hand_over(output, timeout)
        else:  # what is left there has priorities in front, or lacks them
            earlier.close(timeout)

    def redact(self, *secrets: str, passing: bool = False) -> None:
        """Mask `secrets` in every line from now on; of `passing` ones (access tokens) the latest eight."""
        self._redaction.add(secrets, passing=passing)

    def mask(self, text: str) -> str:
        """`text` with every secret masked, for what leaves by another way than a line."""
        return self._redaction.clean(text)

    def emit(self, *facts: Fact, level: Level | None = None) -> None:
        """Write `facts` with one timestamp. `level` stands in for the facts' own.

        Never raises for what is in a fact, and waits for a stuck reader no longer than the output's patience.
        """
        self._append(facts, level)
        self._flush()

    def close(self, timeout: float | None) -> bool:
        """Write what is pending within `timeout` seconds and end the output; say whether all was written."""
        self.output.drain(timeout)
        self._report_recoveries()
        return self.output.close(timeout and 0.1)

    def _append(self, facts: tuple[Fact, ...], level: Level | None = None) -> None:
        timestamp = stamp(self._now())
        loggers = self._loggers
        for fact in facts:
            for observe in self.observers:
                self._show(observe, fact)
        # A batch's snapshots go through the logger together: its cost is paid once for twenty lines.
        for is_snapshot, run in groupby(facts, key=_is_data):
            if is_snapshot and level is None:
                loggers.snapshots.info("", facts=run, timestamp=timestamp, level="info")
                continue
            for fact in run:
                of_fact: str = level or fact.severity
                logger = loggers.snapshots if is_snapshot else loggers.events
                getattr(logger, of_fact)("", facts=(fact,), timestamp=timestamp, level=of_fact)

    def _flush(self) -> None:
        self.output.flush()
        self._report_recoveries()

    def _report_recoveries(self) -> None:
        while (recovery := self.output.recovery()) is not None:
            self._append((OutputRecovered(**recovery._asdict()),))
            self.output.flush()

    def _show(self, observe: Callable[[Fact], None], fact: Fact) -> None:
        try:
            observe(fact)
        except Exception as error:  # noqa: BLE001 - a defect of the metrics must not cost lines
            if id(observe) not in self._blamed:
                self._blamed.add(id(observe))
                self._append(
                    (LogMessage(logger="queuetick.lines", message=f"an observer failed: {error!r}"),), "error"
                )

    def _lines(
        self, renderer: Renderer, fact: Fact, timestamp: str, level: str, org: str | None
    ) -> Iterable[bytes]:
        """One line, nearly always; see `fitting` for a fact that is too long."""
        prefix = PRIORITIES[level] if self._journal else b""
        try:
            line = escape(renderer(fact, timestamp, level, org))
        except Exception:  # noqa: BLE001 - lone surrogates, numbers beyond 64 bits, keys that are no strings
            fact = _encodable(fact, renderer)
            line = escape(renderer(fact, timestamp, level, org))
        if len(line) <= LIMIT and not self._redaction.found_in(fact, line):
            return (b"%b%b\n" % (prefix, line),)

        def rendered(fact: Fact) -> bytes:
            return escape(renderer(fact, timestamp, level, org))

        parts = fit(self._redaction.clean(fact), lambda part: len(rendered(part)))
        return [b"%b%b\n" % (prefix, rendered(part)) for part in parts]


def _is_data(fact: Fact) -> bool:
    """Whether `fact` is a measurement: never silenced by `log.level`, and superseded by the next one."""
    return isinstance(fact, QueueSnapshot | QueueStats)


def without_media(fact: Fact, choice: MediaChoice) -> Fact:
    """`fact` with the media of a snapshot that `output.media` keeps: none, or those with a count that is not 0."""
    if not isinstance(fact, QueueSnapshot) or not fact.media:
        return fact
    kept = {name: counts for name, counts in fact.media.items() if choice == "active" and _is_active(counts)}
    return structs.replace(fact, media=kept)


def _is_active(counts: MediaCounts) -> bool:
    return (counts.waiting, counts.interacting, counts.alerting) != (0, 0, 0)


def _encodable(fact: Fact, renderer: Renderer) -> Fact:
    """`fact` with what JSON cannot say spelled out, or a log.message in its place."""
    try:
        cleaned = map_strings(fact, spell_out)
        renderer(cleaned, "", "", None)
    except Exception as error:  # noqa: BLE001 - see emit
        described = cut_text(ascii(fact), 1024)
        return LogMessage(
            logger="queuetick.lines", message=f"an event could not be written ({error!r}): {described}"
        )
    return cleaned


class LineHandler(logging.Handler):
    """Turns records of the standard library's logging into log.message lines."""

    def __init__(self, emitter: Emitter) -> None:
        super().__init__()
        self._emitter = emitter
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format string of a library
            message = f"{record.msg} {record.args}"
        trace = record.exc_text or (
            self._formatter.formatException(record.exc_info) if record.exc_info else ""
        )
        if record.stack_info:
            trace = f"{trace}\n{record.stack_info}".lstrip()
        at = max(0, min(len(LEVELS) - 1, record.levelno // 10 - 1))
        self._emitter.emit(
            LogMessage(logger=record.name, message=message, traceback=trace or UNSET), level=LEVELS[at]
        )


def install_logging(emitter: Emitter) -> Callable[[], None]:
    """Send the standard library's logging and warnings through `emitter`; returns the undoing.

    Libraries speak from WARNING up, queuetick's own modules from `log.level` up. `log.level` "debug" lets the
    libraries' debug lines through too; a level above "warning" silences their warnings.
    """
    root, own = logging.getLogger(), logging.getLogger("queuetick")
    before = (root.handlers[:], root.level, own.level)
    handler = LineHandler(emitter)

    def follow(level: Level) -> None:
        threshold = getattr(logging, level.upper())
        own.setLevel(threshold)
        root.setLevel(threshold if level == "debug" else max(threshold, logging.WARNING))

    def undo() -> None:
        logging.captureWarnings(capture=False)
        emitter.level_changed.remove(follow)
        root.handlers[:], level, own_level = before
        root.setLevel(level)
        own.setLevel(own_level)

    root.handlers[:] = [handler]
    emitter.level_changed.append(follow)
    follow(emitter.level)
    logging.captureWarnings(capture=True)
    return undo
