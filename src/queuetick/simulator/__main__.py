"""`python -m queuetick.simulator` is `queuetick simulate`, where the rest is not installed."""

import argparse
import sys

from queuetick.simulator.command import add_arguments, run

parser = argparse.ArgumentParser(prog="python -m queuetick.simulator")
add_arguments(parser)
sys.exit(run(parser.parse_args()))
