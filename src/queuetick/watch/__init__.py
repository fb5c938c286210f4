"""`queuetick watch` and `queuetick tail`: a live table, and a line for each change, from the JSON lines alone."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from queuetick.foreign_text import argument
from queuetick.watch.moments import moment
from queuetick.watch.sort import Sort

if TYPE_CHECKING:
    from queuetick.events.thresholds import Threshold


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help="the lines: a file, followed when it is rotated, or - for stdin (default)",
    )
    parser.add_argument("--utc", action="store_true", help="times of day in UTC (default: local time)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `queuetick watch`."""
    columns = [sort.value for sort in Sort]
    _add_common(parser)
    parser.add_argument(
        "--once", action="store_true", help="print one table of the newest snapshots and exit"
    )
    parser.add_argument(
        "--sort",
        choices=columns,
        default="severity",
        metavar="COLUMN",
        help=f"what comes first: {', '.join(columns)} (default: severity, then the longest wait)",
    )
    parser.add_argument("--group", action="store_true", help="rows by division, with subtotals")
    parser.add_argument(
        "--filter",
        type=argument,
        default="",
        metavar="WORDS",
        help="only queues with these words in name, division or id: 'emea -test division:EMEA org:apac name:VIP*'",
    )
    parser.add_argument(
        "--waiting-at",
        type=_pair,
        metavar="WARN,CRIT",
        help="waiting contacts from which a queue is marked, in place of targets and [[thresholds]]",
    )
    parser.add_argument(
        "--longest-at",
        type=_pair,
        metavar="WARN,CRIT",
        help="seconds of the longest wait from which a queue is marked, in place of targets and [[thresholds]]",
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=_moment,
        metavar="WHEN",
        help="play FILE again from then on: 02:00, 2026-11-24T02:00, or 90m before its last line",
    )
    parser.add_argument(
        "--speed", type=_speed, metavar="N", help="play FILE again N times as fast (default with --from: 1)"
    )


def add_tail_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `queuetick tail`."""
    _add_common(parser)
    parser.add_argument("--all", action="store_true", help="every line, changed or not")
    parser.add_argument(
        "--errors", action="store_true", help="only errors, and queues over a critical limit (!!)"
    )
    parser.add_argument(
        "--queue",
        action="append",
        type=argument,
        default=[],
        metavar="GLOB",
        help="only queues whose name or id matches, and what concerns the whole daemon; may be repeated",
    )
    parser.add_argument(
        "--since", type=_moment, metavar="WHEN", help="leave out what is older: 15m, 02:00, 2026-11-24T02:00"
    )
    parser.add_argument("--no-follow", action="store_true", help="stop at the end of FILE")


def run(viewer: Literal["command", "tail"], args: argparse.Namespace, thresholds: Iterable[Threshold]) -> int:
    """Show the lines until told to stop. Returns the exit code: 0 as asked, 1 a fault, 2 usage."""
    try:
        module = importlib.import_module(f"queuetick.watch.{viewer}")
    except ModuleNotFoundError as error:  # rich is an extra: every other command has to work without it
        if (error.name or "").partition(".")[0] != "rich":
            raise
        sys.stderr.write(
            "queuetick: watch and tail need rich, which is not installed. "
            "Fix: install the package queuetick-tools, or: pip install 'queuetick[viewers]'\n"
        )
        return 1
    code: int = module.run(args, thresholds)
    return code


def _moment(text: str) -> str:
    """`text`, where it can be read as a point in time."""
    try:
        moment(text, 1e9, None)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 15m, 02:00 or 2026-11-24T02:00"
        ) from None
    return text


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, such as 10")
    return speed


def _pair(text: str) -> tuple[float, float]:
    """Two thresholds, above zero and in their order."""
    try:
        warn, crit = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers such as 5,20") from None
    if not 0 < warn <= crit < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: both above 0, the first not above the second")
    return warn, crit
