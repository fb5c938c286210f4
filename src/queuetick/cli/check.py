"""`queuetick check` on the streams it is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from queuetick.check.result import Check, exit_of
from queuetick.check.run import Examination, real_clock
from queuetick.cli.check_report import as_json, as_text, painter, summary
from queuetick.cli.terminal import coloured
from queuetick.exit_codes import Exit


def run(
    path: Path | None, *, offline: bool, as_document: bool, environ: Mapping[str, str], stdout: TextIO
) -> Exit:
    """Run the checks and write them: text as each one ends, or one JSON document at the end. Returns the exit code."""
    clock = real_clock()
    examination = Examination(path, environ=environ, clock=clock)
    paint = painter(colour=coloured(stdout, environ))
    checks: list[Check] = []
    for result in examination.results(offline=offline):
        check = examination.redaction.clean(result)
        checks.append(check)
        if not as_document:
            stdout.write(as_text(check, paint))
            stdout.flush()
    if as_document:
        stdout.write(as_json(checks, now=clock.now()))
    elif not offline:
        stdout.write(summary(checks, paint))
    return exit_of(checks)
