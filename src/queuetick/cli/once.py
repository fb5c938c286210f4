"""`queuetick once`: one cycle, then exit."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from queuetick.cli import process
from queuetick.cli.arguments import add_config, add_json
from queuetick.exit_codes import ExitCode

if TYPE_CHECKING:
    from queuetick.daemon.daemon import Daemon

SUMMARY = "poll every queue once, then exit"

MORE = """\
examples:
  queuetick once | jq 'select(.event == "queue.snapshot") | [.queue_name, .waiting]'
  queuetick once > /dev/null || echo "polling does not work"

exit codes:
  0   every selected queue was polled and every line was written
  1   a queue failed, nothing is selected, or the output cannot be written
  75  the API could not be reached, or asks for a pause
  77  credentials or permissions were refused
  78  the configuration is invalid

On a terminal a short line for each queue that needs a look; --json for the lines (docs/events.md).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    return process.run_daemon(arguments, _once, max_cycles=1)


def _once(daemon: Daemon) -> ExitCode:
    code = daemon.run()
    return process.unless_lost(exit_code(daemon) if code is ExitCode.OK else code, daemon)


def exit_code(daemon: Daemon) -> ExitCode:
    """OK for outcome ok alone; TEMPFAIL where nothing was answered, or where a pause left no request; else FAILURE."""
    from queuetick.check.result import exit_for

    report, error = daemon.last_report, daemon.last_error
    if report is not None and report.outcome == "ok":
        return ExitCode.OK
    answered = report is not None and report.snapshots + report.unchanged + report.missing + report.invalid
    if answered or daemon.none_selected:
        return ExitCode.FAILURE
    away = exit_for(error) is ExitCode.TEMPFAIL if error is not None else daemon.paused
    return ExitCode.TEMPFAIL if away else ExitCode.FAILURE
