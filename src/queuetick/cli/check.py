"""`queuetick check`: test the set-up."""

from __future__ import annotations

import argparse
import os
import sys

from queuetick.cli import process, streams
from queuetick.cli.arguments import add_config
from queuetick.exit_codes import ExitCode

SUMMARY = "test the set-up, from config to the last queue id, and print the fix of each problem"

MORE = """\
examples:
  queuetick check                          the configuration that `run` would read here
  sudo queuetick check --unit queuetick    what the unit would read, credentials included
  queuetick check --offline                the configuration alone; sends nothing
  queuetick check --report > report.json   no names and no numbers: to attach to an issue
  queuetick check --json | jq -e '.checks[] | select(.status == "fail") | .fix'

exit codes (with several failures the first of 78, 77, 75, 1):
  0   everything passed, or warned
  1   a queue id, the budget or the output has a problem
  75  the API could not be reached
  77  credentials or permissions were refused
  78  the configuration is invalid

Read docs/check.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    add_config(source)
    source.add_argument(
        "--unit",
        metavar="NAME",
        help="take everything as this systemd unit has it: queuetick, or queuetick@ORG; as root",
    )
    parser.add_argument("--offline", action="store_true", help="stop after the configuration; sends nothing")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document instead of text")
    form.add_argument(
        "--report",
        action="store_true",
        help="one JSON document of shapes and headers, without names and numbers, to attach to an issue",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write each check as it ends, or one JSON document at the end."""
    from queuetick.genesys import sdk

    try:
        sdk.load()
    except sdk.SdkMissing as error:
        streams.say(f"queuetick: {error}\n")
        return ExitCode.FAILURE
    try:
        code = _check(arguments)
    except KeyboardInterrupt:  # not 0: `queuetick check && systemctl start queuetick` must not go on
        code = ExitCode.FAILURE
    return process.end(code)


def _check(arguments: argparse.Namespace) -> ExitCode:
    from queuetick.check.result import Check, exit_of
    from queuetick.check.run import Examination
    from queuetick.cli.check_text import as_json, as_text, painter, summary
    from queuetick.cli.terminal import coloured
    from queuetick.clock import Clock

    clock = Clock()
    examination = Examination(
        arguments.config,
        environ=os.environ,
        clock=clock,
        redaction=streams.redaction(),
        unit=arguments.unit,
        keep_answers=arguments.report,
    )
    paint = painter(colour=coloured(sys.stdout, os.environ))
    checks: list[Check] = []
    skips: list[Check] = []
    for result in examination.results(offline=arguments.offline):
        check = examination.redaction.clean(result)
        checks.append(check)
        if arguments.json or arguments.report:
            continue
        if skips and (check.status != "skipped" or check.message != skips[0].message):
            _write(as_text(skips, paint))
            skips = []
        if check.status == "skipped":
            skips.append(check)
        else:
            _write(as_text([check], paint))
    if skips:
        _write(as_text(skips, paint))
    if arguments.report:
        _write(streams.json_document(examination.redaction.clean(examination.report(checks))))
    elif arguments.json:
        _write(as_json(checks, now=clock.now()))
    elif not arguments.offline:
        _write(summary(checks, paint))
    return exit_of(checks)


def _write(text: str) -> None:
    """Write to stdout at once; where nobody reads any more (`| head`), the checks and their exit code go on."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        streams.abandon()
