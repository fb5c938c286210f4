"""`queuetick check`: test the set-up."""

from __future__ import annotations

import argparse
import os
import sys

from queuetick.cli import process
from queuetick.cli.arguments import add_config
from queuetick.exit_codes import ExitCode

SUMMARY = "test the set-up, from config to the last queue id; each problem with its fix"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--offline", action="store_true", help="stop after the configuration; sends nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Write each check as it ends, or one JSON document at the end."""
    from queuetick.genesys import sdk

    try:
        sdk.load()
    except sdk.SdkMissing as error:
        sys.stderr.write(f"queuetick: {error}\n")
        return ExitCode.FAILURE
    try:
        code = _check(arguments)
    except KeyboardInterrupt:  # not 0: `queuetick check && systemctl start queuetick` must not go on
        code = ExitCode.FAILURE
    return process.end(code)


def _check(arguments: argparse.Namespace) -> ExitCode:
    from queuetick.check.result import Check, exit_of
    from queuetick.check.run import Examination, real_clock
    from queuetick.cli.check_text import as_json, as_text, painter, summary
    from queuetick.cli.terminal import coloured

    clock = real_clock()
    examination = Examination(arguments.config, environ=os.environ, clock=clock)
    paint = painter(colour=coloured(sys.stdout, os.environ))
    checks: list[Check] = []
    for result in examination.results(offline=arguments.offline):
        check = examination.redaction.clean(result)
        checks.append(check)
        if not arguments.json:
            sys.stdout.write(as_text(check, paint))
            sys.stdout.flush()
    if arguments.json:
        sys.stdout.write(as_json(checks, now=clock.now()))
    elif not arguments.offline:
        sys.stdout.write(summary(checks, paint))
    return exit_of(checks)
