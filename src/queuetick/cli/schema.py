"""`queuetick schema`: the JSON Schema of the lines."""

from __future__ import annotations

import argparse
import json
import sys

from queuetick.exit_codes import ExitCode

SUMMARY = "JSON Schema of the lines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(_: argparse.Namespace) -> int:
    from queuetick.events.schema import json_schema

    json.dump(json_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return ExitCode.OK
