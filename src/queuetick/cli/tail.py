"""`queuetick tail`: the lines for human eyes; the room watch/ prints them."""

from __future__ import annotations

import argparse

from queuetick.watch import add_tail_arguments as add_arguments
from queuetick.watch import run as view

__all__ = ["MORE", "SUMMARY", "add_arguments", "run"]

SUMMARY = "print one short line for each change that matters, from the lines in FILE or on stdin"

MORE = """\
examples:
  journalctl -t queuetick -f -n 2000 -o cat | queuetick tail
  queuetick tail --errors --since 1h /var/log/queuetick/queuetick.jsonl
  queuetick run | tee -a queuetick.jsonl | queuetick tail

exit codes:
  0   stopped as asked, or the lines ended
  1   a fault: the file cannot be read
  2   invalid arguments

Read docs/watch.md.
"""


def run(arguments: argparse.Namespace) -> int:
    from queuetick.config.load import load_thresholds

    return view("tail", arguments, load_thresholds())
