"""`queuetick tail`: the lines for human eyes; the room watch/ prints them."""

from __future__ import annotations

import argparse

from queuetick.watch import add_tail_arguments as add_arguments
from queuetick.watch import run_tail

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "one short line for each change that matters, from the lines in FILE or on stdin"


def run(arguments: argparse.Namespace) -> int:
    from queuetick.cli.thresholds import in_force

    return run_tail(arguments, in_force())
