"""Where the lines would go, looked at without writing any."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from queuetick.check.result import Check, failed, passed, warned
from queuetick.check.unit import UnitSetUp
from queuetick.config import Config
from queuetick.lines.output import stdout_is_journal

ROOM = 100 * 1024 * 1024
"""Bytes free on the file's disk below which it is warned about: some hours of lines of 200 queues."""


def output(config: Config, environ: Mapping[str, str], set_up: UnitSetUp | None = None) -> Check:
    """Whether the present user can write the log file; for stdout, whether it is the journal.

    With `set_up` the unit of that set-up writes, perhaps as another user: then the file is looked at as this one.
    """
    if config.output.path == "-":
        if set_up is not None:
            return passed("output", f"stdout of {set_up.name}: {set_up.stdout}", path="-", unit=set_up.name)
        if stdout_is_journal(environ):
            return passed(
                "output", "stdout is the journal: lines carry their syslog priority", path="-", journal=True
            )
        return passed("output", "stdout, which is not the journal here", path="-", journal=False)
    path = Path(config.output.path)
    user = f"user {os.geteuid()}"
    evidence: dict[str, Any] = {"path": str(path), "uid": os.geteuid()}
    try:
        path.stat()
        place, needed = path, os.W_OK
    except FileNotFoundError:
        place, needed = path.parent, os.W_OK | os.X_OK
    except OSError as error:
        fix = "let the daemon's user enter every directory above it"
        return failed("output", f"{path} cannot be looked at by {user}: {error.strerror}", fix, **evidence)
    if not os.access(place, needed, effective_ids=True):
        fix = f"make {place} writable for the daemon's user (systemd: LogsDirectory=, ReadWritePaths=)"
        return failed("output", f"{place} is not writable for {user}", fix, **evidence)
    free = shutil.disk_usage(path.parent).free
    evidence["free_bytes"] = free
    if free < ROOM:
        fix = "free space there, or have logrotate keep less"
        return warned("output", f"only {free >> 20} MiB are free at {path.parent}", fix, **evidence)
    if set_up is not None:
        message = (
            f"{path} is writable for {user}; {set_up.name} writes as user {set_up.user}, which was not tried"
        )
        return passed("output", message, **evidence)
    return passed("output", f"{path} is writable for {user}", **evidence)
