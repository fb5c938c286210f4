"""`queuetick demo`: the simulator and the daemon against it."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from queuetick.cli import process, streams
from queuetick.cli.arguments import add_json, for_eyes, positive, setting
from queuetick.exit_codes import ExitCode

if TYPE_CHECKING:
    from queuetick.simulator import Simulator

BUSY_HOUR, TROUBLE = 10.5, 0.25
"""The time of a working day at which the demo begins, and the share of queues that lack staff."""
SUMMARY = "run the daemon against a simulated Genesys Cloud; no credentials needed"

MORE = """\
On a terminal it opens the live table (queuetick watch); elsewhere, and with --json, it writes the lines.

examples:
  queuetick demo
  queuetick demo --json | jq .queue_name
  queuetick demo --cycles 1 --queues 100

exit codes:
  0   stopped as asked, or all cycles done
  1   a fault
  2   invalid arguments

Read docs/simulator.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cycles", type=positive, metavar="N", help="end after N cycles (default: at Ctrl-C)"
    )
    parser.add_argument(
        "--interval",
        type=setting("poll", "interval"),
        metavar="S",
        help="seconds, 0.1 to 3600 (default 15; 2 in the live table)",
    )
    parser.add_argument(
        "--queues", type=positive, default=12, metavar="N", help="queues to simulate (default 12)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the simulated contact centre (default 1)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    if for_eyes(arguments) and arguments.cycles is None:
        return _watch(arguments)
    process.hold_signals()  # before the simulator's thread begins, or that thread would take Ctrl-C
    try:
        from queuetick.simulator import Simulator
    except ModuleNotFoundError as error:
        streams.say(
            f"queuetick: {error.name} is not installed. Fix: install the package queuetick-tools, or: pip install "
            "'queuetick[simulator]'\n"
        )
        return ExitCode.FAILURE
    try:
        simulator = Simulator(queues=arguments.queues, seed=arguments.seed, hour=BUSY_HOUR, trouble=TROUBLE)
    except ValueError as error:  # how many queues it can simulate
        streams.say(f"queuetick demo: {error}\n")
        return ExitCode.USAGE
    with simulator:
        return _poll(simulator, arguments)


def _poll(simulator: Simulator, arguments: argparse.Namespace) -> int:
    from queuetick.config import Config, Credentials, Genesys, Poll

    config = Config(
        genesys=Genesys(api_url=simulator.url),
        poll=Poll(interval=arguments.interval or 15.0),
        credentials=Credentials(simulator.client_id, simulator.client_secret),
    )
    daemon = process.new_daemon(
        config, lambda: config, max_cycles=arguments.cycles, for_eyes=for_eyes(arguments)
    )
    return process.unless_lost(daemon.run(), daemon)


def _watch(arguments: argparse.Namespace) -> int:
    """Open the live table over the lines of another process of this command."""
    import subprocess

    from queuetick.cli import watch

    parser = argparse.ArgumentParser()
    watch.add_arguments(parser)
    interval = str(arguments.interval or 2.0)
    demo = [sys.executable, "-m", "queuetick", "demo", "--json", "--interval", interval]
    demo += ["--queues", str(arguments.queues), "--seed", str(arguments.seed)]
    reading, writing = os.pipe()
    # A group of its own: Ctrl-C ends the table, which then ends the daemon.
    with subprocess.Popen(demo, stdout=writing, process_group=0) as process:
        os.close(writing)
        os.dup2(reading, 0)
        os.close(reading)
        try:
            return watch.run(parser.parse_args([]))
        finally:
            process.terminate()
            streams.say("The lines behind the table: queuetick demo --json, or queuetick demo | cat\n")
