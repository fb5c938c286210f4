"""`queuetick watch`: a live table of the lines; the room watch/ declares and runs it."""

from __future__ import annotations

import argparse

from queuetick.watch import add_arguments
from queuetick.watch import run as watch

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "a live table from the lines in FILE or on stdin"


def run(arguments: argparse.Namespace) -> int:
    from queuetick.cli.thresholds import in_force

    return watch(arguments, in_force())
