"""`queuetick schema`: the JSON Schema of the lines."""

from __future__ import annotations

import argparse
import sys

from queuetick.cli.streams import json_document
from queuetick.exit_codes import ExitCode

SUMMARY = "print the JSON Schema of the lines"

MORE = """\
examples:
  queuetick schema > queuetick.schema.json

exit codes:
  0   written
  1   stdout cannot be written

Read docs/events.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_: argparse.Namespace) -> int:
    from queuetick.events.schema import json_schema

    sys.stdout.write(json_document(json_schema()))
    return ExitCode.OK
