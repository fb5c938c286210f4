"""`queuetick once`: one cycle, then exit."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from queuetick.cli import process
from queuetick.cli.arguments import add_config as add_arguments
from queuetick.exit_codes import ExitCode

if TYPE_CHECKING:
    from queuetick.config import Config
    from queuetick.events import CycleReport
    from queuetick.genesys.errors import ApiError

__all__ = ["MORE", "SUMMARY", "add_arguments", "run"]

SUMMARY = "one cycle, then exit"

MORE = """\
examples:
  queuetick once | jq 'select(.event == "queue.snapshot") | [.queue_name, .waiting]'
  queuetick once > /dev/null || echo "polling does not work"

exit codes:
  0   every selected queue was polled and every line was written
  1   a queue failed, nothing is selected, or the output cannot be written
  75  the API could not be reached
  77  credentials or permissions were refused
  78  the configuration is invalid

Read docs/events.md for the lines.
"""


def run(arguments: argparse.Namespace) -> int:
    process.hold_signals()
    return process.with_config(arguments.config, _once)


def _once(config: Config, load: Callable[[], Config]) -> int:
    daemon = process.new_daemon(config, load, max_cycles=1)
    code = daemon.run()
    if code is ExitCode.OK:
        code = exit_code(daemon.last_report, daemon.last_error)
    return process.end(code if daemon.wrote_all or code is not ExitCode.OK else ExitCode.FAILURE)


def exit_code(report: CycleReport | None, error: ApiError | None) -> ExitCode:
    """OK for outcome ok alone, TEMPFAIL where the API could not be reached, else FAILURE.

    `error` is what the last failed request of the cycle, or of the listing, ended with.
    """
    from queuetick.check.result import exit_for

    if report is not None and report.outcome == "ok":
        return ExitCode.OK
    answered = report is not None and report.snapshots + report.missing + report.invalid
    away = (
        exit_for(error) is ExitCode.TEMPFAIL
        if error is not None
        else report is not None and bool(report.deferred)
    )
    return ExitCode.TEMPFAIL if away and not answered else ExitCode.FAILURE
