"""`queuetick watch`: a live table from the JSON lines alone, so it works wherever the lines can be read."""

from __future__ import annotations

import argparse
import sys

_NEEDS_RICH = (
    "queuetick watch: the table is drawn by rich, which is not installed: pip install 'queuetick[viewers]'\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `queuetick watch`."""
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help="the lines: a file, followed when it is rotated, or - for stdin (default)",
    )
    parser.add_argument(
        "--once", action="store_true", help="print one table of the newest snapshots and exit"
    )
    parser.add_argument(
        "--sort",
        choices=["waiting", "longest", "available", "name"],
        default="waiting",
        help="what comes first (default: waiting, the most first)",
    )
    parser.add_argument(
        "--filter", default="", metavar="WORDS", help="only queues whose name, division or id has them"
    )
    parser.add_argument(
        "--waiting-at",
        type=_pair,
        default=(5.0, 20.0),
        metavar="WARN,CRIT",
        help="waiting contacts from which a queue is coloured (default: 5,20)",
    )
    parser.add_argument(
        "--longest-at",
        type=_pair,
        default=(60.0, 300.0),
        metavar="WARN,CRIT",
        help="seconds of the longest wait from which a queue is coloured (default: 60,300)",
    )


def run(args: argparse.Namespace) -> int:
    """Watch until told to stop. Returns the exit code: 0 as asked, 1 a fault, 2 usage."""
    try:
        # rich is an extra: every other command has to work without it.
        from queuetick.watch import command
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        sys.stderr.write(_NEEDS_RICH)
        return 1
    return command.watch(args)


def _pair(text: str) -> tuple[float, float]:
    """Two thresholds, above zero and in their order."""
    try:
        warn, crit = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers such as 5,20") from None
    if not 0 < warn <= crit < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: both above 0, the first not above the second")
    return warn, crit
