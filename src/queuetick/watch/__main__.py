"""`python -m queuetick.watch` is `queuetick watch`."""

import argparse
import sys

from queuetick.watch import add_arguments, run

parser = argparse.ArgumentParser(
    prog="queuetick watch", description="A live table from queuetick's JSON lines."
)
add_arguments(parser)
sys.exit(run(parser.parse_args()))
