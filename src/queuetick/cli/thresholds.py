"""The thresholds that `watch` and `tail` grade by."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from queuetick.config.load import DEFAULT_PATHS
from queuetick.events.thresholds import Threshold, parse_hours


def in_force(path: Path | None = None) -> tuple[Threshold, ...]:
    """The `[[thresholds]]` of `path`, or of the configuration that `run` would read here.

    Lines can be watched where no configuration is, or none that this user may read. So a file that cannot be read
    gives none, and a table that is invalid is left out; `check` and `run` report both.
    """
    for candidate in (path,) if path is not None else DEFAULT_PATHS:
        try:
            document = tomllib.loads(candidate.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError):
            return ()
        tables = document.get("thresholds")
        return tuple(
            one for table in (tables if isinstance(tables, list) else ()) if (one := _threshold(table))
        )
    return ()


def _threshold(table: object) -> Threshold | None:
    try:
        one = msgspec.convert(table, Threshold, strict=False)
        if one.hours is not None:
            parse_hours(one.hours)
    except (msgspec.ValidationError, ValueError):
        return None
    return one
