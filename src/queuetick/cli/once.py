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

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "one cycle, then exit"


def run(arguments: argparse.Namespace) -> int:
    process.hold_signals()
    return process.with_config(arguments.config, _once)


def _once(config: Config, load: Callable[[], Config]) -> int:
    daemon = process.new_daemon(config, load, max_cycles=1)
    code = daemon.run()
    report = daemon.last_report
    if code is ExitCode.OK and (report is None or report.outcome != "ok"):
        reached = report is not None and report.snapshots + report.missing > 0
        code = ExitCode.FAILURE if reached else ExitCode.TEMPFAIL
    return process.end(code)
