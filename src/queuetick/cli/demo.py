"""`queuetick demo`: the simulator and the daemon against it."""

from __future__ import annotations

import argparse
import sys

from queuetick.cli import process
from queuetick.cli.arguments import positive
from queuetick.exit_codes import ExitCode

SUMMARY = "the simulator and the daemon against it; no credentials needed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cycles", type=positive, metavar="N", help="end after N cycles (default: at Ctrl-C)"
    )
    parser.add_argument("--interval", type=float, default=15.0, metavar="S", help="seconds (default 15)")
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
        sys.stderr.write(f"queuetick: {error.name} is missing: pip install 'queuetick[simulator]'\n")
        return ExitCode.FAILURE
    from queuetick.config import Config, Credentials, Genesys, Log, Metrics, Output, Poll, Queues

    with Simulator(queues=arguments.queues, seed=arguments.seed) as simulator:
        config = Config(
            genesys=Genesys(api_url=simulator.url),
            queues=Queues(),
            poll=Poll(interval=arguments.interval),
            output=Output(),
            log=Log(),
            metrics=Metrics(),
            credentials=Credentials(simulator.client_id, simulator.client_secret),
        )
        return process.new_daemon(config, lambda: config, max_cycles=arguments.cycles).run()
