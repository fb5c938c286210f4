"""`queuetick watch`: a live table of the lines; the room watch/ declares and runs it."""

from __future__ import annotations

import argparse

from queuetick.watch import add_arguments
from queuetick.watch import run as view

__all__ = ["MORE", "SUMMARY", "add_arguments", "run"]

SUMMARY = "show a live table of the queues, from the lines in FILE or on stdin"

MORE = """\
examples:
  journalctl -t queuetick -f -n 2000 -o cat | queuetick watch
  queuetick watch /var/log/queuetick/queuetick.jsonl
  queuetick watch --once /var/log/queuetick/queuetick.jsonl

exit codes:
  0   stopped as asked
  1   a fault: the file cannot be read, or holds no snapshot (--once)
  2   invalid arguments

Read docs/watch.md.
"""


def run(arguments: argparse.Namespace) -> int:
    from queuetick.config.load import load_thresholds

    return view("command", arguments, load_thresholds())
