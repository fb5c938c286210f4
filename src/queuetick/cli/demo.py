"""`queuetick demo`: the simulator and the daemon against it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from queuetick.cli import process, streams
from queuetick.cli.arguments import positive, setting
from queuetick.exit_codes import ExitCode

if TYPE_CHECKING:
    from queuetick.simulator import Simulator

SUMMARY = "the simulator and the daemon against it; no credentials needed"

MORE = """\
examples:
  queuetick demo
  queuetick demo --interval 2 | queuetick watch
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
        default=15.0,
        metavar="S",
        help="seconds, 0.1 to 3600 (default 15)",
    )
    parser.add_argument(
        "--queues", type=positive, default=12, metavar="N", help="queues to simulate (default 12)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the simulated contact centre (default 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    process.hold_signals()  # before the simulator's thread begins, or that thread would take Ctrl-C
    try:
        from queuetick.simulator import Simulator
    except ModuleNotFoundError as error:
        streams.say(f"queuetick: {error.name} is missing: pip install 'queuetick[simulator]'\n")
        return ExitCode.FAILURE
    try:
        simulator = Simulator(queues=arguments.queues, seed=arguments.seed)
    except ValueError as error:  # how many queues it can simulate
        streams.say(f"queuetick demo: {error}\n")
        return ExitCode.USAGE
    with simulator:
        return _poll(simulator, arguments)


def _poll(simulator: Simulator, arguments: argparse.Namespace) -> int:
    from queuetick.config import Config, Credentials, Genesys, Log, Metrics, Output, Poll, Queues
    from queuetick.lines import Redaction

    config = Config(
        genesys=Genesys(api_url=simulator.url),
        queues=Queues(),
        poll=Poll(interval=arguments.interval),
        output=Output(),
        log=Log(),
        metrics=Metrics(),
        credentials=Credentials(simulator.client_id, simulator.client_secret),
    )
    return process.new_daemon(config, lambda: config, Redaction(), max_cycles=arguments.cycles).run()
