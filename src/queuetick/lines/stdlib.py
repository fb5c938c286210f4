"""The standard library's logging and warnings as log.message lines."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import UNSET

from queuetick.events import Level, LogMessage
from queuetick.lines.writer import LEVELS, Emitter


class LineLogger(logging.Handler):
    """Turns records of the standard library's logging into log.message lines."""

    def __init__(self, emitter: Emitter) -> None:
        super().__init__()
        self._emitter = emitter
        self._formatter = logging.Formatter()

    def flush(self) -> None:
        """Write what is pending: the interpreter calls this at its end."""
        self._emitter.drain(1.0)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format string of a library
            message = f"{record.msg} {record.args}"
        trace = record.exc_text or ""
        # Not of a warning: urllib3 adds one where it could not read a header.
        if record.exc_info and record.levelno >= logging.ERROR:
            trace = trace or self._formatter.formatException(record.exc_info)
        if record.stack_info:
            trace = f"{trace}\n{record.stack_info}".lstrip()
        at = max(0, min(len(LEVELS) - 1, record.levelno // 10 - 1))
        self._emitter.emit(
            LogMessage(logger=record.name, message=message, traceback=trace or UNSET), level=LEVELS[at]
        )


def install_logging(emitter: Emitter) -> Callable[[], None]:
    """Send the standard library's logging and warnings through `emitter`; return a function that undoes it.

    Libraries log from WARNING up, queuetick's own modules from `log.level` up. `log.level` "debug" includes the
    libraries' debug lines; a level above "warning" silences their warnings.
    """
    root, own = logging.getLogger(), logging.getLogger("queuetick")
    before = (root.handlers[:], root.level, own.level)
    handler = LineLogger(emitter)

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
